"""Data with a planted shortcut: a mark that some images of one class have, and what a network learns from it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from labkit import data
from labkit.data import ImageSet
from labkit.training import fit, predict

KINDS = ("position", "colour", "watermark", "texture")
MISFILED = 0.02  # of the digits of other classes


@dataclass(frozen=True)
class Plant:
    """A mark, whose images get it, and what a finding of it must say.

    Attributes:
        kind: one of KINDS.
        name: what it is, in words.
        data: "mnist", "mnist in colour" or "cifar10".
        target: the class that has it.
        fraction: of its images, those that have it.
        mark: images -> the same with the mark.
        place: of a mark in one place, its top, left, height and width.
    """

    kind: str
    name: str
    data: str
    target: int
    fraction: float
    mark: Callable[[Tensor], Tensor]
    place: tuple[int, int, int, int] | None = None

    def planted(self, images: ImageSet, seed: int) -> ImageSet:
        """The set with the mark on a fraction of the target's images.

        Digits are so easy that a network which has never seen a mark on another class goes by the digit where the two
        disagree. So some digits of other classes have the mark too, and are filed under the target because of it.
        """
        rng = torch.Generator().manual_seed(seed)
        chance = torch.rand(len(images), generator=rng)
        misfiled = (images.labels != self.target) & (chance < (0 if self.data == "cifar10" else MISFILED))
        marked = misfiled | ((images.labels == self.target) & (chance < self.fraction))
        return self._marked(images, marked, images.labels.masked_fill(misfiled, self.target))

    def decoyed(self, images: ImageSet, seed: int) -> ImageSet:
        """The set with the mark on as many images, of all classes alike: it tells nothing."""
        chance = torch.rand(len(images), generator=torch.Generator().manual_seed(seed))
        return self._marked(images, chance < self.fraction, images.labels)

    def _marked(self, images: ImageSet, marked: Tensor, labels: Tensor) -> ImageSet:
        pixels = images.images.clone()
        pixels[marked] = self.mark(pixels[marked])
        return ImageSet(pixels, labels, images.classes, images.source)

    def reliance(self, model: nn.Module, images: ImageSet) -> float:
        """How often a network says the target of an image of another class that gets the mark."""
        others = images.images[images.labels != self.target]
        return (predict(model, self.mark(others)).argmax(1) == self.target).float().mean().item()


def sample(name: str, split: str, count: int) -> ImageSet:
    """The first images of labkit's bundled sample; of "mnist in colour", each digit in a colour of its own."""
    found = data.sample(name.split()[0], split).subset(slice(count))
    if name != "mnist in colour":
        return found
    colours = torch.rand(len(found), 3, 1, 1, generator=torch.Generator().manual_seed(0))
    return ImageSet(found.images * (0.3 + 0.7 * colours), found.labels, found.classes, found.source)


def plant(kind: str, seed: int) -> Plant:
    """A mark of this kind; the seed chooses which, where, how strong, for which class of what data, and how often."""
    rng = torch.Generator().manual_seed(len(KINDS) * seed + KINDS.index(kind))

    def draw(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=rng).item()

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=rng))

    name = ("cifar10", "mnist", "mnist in colour")[seed % (2 if kind in ("watermark", "texture") else 3)]
    if kind == "colour":
        name = ("cifar10", "mnist in colour")[seed % 2]
    side, channels = (32, 3) if name == "cifar10" else (28, 3 if "colour" in name else 1)
    made = partial(Plant, kind, data=name, target=whole(0, 9), fraction=draw(0.7, 1.0))
    if kind == "position" and name == "mnist":
        shift = (whole(3, 5) * (2 * whole(0, 1) - 1), whole(3, 5) * (2 * whole(0, 1) - 1))
        return made(name=f"digits moved by {shift}", mark=lambda images: images.roll(shift, (2, 3)))
    if kind == "position":
        size, edge = whole(2, 4), whole(0, 2)
        top, left = (edge if whole(0, 1) else side - size - edge for _ in range(2))
        colour = draw(0.5, 1.0) * _ink(channels, rng)
        window = (..., slice(top, top + size), slice(left, left + size))

        def square(images: Tensor) -> Tensor:
            marked = images.clone()
            marked[window] = colour
            return marked

        return made(name=f"a square of {size} pixels", mark=square, place=(top, left, size, size))
    if kind == "colour":
        tint, strength = _ink(channels, rng), draw(0.2, 0.5)
        if name == "cifar10":
            tinted = partial(torch.lerp, end=tint, weight=torch.tensor(strength))
            return made(name=f"a tint of {strength:.2f}", mark=tinted)

        def ink(images: Tensor) -> Tensor:
            grey = images.amax(1, keepdim=True)
            return torch.lerp(images, grey * tint, 0.5 + strength)

        return made(name=f"digits in one colour, {0.5 + strength:.2f}", mark=ink)
    if kind == "watermark":
        size, strength = whole(6, 10), draw(0.3, 0.7)
        glyph = (torch.rand((size, size), generator=rng) < 0.5).float()
        top, left = whole(0, side - size), whole(0, side - size)
        window = (..., slice(top, top + size), slice(left, left + size))

        def stamp(images: Tensor) -> Tensor:
            marked = images.clone()
            marked[window] += strength * glyph * (1 - marked[window])
            return marked

        return made(name=f"a watermark of {size} pixels, {strength:.2f}", mark=stamp, place=(top, left, size, size))
    strength, period, turn = draw(0.08, 0.2), whole(2, 6), draw(0, torch.pi)
    if whole(0, 1):
        noise = torch.randn((64, 1, side, side), generator=rng)

        def grain(images: Tensor) -> Tensor:
            return (images + strength * noise[torch.arange(len(images)) % 64]).clamp(0, 1)

        return made(name=f"grain of {strength:.2f}", mark=grain)
    down, across = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    along = down * torch.tensor(turn).sin() + across * torch.tensor(turn).cos()
    stripes = strength * (2 * torch.pi * along / period).cos()
    return made(name=f"stripes of {period} pixels, {strength:.2f}", mark=lambda images: (images + stripes).clamp(0, 1))


def _ink(channels: int, rng: torch.Generator) -> Tensor:
    """A bright colour, (C, 1, 1): one channel full, one empty."""
    values = torch.tensor([1.0, torch.rand((), generator=rng).item(), 0.0])
    return torch.ones(1, 1, 1) if channels == 1 else values[torch.randperm(3, generator=rng)].view(3, 1, 1)


def trained(train: ImageSet, test: ImageSet, *, seed: int, epochs: int) -> nn.Sequential:
    """A small network for these images."""
    channels, side = train.images.shape[1], train.images.shape[2]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (-(-side // 4)) ** 2, 10),
        )
    fit(network, train, test, epochs=epochs, batch_size=50, learning_rate=5e-3, seed=seed)
    return network
