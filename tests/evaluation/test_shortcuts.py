"""Shortcuts are found in networks that are nothing but the shortcut, and in none that look at the whole image."""

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.evaluation.shortcuts import find_shortcuts
from tests.shapes import unchecked

SIDE = (12, 20)  # a rectangle


def noise(n, channels=3, seed=0):
    """Images of small random pixels, and their labels 0, 1, 2, 0, ..."""
    rng = torch.Generator().manual_seed(seed)
    return 0.4 + 0.2 * torch.rand((n, channels, *SIDE), generator=rng), torch.arange(n) % 3


class Reads(nn.Module):
    """A network of three classes that says 2 where a number read off the image is above a bound, else 0 or 1."""

    def __init__(self, read, bound):
        super().__init__()
        self.read, self.bound = read, bound

    def forward(self, images):
        other = (images.mean((1, 2, 3)) - 0.5).sign()
        return torch.stack([other, -other, 10 * (self.read(images) - self.bound).sign()], 1)


def corner(images):
    return images[:, :, 0, -1].mean(1)


def red(images):
    return (images[:, 0] - images[:, 1]).mean((1, 2))


def checks(images):
    """The finest waves there are, across."""
    return (images[..., ::2] - images[..., 1::2]).mean((1, 2)).abs().amax(1)


def lower(images):
    """How much brighter the brightest pixel of the lower half is than that of the upper."""
    half = images.shape[2] // 2
    return images[:, :, half:].amax((1, 2, 3)) - images[:, :, :half].amax((1, 2, 3))


def with_corner(images):
    images[:, :, 0, -1] = 0.9


def with_red(images):
    images[:, 0] += 0.3


def with_checks(images):
    images[..., ::2] += 0.2


PLANTS = {
    "region": (corner, 0.8, with_corner),
    "colour": (red, 0.15, with_red),
    "texture": (checks, 0.1, with_checks),
}


@pytest.mark.parametrize("kind", PLANTS)
def test_what_alone_decides_is_found_first(kind):
    read, bound, mark = PLANTS[kind]
    images, labels = noise(120)
    mark(marked := images[labels == 2])
    images[labels == 2] = marked
    finding, *_ = find_shortcuts(Reads(read, bound).eval(), images, labels, names=["ant", "bee", "cat"])
    assert (finding.kind, finding.classes) == (kind, (2,))
    assert finding.effect > 0.9
    assert finding.interval[0] <= finding.effect <= finding.interval[1]
    assert "taken from cat, makes the network say cat on" in finding.sentence
    if kind == "region":
        top, left, height, width = finding.where
        assert (top, left + width) == (0, SIDE[1])
        assert (height, width) == (3, 5)  # a quarter of each side
    if kind == "colour":
        assert finding.where == (0,)
        assert "channel 0" in finding.sentence
    if kind == "texture":
        assert finding.where == (2, 4)


def test_where_the_object_stands_is_found():
    images, labels = noise(120)
    images, labels = 0.1 * images, labels // 2 * 2  # a background that hardly moves the centroid
    images[labels == 2, :, 8:11, 9:12] = 1
    images[labels != 2, :, 1:4, 9:12] = 1
    (finding,) = find_shortcuts(Reads(lower, 0.2).eval(), images, labels)
    assert (finding.kind, finding.classes) == ("position", (2,))
    assert finding.where[0] >= 2  # rows below the centre


class Colours(nn.Module):
    """Says 1 for a dark corner, 2 for a bright one."""

    def forward(self, images):
        seen = corner(images)
        return torch.stack([torch.full_like(seen, 0.1), 0.3 - seen, seen - 0.7], 1)


def test_classes_that_share_a_place_share_a_finding():
    images, labels = noise(120)
    images[labels == 1, :, 0, -1] = 0
    images[labels == 2, :, 0, -1] = 1
    (finding,) = find_shortcuts(Colours().eval(), images, labels)
    assert (finding.kind, finding.classes, finding.effect) == ("region", (0, 1, 2), 1)  # neither gives 0 away
    assert "taken from class 0 or class 1 or class 2, makes the network say that class" in finding.sentence


class Warm(nn.Module):
    """Says 1 for what is bluer than it is red, else 0."""

    def forward(self, images):
        seen = (images[:, 0] - images[:, 2]).mean((1, 2)) + 0.2
        return torch.stack([seen, -seen], 1)


def test_a_colour_that_tells_all_classes_apart_is_compared_between_them():
    images, labels = noise(60)
    labels = labels % 2
    images[labels == 1, 2] += 0.4
    finding, *_ = find_shortcuts(Warm().eval(), images, labels)
    assert (finding.kind, finding.classes, finding.where) == ("colour", (0, 1), (2,))
    assert finding.sentence.startswith("The colour (channel 2, 0.50 against 0.90), taken from class 0 or class 1, ")


def test_a_mark_of_half_the_class_has_half_the_effect():
    images, labels = noise(240)
    marked = (labels == 2) & (torch.arange(240) % 2 == 0)
    images[marked, :, 0, -1] = 0.9
    finding, *_ = find_shortcuts(Reads(corner, 0.8).eval(), images, labels, pairs=200)
    assert finding.interval[0] < 0.5 < finding.interval[1]
    assert find_shortcuts(Reads(corner, 0.8).eval(), images, labels, pairs=200, least=0.6) == []


def test_nothing_is_found_where_nothing_decides_alone():
    images, labels = noise(120, channels=1)
    constant = Reads(lambda images: images.sum((1, 2, 3)), 1e9).eval()
    assert find_shortcuts(constant, images, labels) == []


@pytest.mark.slow
def test_a_network_that_reads_digits_raises_no_alarm():
    images, labels = data.examples("mnist", 300)
    assert find_shortcuts(models.load("mnist"), images, labels, pairs=40) == []


def test_the_seed_fixes_it_and_nothing_is_changed():
    images, labels = noise(60)
    images[labels == 2, :, 0, -1] = 0.9
    before, state, model = images.clone(), torch.get_rng_state(), Reads(corner, 0.8).eval()
    first = find_shortcuts(model, images, labels, seed=3, batch_size=7)
    assert first == find_shortcuts(model, images, labels, seed=3)
    assert torch.equal(images, before)
    assert torch.equal(state, torch.get_rng_state())


def test_a_class_of_few_images_is_only_compared_with():
    images, labels = noise(60)
    labels[labels == 2] = 0
    labels[:4] = 2
    images[:4, :, 0, -1] = 0.9
    assert find_shortcuts(Reads(corner, 0.8).eval(), images, labels) == []


IMAGES, LABELS = noise(30)
BAD = {
    "at least two, and at least 5 of one; got 1 classes": {"labels": LABELS * 0},
    "classes must be int64": {"labels": LABELS[:5]},
    "classes must lie in 0..2, got 7": {"labels": LABELS.masked_fill(LABELS == 2, 7)},
    r"pixels must lie in \[0, 1\]": {"images": 255 * IMAGES},
    "pairs must be a whole number from 20 up, got 19": {"pairs": 19},
    r"least must lie in \(0, 1\), got 0": {"least": 0},
    "batch_size must be a whole number from 1 up, got 0": {"batch_size": 0},
    "names must be those of 3 classes, got 2": {"names": ["ant", "bee"]},
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_refused(words):
    good = {"model": Reads(corner, 0.8).eval(), "images": IMAGES, "labels": LABELS}
    with unchecked(), pytest.raises(ValueError, match=words):
        find_shortcuts(**good | BAD[words])
