from itertools import pairwise

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution.saliency import saliency
from labkit.evaluation.baselines import random_order
from labkit.evaluation.deletion import deletion, insertion


class OnePixel(nn.Module):
    """Says class 1 if the pixel at row 1, column 2 is bright, else class 0."""

    def forward(self, images):
        logit = 20 * (images[:, 0, 1, 2] - 0.6)
        return torch.stack([-logit, logit], 1)


WHITE, ONE = torch.ones(1, 1, 4, 4), torch.tensor([1])


def spot(row: int, column: int) -> torch.Tensor:
    values = torch.arange(16.0).view(1, 4, 4) / 100
    values[0, row, column] = 1
    return values


def test_a_map_that_names_the_one_pixel_that_matters():
    curve = deletion(OnePixel().eval(), WHITE, ONE, spot(1, 2), steps=16, fill=0)
    assert curve.fractions.tolist() == [step / 16 for step in range(17)]
    assert curve.probabilities[0].round().tolist() == [1] + [0] * 16
    assert curve.area.item() == pytest.approx(1 / 32, abs=1e-4)  # a triangle over the first sixteenth
    curve = insertion(OnePixel().eval(), WHITE, ONE, spot(1, 2), steps=16, fill=0)
    assert curve.probabilities[0].round().tolist() == [0] + [1] * 16
    assert curve.area.item() == pytest.approx(31 / 32, abs=1e-4)


def test_the_order_is_that_of_the_map():
    values = spot(0, 0)
    values[0, 1, 2] = -1  # last
    curve = deletion(OnePixel().eval(), WHITE, ONE, values, steps=4, fill=0.5)
    assert curve.probabilities[0].round().tolist() == [1, 1, 1, 1, 0]
    seen = []

    class Watch(OnePixel):
        def forward(self, images):
            seen.extend(images[:, 0])
            return super().forward(images)

    deletion(Watch().eval(), WHITE, ONE, values, steps=16, fill=0.25)
    order = [(earlier - later).flatten().nonzero().tolist() for earlier, later in pairwise(seen)]
    assert order == [[[index]] for index in values.flatten().argsort(descending=True).tolist()]
    assert torch.equal(seen[-1], torch.full((4, 4), 0.25))


def test_equal_pixels_come_in_random_order():
    flat = torch.zeros(1, 4, 4)
    steps = []
    for seed in range(200):
        curve = deletion(OnePixel().eval(), WHITE, ONE, flat, steps=16, fill=0, seed=seed)
        steps.append(int(curve.probabilities[0].round().sum()))
    mean, error = 8.5, (255 / 12 / 200) ** 0.5  # uniform on 1..16
    assert abs(sum(steps) / 200 - mean) < 4 * error


@pytest.mark.parametrize("curve", [deletion, insertion])
def test_batches_and_fills_make_no_difference(curve):
    model = models.load("mnist")
    images, classes = data.examples("mnist", 7)
    maps = saliency(model, images, classes)
    found = [curve(model, images, classes, maps, steps=5, fill=0.3, batch_size=size) for size in (1, 3, 100)]
    filled = curve(model, images, classes, maps, steps=5, fill=torch.full((1, 28, 28), 0.3))
    for other in [*found[1:], filled]:
        assert torch.allclose(found[0].probabilities, other.probabilities, atol=1e-5)
    assert found[0].area.shape == (7,)
    whole = model(images).softmax(1).gather(1, classes[:, None])[:, 0]
    assert torch.allclose(found[0].probabilities[:, 0 if curve is deletion else -1], whole, atol=1e-5)


def test_both_ends_belong_to_each_other():
    model = models.load("mnist")
    images, classes = data.examples("mnist", 5)
    maps = random_order(model, images, classes)
    away, back = deletion(model, images, classes, maps), insertion(model, images, classes, -maps)
    assert torch.allclose(away.probabilities, back.probabilities.flip(1), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 to 784, got 0"),
        ({"steps": 785}, "got 785"),
        ({"fill": 2.0}, "fill must .* got values from 2 to 2"),
        ({"batch_size": 0}, "batch_size must be .* got 0"),
    ],
)
def test_bad_options(options, message):
    model = models.load("mnist")
    images, classes = data.examples("mnist", 1)
    for curve in (deletion, insertion):
        with pytest.raises(ValueError, match=message):
            curve(model, images, classes, images, **options)
        with pytest.raises(ValueError, match=r"0\.\.9, got 10"):
            curve(model, images, classes + 10 - classes, images)
