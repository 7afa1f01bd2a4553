"""Occlusion: cover one part of an image after another, and watch what the network says.

An occluded image differs from the clean one in a small window only, and so do its activations in the first layers; what
did not change is not computed again (see `_incremental`). The result is that of running the network on every one.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attribution._incremental import CleanRun
from labkit.core import check_batch, check_counts, check_logits, check_within


@dataclass(frozen=True)
class Occlusion:
    """What a network says of every image with the window at every position.

    Attributes:
        probability: (N, rows, columns), of each image's class.
        predicted: (N, rows, columns) int64, the most likely class.
        clean: (N,), the probability of each image's class when nothing is occluded.
        logits: (N, rows, columns, K).
    """

    probability: Float[Tensor, "n rows columns"]
    predicted: Int64[Tensor, "n rows columns"]
    clean: Float[Tensor, " n"]
    logits: Float[Tensor, "n rows columns k"]


@torch.no_grad()
def occlusion(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    window: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    fill: float = 0.5,
    batch_size: int = 128,
) -> Occlusion:
    """Occlusion: probability of each image's class, and the predicted class, with a window of grey at every position.

    Exact, whatever the network. Fast where it begins, as an `nn.Sequential`, with convolutions, poolings, batch norms
    and activations, or with the residual blocks of EfficientNet and ResNet, and the window is small.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to watch in each image.
        window: height and width of what is occluded, in pixels; one number for a square.
        stride: pixels from one position to the next, down and across; one number for both.
        fill: the value of occluded pixels.
        batch_size: occluded images that are in memory at once.

    Returns:
        An `Occlusion`; there are as many rows and columns as whole windows fit: (H - window) // stride + 1.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; a window larger than the image; stride or
            batch_size < 1; fill outside [0, 1].

    Source:
        Zeiler and Fergus 2013, arXiv:1311.2901; the shortcut: Nakandala, Kumar and Papakonstantinou 2019 (Krypton).
    """
    check_batch(model, images, classes)
    size = tuple(images.shape[2:])
    window, stride = _pair("window", window), _pair("stride", stride)
    if any(w > s for w, s in zip(window, size, strict=True)):
        raise ValueError(f"the window must fit into the image of {size[0]} x {size[1]} pixels, got {window}")
    check_within(0, 1, fill=fill)
    check_counts(batch_size=batch_size)
    clean, rows = [], []
    for image in images.split(1):
        run = CleanRun(model, image)
        if not clean:
            check_logits(run.logits.repeat_interleave(len(classes), 0), classes)
        clean.append(run.logits)
        rows.append(run.occluded_logits(window, stride, fill, batch_size))
    logits = torch.stack(rows)
    probabilities = logits.softmax(-1)
    own = classes[:, None]
    return Occlusion(
        probability=probabilities.take_along_dim(own[:, None, None], -1)[..., 0],
        predicted=probabilities.argmax(-1),
        clean=torch.cat(clean).softmax(1).take_along_dim(own, 1)[:, 0],
        logits=logits,
    )


def average_over_windows(
    values: Float[Tensor, "n rows columns"],
    size: tuple[int, int],
    *,
    window: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
) -> Float[Tensor, "n h w"]:
    """One value a window averaged over overlapping windows: each pixel gets the mean of all windows that cover it.

    Args:
        values: (N, rows, columns), one number a window, such as ``result.clean[:, None, None] - result.probability``.
        size: height and width of the images.
        window: as given to `occlusion`.
        stride: as given to `occlusion`.

    Returns:
        (N, H, W); 0 where no window came.

    Raises:
        ValueError: values of another number of rows and columns than windows fit into the image.
    """
    window, stride = _pair("window", window), _pair("stride", stride)
    grid = tuple((s - w) // step + 1 for s, w, step in zip(size, window, stride, strict=True))
    if values.ndim != 3 or tuple(values.shape[1:]) != grid:
        raise ValueError(f"values must have shape (N, {grid[0]}, {grid[1]}), got {tuple(values.shape)}")
    both = torch.stack([values, torch.ones_like(values)]).flatten(2)  # (2, N, windows): sums and counts
    both = both[:, :, None].expand(-1, -1, math.prod(window), -1).flatten(0, 1)
    total, count = nn.functional.fold(both, size, window, stride=stride).view(2, len(values), *size)
    return total / count.clamp_min(1)


def _pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name} must be a whole number from 1 up, or two of them, got {value!r}")
    for each in pair:
        check_counts(**{name: each})
    return pair
