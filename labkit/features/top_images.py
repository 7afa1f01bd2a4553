"""Top images: what a unit of a network likes best, out of a whole set."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_counts
from labkit.data import ImageSet
from labkit.features._spans import spans
from labkit.features.receptive_field import rectangles
from labkit.layers import layer_outputs, pixels_of


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


def top_images(
    model: nn.Module,
    images: Float[Tensor, "n c h w"] | ImageSet,
    layer: str,
    *,
    unit: int | tuple[int, int, int],
    k: int = 20,
    batch_size: int = 64,
) -> TopImages:
    """The k images of a set for which a unit is most active, and the patch of each that the unit sees.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode; `receptive_field` must know its layers.
        images: (N, C, H, W), pixels in [0, 1], or an ImageSet. They are streamed: beyond them, memory holds one batch's
            activations and the k best so far.
        layer: its name, such as "conv1"; inside a block with dots, such as "block2.0.conv_dw".
        unit: a channel, which counts with its maximum over all positions; (channel, row, column) for one neuron of it;
            or a unit of a dense layer.
        k: how many images.
        batch_size: images that are run at a time.

    Returns:
        A TopImages. Of images with the same activation, the earlier comes first.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; unknown layer or unit (the message lists what
            there is); k not in 1..N; batch_size < 1.

    Source:
        Zeiler and Fergus 2013, arXiv:1311.2901; Girshick et al. 2013, arXiv:1311.2524, section 3.1.
    """
    pixels = pixels_of(images)
    outputs = layer_outputs(model, images, layer, batch_size)
    check_counts(most=len(pixels), k=k)
    best: tuple[Tensor, Tensor, Tensor] | None = None  # values, places and indices
    start = 0
    for output in outputs:
        values, places = _strongest(output, unit, layer)
        indices = torch.arange(start, start + len(output), device=output.device)
        start += len(output)
        if best is not None:
            pairs = zip(best, (values, places, indices), strict=True)
            values, places, indices = (torch.cat(pair) for pair in pairs)
        values, order = values.sort(descending=True, stable=True)
        best = values[:k], places[order[:k]], indices[order[:k]]
    assert best is not None  # there is an image
    values, places, indices = best
    seen = spans(model, layer, (pixels.shape[2], pixels.shape[3]))
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
