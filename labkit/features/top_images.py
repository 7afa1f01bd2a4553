"""Top images: what a unit of a network likes best, out of a whole set."""

from dataclasses import dataclass
from typing import overload

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_counts
from labkit.data import ImageSet
from labkit.features._spans import Spans, spans
from labkit.features.receptive_field import rectangles
from labkit.layers import layer_outputs, pixels_of

Unit = int | tuple[int, int, int]
Best = tuple[Tensor, Tensor, Tensor]  # values, places and indices of the images that are the strongest so far


@dataclass(frozen=True, eq=False)
class TopImages:
    """The k images that excite a unit most, the strongest first.

    Attributes:
        indices: (k,) int64, which images they are.
        values: (k,), the unit's activation for each.
        positions: (k, 2) int64, the row and column of the layer's map where it was found; (k, 0) for a dense layer.
        rectangles: (k, 4) int64, what the unit sees from there: top, left, height and width in pixels.
        patches: k tensors (C, height, width), those pixels; smaller at the edge of an image.
    """

    indices: Int64[Tensor, " k"]
    values: Float[Tensor, " k"]
    positions: Int64[Tensor, "k axes"]
    rectangles: Int64[Tensor, "k 4"]
    patches: list[Float[Tensor, "c height width"]]


@overload
def top_images(
    model: nn.Module,
    images: Float[Tensor, "n c h w"] | ImageSet,
    layer: str,
    *,
    unit: Unit,
    k: int = 20,
    batch_size: int = 64,
) -> TopImages: ...


@overload
def top_images(
    model: nn.Module,
    images: Float[Tensor, "n c h w"] | ImageSet,
    layer: str,
    *,
    unit: list[Unit],
    k: int = 20,
    batch_size: int = 64,
) -> list[TopImages]: ...


def top_images(
    model: nn.Module,
    images: Float[Tensor, "n c h w"] | ImageSet,
    layer: str,
    *,
    unit: Unit | list[Unit],
    k: int = 20,
    batch_size: int = 64,
) -> TopImages | list[TopImages]:
    """The k images of a set for which a unit is most active, and the patch of each that the unit sees.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode; `receptive_field` must know its layers.
        images: (N, C, H, W), pixels in [0, 1], or an ImageSet. They are streamed: beyond them, memory holds one batch's
            activations and the k best so far.
        layer: its name, such as "conv1"; inside a block with dots, such as "block2.0.conv_dw".
        unit: a channel, which counts with its maximum over all positions; (channel, row, column) for one neuron of it;
            or a unit of a dense layer. A list of them takes a single pass through the network.
        k: how many images.
        batch_size: images that are run at a time.

    Returns:
        A TopImages; of a list of units, one for each. Of images with the same activation, the earlier comes first.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; unknown layer or unit (the message lists what
            there is); k not in 1..N; batch_size < 1.

    Source:
        Zeiler and Fergus 2013, arXiv:1311.2901; Girshick et al. 2013, arXiv:1311.2524, section 3.1.
    """
    pixels = pixels_of(images)
    outputs = layer_outputs(model, images, layer, batch_size)
    check_counts(most=len(pixels), k=k)
    units = unit if isinstance(unit, list) else [unit]
    best: list[Best | None] = [None] * len(units)
    start = 0
    for output in outputs:
        indices = torch.arange(start, start + len(output), device=output.device)
        start += len(output)
        found = [(*_strongest(output, each, layer), indices) for each in units]
        best = [_best_of(k, *pair) for pair in zip(best, found, strict=True)]
    seen = spans(model, layer, (pixels.shape[2], pixels.shape[3]))
    results = [_with_patches(pixels, seen, layer, *each) for each in best if each]
    return results if isinstance(unit, list) else results[0]


def _best_of(k: int, so_far: Best | None, found: Best) -> Best:
    """The k strongest of both, of equal values the earlier ones."""
    parts = zip(so_far, found, strict=True) if so_far else zip(found, strict=True)
    values, places, indices = (torch.cat(part) for part in parts)
    values, order = values.sort(descending=True, stable=True)
    return values[:k], places[order[:k]], indices[order[:k]]


def _with_patches(
    pixels: Tensor, seen: Spans, layer: str, values: Tensor, places: Tensor, indices: Tensor
) -> TopImages:
    boxes = rectangles(seen, [tuple(place) or 0 for place in places.tolist()], layer)
    patches = [
        pixels[index, :, top : top + height, left : left + width].clone()
        for index, (top, left, height, width) in zip(indices.tolist(), boxes.tolist(), strict=True)
    ]
    return TopImages(indices, values, places, boxes, patches)


def _strongest(output: Tensor, unit: int | tuple[int, int, int], layer: str) -> tuple[Tensor, Tensor]:
    """The unit's activation for each image (N,), and the row and column where it was found (N, 2)."""
    shape = tuple(output.shape[1:])
    place = (unit,) if isinstance(unit, int) else tuple(unit)
    fits = len(place) in (1, len(shape)) and all(
        isinstance(n, int) and 0 <= n < size for n, size in zip(place, shape, strict=False)
    )
    if not fits:
        ranges = [f"0..{size - 1}" for size in shape]
        known = f"(channel, row, column) in ({', '.join(ranges)})" if len(ranges) == 3 else ""
        raise ValueError(
            f"unit must be a number in {ranges[0]}{' or ' + known if known else ''} in layer {layer!r}, got {unit!r}"
        )
    channel = output[:, place[0]]
    if output.ndim == 2:
        return channel, torch.empty(len(output), 0, dtype=torch.int64, device=output.device)
    if len(place) == 3:
        positions = torch.tensor(place[1:], device=output.device).expand(len(output), 2)
        return channel[:, place[1], place[2]], positions
    values, at = channel.flatten(1).max(1)
    return values, torch.stack([at // shape[2], at % shape[2]], dim=1)
