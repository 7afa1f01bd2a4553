"""The receptive field: the pixels that can have an influence on a unit."""

import operator
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from labkit.layers import find_layer

Unit = int | tuple[int, int] | tuple[int, int, int]


class Spans(NamedTuple):
    """For each row of a layer's output the first and last row of pixels that it sees, and likewise for its columns."""

    rows: Tensor  # (h, 2) int64
    columns: Tensor  # (w, 2) int64


def receptive_field(model: nn.Module, layer: str, *, unit: Unit, image_size: tuple[int, int]) -> Tensor:
    """The rectangle of pixels that a unit sees, computed from kernel sizes, strides, paddings and dilations alone.

    Args:
        model: a network that torch.fx can trace, made of convolutions, poolings, dense layers and operations that
            treat each position alone; blocks whose branches are added are allowed.
        layer: its name, such as "conv1"; inside a block with dots, such as "block2.0.conv_dw".
        unit: (row, column) or (channel, row, column) of the layer's output; all channels see the same. A single number
            is a whole channel, all of its positions together, or a unit of a dense layer. After a flatten layer,
            name the row and column that a unit was laid out from.
        image_size: (height, width) of the images in pixels.

    Returns:
        (4,) int64: top row, left column, height and width, clipped to the image. Height and width are 0 for a unit that
        sees nothing but padding.

    Raises:
        ValueError: unknown layer or unit; images too small for the network; an operation without a rule.

    Source:
        Araujo, Norris and Sim 2019, doi:10.23915/distill.00021.
    """
    return rectangles(spans(model, layer, image_size), [unit], layer)[0]


def rectangles(found: Spans, units: list[Unit], layer: str) -> Tensor:
    """The rectangles (N, 4) that N units of one layer see, given the layer's spans."""
    return torch.tensor([_rectangle(found, unit, layer) for unit in units])


def _rectangle(found: Spans, unit: Unit, layer: str) -> list[int]:
    height, width = len(found.rows), len(found.columns)
    if isinstance(unit, int):
        row = column = slice(None)
    else:
        *_, row, column = unit if len(unit) in (2, 3) else (-1, -1)
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(
                f"unit must be a channel, (row, column) or (channel, row, column) with rows 0..{height - 1} "
                f"and columns 0..{width - 1} in layer {layer!r}, got {unit!r}"
            )
    (top, bottom), (left, right) = (
        (int(axis[place, ..., 0].min()), int(axis[place, ..., 1].max()))
        for axis, place in ((found.rows, row), (found.columns, column))
    )
    empty = bottom < top or right < left
    return [0, 0, 0, 0] if empty else [top, left, bottom - top + 1, right - left + 1]


def spans(model: nn.Module, layer: str, image_size: tuple[int, int]) -> Spans:
    """What every row and every column of a layer's output sees, following the network's graph from the pixels on."""
    find_layer(model, layer)
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(f"image_size must be (height, width), both at least 1, got {image_size!r}")
    graph, outputs = _trace(model)
    if layer not in outputs:
        raise ValueError(f"layer {layer!r} is part of the network, but is not run on its own")
    known: dict[fx.Node, Spans] = {}
    for node in graph.nodes:
        inputs = [known[parent] for parent in node.all_input_nodes if parent in known]
        if node.op == "placeholder":
            known[node] = Spans(*(torch.arange(size)[:, None].expand(-1, 2) for size in image_size))
        elif inputs and node.target not in ABOUT_SHAPES:  # weights see no pixels
            rule = _rule(model.get_submodule(node.target) if node.op == "call_module" else node.target)
            known[node] = rule(inputs)
        if node is outputs[layer]:
            return known[node]
    raise AssertionError("the graph does not hold its own output")


class _Tracer(fx.Tracer):
    """Steps into everything that has no rule of its own, and remembers which node is each module's output."""

    def __init__(self):
        super().__init__()
        self.record_stack_traces = False  # they take nearly all of the time
        self.outputs: dict[str, fx.Node] = {}

    def is_leaf_module(self, module: nn.Module, _name: str) -> bool:
        return type(module) in RULES

    def call_module(self, module, forward, args, kwargs):
        result = super().call_module(module, forward, args, kwargs)
        self.outputs[self.path_of_module(module)] = result.node
        return result


def _trace(model: nn.Module) -> tuple[fx.Graph, dict[str, fx.Node]]:
    tracer = _Tracer()
    try:
        return tracer.trace(model), tracer.outputs
    except (fx.proxy.TraceError, TypeError, AttributeError) as error:
        raise ValueError(f"the network's graph cannot be traced: {error}") from error


