"""Many versions of the same images, such as noisy copies, sent through a network several at a time."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from labkit.core import input_gradient


def over_versions(
    compute: Callable[[Tensor, Tensor], Tensor], versions: Iterable[Tensor], classes: Tensor, batch_size: int
) -> Iterator[Tensor]:
    """What compute returns for each version, one after the other; no more versions are made than one pass takes.

    Args:
        compute: (images, classes) -> one row an image, treating every image on its own.
        versions: tensors (N, C, H, W) of the same N images.
        classes: (N,) int64.
        batch_size: the most images in one pass.
    """
    versions, at_once = iter(versions), max(1, batch_size // len(classes))
    while some := list(islice(versions, at_once)):
        images, labels = torch.cat(some), classes.repeat(len(some))
        parts = zip(images.split(batch_size), labels.split(batch_size), strict=True)
        yield from torch.cat([compute(*part) for part in parts]).split(len(classes))


def gradients(model: nn.Module, versions: Iterable[Tensor], classes: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Gradient of each image's class logit at each version, (N, C, H, W)."""
    return over_versions(lambda *batch: input_gradient(model, *batch), versions, classes, batch_size)


def broadcast(value: float | Tensor, images: Tensor, name: str) -> Tensor:
    """A number or tensor of pixels as one image for each of the images.

    Raises:
        ValueError: it does not broadcast to them, or leaves [0, 1].
    """
    value = torch.as_tensor(value, dtype=images.dtype, device=images.device)
    try:
        value = value.expand_as(images)
    except RuntimeError as error:
        fit = f"a number or a tensor that broadcasts to {tuple(images.shape)}"
        raise ValueError(f"{name} must be {fit}, got shape {tuple(value.shape)}") from error
    if not (value.amin() >= 0 and value.amax() <= 1):
        low, high = value.amin().item(), value.amax().item()
        raise ValueError(f"{name} must have pixels in [0, 1], got values from {low:g} to {high:g}")
    return value
