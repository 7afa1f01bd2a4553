"""The receptive field: the pixels that can have an influence on a unit."""

from math import inf
from numbers import Integral

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from labkit.features._spans import Spans, spans

Unit = int | tuple[int, int] | tuple[int, int, int]


def receptive_field(model: nn.Module, layer: str, *, unit: Unit, image_size: tuple[int, int]) -> Int64[Tensor, " 4"]:
    """Receptive field: the rectangle of pixels that a unit sees, from kernel sizes, strides, paddings and dilations.

    Args:
        model: a network that torch.fx can trace, made of convolutions, poolings, dense layers, normalisations and
            operations that treat each position alone; branches may be added, multiplied or concatenated.
        layer: its name, such as "conv1"; inside a block with dots, such as "block2.0.conv_dw".
        unit: (row, column) or (channel, row, column) of the layer's output; all channels see the same. A single number
            is a whole channel, all of its positions together, or a unit of a dense layer; whether there are so many is
            not checked. After a flatten layer, name the row and column that a unit was laid out from.
        image_size: (height, width) of the images in pixels.

    Returns:
        (4,) int64: top row, left column, height and width, clipped to the image. Height and width are 0 for a unit that
        sees nothing but padding.

    Raises:
        ValueError: unknown layer, row or column; a channel below 0; images too small for the network; an operation
            without a rule.

    Source:
        Araujo, Norris and Sim 2019, doi:10.23915/distill.00021.
    """
    return rectangles(spans(model, layer, image_size), [unit], layer)[0]


def rectangles(found: Spans, units: list[Unit], layer: str) -> Int64[Tensor, "n 4"]:
    """The rectangles (N, 4) that N units of one layer see, given the layer's spans."""
    return torch.tensor([_rectangle(found, unit, layer) for unit in units])


def _rectangle(found: Spans, unit: Unit, layer: str) -> list[int]:
    height, width = len(found.rows), len(found.columns)
    place = tuple(unit) if isinstance(unit, tuple | list) else (unit,)
    sizes = {1: (inf,), 2: (height, width), 3: (inf, height, width)}.get(len(place), ())
    if not sizes or not all(isinstance(n, Integral) and 0 <= n < size for n, size in zip(place, sizes, strict=True)):
        raise ValueError(
            f"unit must be a channel, (row, column) or (channel, row, column) with rows 0..{height - 1} "
            f"and columns 0..{width - 1} in layer {layer!r}, got {unit!r}"
        )
    row, column = place[-2:] if len(place) > 1 else (slice(None), slice(None))
    (top, bottom), (left, right) = (
        (int(axis[place, ..., 0].min()), int(axis[place, ..., 1].max()))
        for axis, place in ((found.rows, row), (found.columns, column))
    )
    empty = bottom < top or right < left
    return [0, 0, 0, 0] if empty else [top, left, bottom - top + 1, right - left + 1]
