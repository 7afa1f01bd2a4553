import numpy as np
import pytest

from labkit import data
from labkit.scratch.recipe import FIGURES, RECIPE, one_cycle, train

IMAGES = data.sample("cifar10", "train").subset(slice(60)), data.sample("cifar10").subset(slice(20))


class Interrupted(Exception):
    pass


def in_the_second_epoch():
    """A progress option that breaks the run off there."""
    epochs = iter(range(2))

    def progress(steps):
        if next(epochs) == 1:
            raise Interrupted
        return steps

    return progress


@pytest.mark.slow
def test_a_run_that_is_broken_off_goes_on_and_ends_with_the_same_weights(tmp_path):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    with pytest.raises(Interrupted):
        train(broken, *IMAGES, epochs=3, progress=in_the_second_epoch())
    with pytest.raises(ValueError, match="delete it to start afresh"):
        train(broken, *IMAGES, epochs=3, seed=1)
    resumed, recipe, history = train(broken, *IMAGES, epochs=3)
    straight, _, uninterrupted = train(whole, *IMAGES, epochs=3)
    assert recipe == {"train_images": 60, **RECIPE, "epochs": 3, "seed": 0}
    for name, array in straight.state().items():
        np.testing.assert_array_equal(resumed.state()[name], array)
    assert tuple(history) == FIGURES
    assert history["train_loss"] == uninterrupted["train_loss"]
    assert [len(values) for values in history.values()] == [3] * 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "whole"]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    recipe = {"warmup": 0.25, "epochs": 8, "learning_rate": 0.1}
    assert [one_cycle(epoch, recipe) for epoch in (0, 1, 2, 5, 8)] == pytest.approx([0, 0.05, 0.1, 0.05, 0])
