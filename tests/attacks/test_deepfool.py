import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks._norms import NORMS
from labkit.attacks.deepfool import deepfool, deepfool_steps
from labkit.attacks.minimum_norm import minimum_norm


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_it_finds_the_closest_point_of_a_linear_model(linear, norm, targeted):
    model, images, classes, closest = linear
    found = deepfool(model, images, 1 - classes if targeted else classes, norm=norm, targeted=targeted)
    assert (model(found.images).argmax(1) != classes).all()
    assert (found.distances > 0.999999 * closest[norm]).all()  # nothing nearer exists
    bright = slice(1, None, 2)  # where the box [0, 1] is not in the way, one step is exact
    assert torch.allclose(found.distances[bright], closest[norm][bright], rtol=0.001)
    assert (found.distances < 1.2 * closest[norm]).all()


def test_of_several_boundaries_it_takes_the_nearest():
    """Class 0 leads class 1 by x1 - 0.1 and class 2 by 2 x2 - 0.9: here by 0.4 and 0.5, and the second is nearer."""
    layer = nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0], [-1, 0], [0, -2]]))
        layer.bias.copy_(torch.tensor([0.0, 0.1, 0.9]))
    model = nn.Sequential(nn.Flatten(), layer).eval()
    image = torch.tensor([0.5, 0.7]).view(1, 1, 1, 2)
    found = deepfool(model, image, torch.tensor([0]))
    assert found.distances.item() == pytest.approx(0.25, rel=0.01)
    assert deepfool(model, image, torch.tensor([0]), candidates=1).distances.item() == pytest.approx(0.4, rel=0.01)


@pytest.mark.slow
def test_distances_are_those_of_its_images_and_near_those_of_bisection():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    found = deepfool(model, images, classes)
    assert torch.allclose((found.images - images).flatten(1).norm(dim=1), found.distances, atol=1e-5)
    assert (model(found.images).argmax(1) != classes).all()
    slow = minimum_norm(model, images, classes, norm="l2", steps=10, tolerance=0.05)
    assert found.distances.median() < 1.5 * slow.distances.median()


def test_its_steps_cross_the_boundary_and_the_last_comes_nearer():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 6)
    *walked, last = deepfool_steps(model, images, classes)
    whole = deepfool(model, images, classes, batch_size=4)
    assert torch.allclose(whole.distances, last.distances, rtol=1e-3)
    fooled = [model(step.images).argmax(1) != classes for step in walked]
    for step, done in zip(walked, fooled, strict=True):
        assert torch.equal(step.distances.isfinite(), done)
    assert not fooled[0].all()
    assert fooled[-1].all()
    assert (last.distances <= walked[-1].distances).all()
    assert (last.distances < walked[-1].distances).any()


def test_nothing_to_do_and_nothing_to_be_done():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 3)
    assert deepfool(model, images, (classes + 1) % 10).distances.tolist() == [0, 0, 0]
    assert torch.equal(deepfool(model, images, classes, targeted=True).images, images)
    blind = nn.Sequential(nn.Flatten(), nn.Linear(784, 3)).eval()
    with torch.no_grad():
        blind[1].weight.zero_()
        blind[1].bias.copy_(torch.tensor([1.0, 0, 0]))
    found = deepfool(blind, images, torch.zeros(3, dtype=torch.int64), steps=3)
    assert found.distances.isinf().all()
    assert torch.equal(found.images, images)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("norm", "l1", r"norm must be one of \['linf', 'l2'\], got 'l1'"),
        ("steps", 0, "steps must be a whole number from 1 up, got 0"),
        ("candidates", 0, "candidates must be a whole number from 1 up, got 0"),
        ("overshoot", -0.1, "overshoot must be a number from 0 up, got -0.1"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        deepfool(models.load("mnist"), images, classes, **{option: value})
