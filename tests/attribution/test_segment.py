import sys

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution.segment import segment


def red_disc() -> tuple[torch.Tensor, torch.Tensor]:
    """A red disc on blue ground, with a little noise, and where it is."""
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    disc = (rows - 20) ** 2 + (columns - 26) ** 2 < 13**2
    image = torch.where(disc, torch.tensor([0.8, 0.2, 0.1]).view(3, 1, 1), torch.tensor([0.1, 0.3, 0.7]).view(3, 1, 1))
    noise = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0)) - 0.5
    return (image + 0.2 * noise).clamp(0, 1)[None], disc


def linear(pixels: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 2)).eval()


def test_a_rough_map_is_enough_to_find_the_outline():
    image, disc = red_disc()
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    rough = torch.exp(-((rows - 23) ** 2 + (columns - 24) ** 2) / 150)[None]
    found = segment(linear(3 * 48 * 48), image, torch.tensor([0]), maps=rough)
    assert found.dtype == torch.bool
    assert found.shape == (1, 48, 48)
    assert (found[0] == disc).float().mean() > 0.99
    assert ((rough[0] > 0.5) == disc).float().mean() < 0.95  # the map alone would not have done it


def test_by_default_the_map_is_the_saliency():
    images, _ = red_disc()
    model = linear(3 * 48 * 48)
    weights = model[1].weight.detach()[1].view(1, 3, 48, 48)
    classes = torch.tensor([1])
    assert torch.equal(segment(model, images, classes), segment(model, images, classes, maps=weights))


def test_grey_images_and_maps_that_are_flat():
    images, classes = data.examples("mnist", 3)
    found = segment(models.load("mnist"), images, classes, maps=torch.zeros(3, 28, 28))
    assert found.shape == (3, 28, 28)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inside": 0}, "inside must be a number above 0, got 0"),
        ({"inside": 0.5, "outside": 0.6}, r"got 0\.5 and 0\.6"),
        ({"iterations": 0}, "iterations must .* got 0"),
        ({"blur": -1}, "blur must .* got -1"),
        ({"maps": torch.zeros(1, 7, 7)}, r"maps must .* got \(1, 7, 7\)"),
    ],
)
def test_bad_options(options, message):
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ValueError, match=message):
        segment(models.load("mnist"), images, classes, **options)


def test_without_opencv_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[segment\]'"):
        segment(models.load("mnist"), images, classes)
