"""The two norms by which attacks measure a change of an image, and what projected gradient descent needs of each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Norm(NamedTuple):
    """A norm of changes (N, C, H, W). An eps is one number, or one for each image, (N, 1, 1, 1).

    Attributes:
        length: change -> (N, 1, 1, 1).
        step: (direction, images) -> the change of length 1 that goes farthest in that direction.
        project: (change, eps) -> the nearest change whose length is at most eps.
        draw: (images, eps, generator) -> for each image a random change whose length is at most eps, drawn uniformly.
        diameter: (the numbers of an image) -> the largest length in the box [0, 1].
    """

    length: Callable[[Tensor], Tensor]
    step: Callable[[Tensor, Tensor], Tensor]
    project: Callable[[Tensor, float | Tensor], Tensor]
    draw: Callable[[Tensor, float, torch.Generator], Tensor]
    diameter: Callable[[int], float]


def linf_length(change: Tensor) -> Tensor:
    """The largest change of a pixel."""
    return change.abs().amax((1, 2, 3), keepdim=True)


def linf_step(direction: Tensor, images: Tensor) -> Tensor:
    """Every pixel by 1, up or down."""
    return direction.sign()


def linf_project(change: Tensor, eps: float | Tensor) -> Tensor:
    """Every pixel's change clipped to eps."""
    return change.clamp(-eps, eps)  # pyright: ignore[reportCallIssue, reportArgumentType]


def linf_draw(images: Tensor, eps: float, rng: torch.Generator) -> Tensor:
    """Every pixel's change drawn from U[-eps, eps]."""
    return eps * (2 * torch.rand(images.shape, generator=rng, device=images.device, dtype=images.dtype) - 1)


def l2_length(change: Tensor) -> Tensor:
    """The Euclidean length of the whole change."""
    return change.flatten(1).norm(dim=1)[:, None, None, None]


def length_or_one(change: Tensor) -> Tensor:
    """The Euclidean length to divide by: 1 where it is 0, so that nothing stays nothing."""
    length = l2_length(change)
    return length.masked_fill(length == 0, 1)


def l2_step(direction: Tensor, images: Tensor) -> Tensor:
    """Along the direction, with nothing spent on pixels that are black and would go down, or white and would go up."""
    blocked = ((images <= 0) & (direction < 0)) | ((images >= 1) & (direction > 0))
    direction = direction.masked_fill(blocked, 0)
    return direction / length_or_one(direction)


def l2_project(change: Tensor, eps: float | Tensor) -> Tensor:
    """The change shortened to eps where it is longer."""
    return change * (eps / length_or_one(change)).clamp_max(1)


def l2_draw(images: Tensor, eps: float, rng: torch.Generator) -> Tensor:
    """A uniform point of the ball: a random direction, and a radius whose power, by the dimension, is uniform."""
    direction = torch.randn(images.shape, generator=rng, device=images.device, dtype=images.dtype)
    radius = torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device, dtype=images.dtype)
    return eps * radius ** (1 / images[0].numel()) * direction / l2_length(direction)


NORMS = {
    "linf": Norm(linf_length, linf_step, linf_project, linf_draw, lambda numbers: 1.0),
    "l2": Norm(l2_length, l2_step, l2_project, l2_draw, lambda numbers: numbers**0.5),
}