# The rules: what a layer's outputs see, given what its inputs see.


def _rule(operation) -> Callable[[list[Spans]], Spans]:
    if isinstance(operation, nn.Module):
        return lambda inputs: RULES[type(operation)](operation, inputs[0])
    if operation in POINTWISE:
        return _together
    name = operation if isinstance(operation, str) else operation.__name__
    raise ValueError(f"there is no rule for what {name!r} sees")


def _same(_layer: nn.Module, seen: Spans) -> Spans:
    return seen


def _together(inputs: list[Spans]) -> Spans:
    """Operations on each position alone; where branches meet, an output sees what any of its inputs sees."""
    axes = []
    for branches in zip(*inputs, strict=True):
        firsts, lasts = zip(*(axis.unbind(1) for axis in branches), strict=True)
        pairs = (torch.stack(torch.broadcast_tensors(*firsts)).amin(0), torch.stack(torch.broadcast_tensors(*lasts)))
        axes.append(torch.stack([pairs[0], pairs[1].amax(0)], dim=1))
    return Spans(*axes)


def _everything(_layer: nn.Module, seen: Spans) -> Spans:
    return Spans(*(torch.stack([axis[:, 0].min(), axis[:, 1].max()])[None] for axis in seen))


def _windows(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, seen: Spans) -> Spans:
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        raise ValueError(f"padding must be with zeros, which are no pixels, got padding_mode={layer.padding_mode!r}")
    return Spans(*(_slide(layer, axis, number) for number, axis in enumerate(seen)))


def _slide(layer: nn.Module, axis: Tensor, number: int) -> Tensor:
    """A window on its way along one axis: (inputs, 2) -> (outputs, 2)."""
    size, step, spread = (_pair(getattr(layer, name, 1))[number] for name in ("kernel_size", "stride", "dilation"))
    before, after = _padding(layer, number)
    reach = spread * (size - 1) + 1
    room, up = len(axis) + before + after - reach, getattr(layer, "ceil_mode", False)
    count = (room + (step - 1 if up else 0)) // step + 1
    if up and (count - 1) * step >= len(axis) + before:
        count -= 1  # the last window may hang over the edge, but must begin inside
    if count < 1:
        raise ValueError(f"the image is too small: a window of {reach} meets {len(axis)} + {before + after} of padding")
    taps = torch.arange(count)[:, None] * step - before + torch.arange(size) * spread  # (outputs, size)
    outside = (taps < 0) | (taps >= len(axis))
    seen = axis[taps.clamp(0, len(axis) - 1)]  # (outputs, size, 2)
    first = seen[..., 0].masked_fill(outside, torch.iinfo(torch.int64).max).amin(1)
    last = seen[..., 1].masked_fill(outside, -1).amax(1)
    return torch.stack([first, last], dim=1)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _padding(layer: nn.Module, number: int) -> tuple[int, int]:
    """Zeros before and after one axis; "same" may need one more after."""
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        total = layer.dilation[number] * (layer.kernel_size[number] - 1)
        return total // 2, total - total // 2
    return (_pair(layer.padding)[number],) * 2


def _bins(layer: nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d, seen: Spans) -> Spans:
    axes = []
    for wanted, axis in zip(_pair(layer.output_size), seen, strict=True):
        count, inputs = len(axis) if wanted is None else wanted, len(axis)
        bins = [axis[n * inputs // count : -((n + 1) * inputs // -count)] for n in range(count)]
        axes.append(torch.stack([torch.stack([part[:, 0].min(), part[:, 1].max()]) for part in bins]))
    return Spans(*axes)


RULES: dict[type[nn.Module], Callable[[nn.Module, Spans], Spans]] = {
    **dict.fromkeys((nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d), _windows),
    **dict.fromkeys((nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d), _bins),
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh), _same),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten), _same),
    nn.Linear: _everything,
}
POINTWISE = {operator.add, operator.iadd, operator.sub, operator.mul, operator.truediv, torch.add, torch.sub, torch.mul}
POINTWISE |= {F.relu, F.relu6, F.silu, F.dropout, F.batch_norm, torch.relu, torch.flatten, "flatten", "contiguous"}
ABOUT_SHAPES = {getattr, operator.eq, torch._assert, "size", "dim"}  # they read no pixels
