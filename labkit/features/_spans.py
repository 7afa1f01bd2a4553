"""What each row and column of a layer's output sees of the image, followed through the network's graph.

A network that torch.fx traces is a list of operations. Each has a rule here: what its output sees, given what its
inputs see. What is traced are names of axes ("n", "c", "h", "w") and, for each row and column, the first and last row
or column of pixels; no pixel is computed.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError
from torch.nn import functional as F

from labkit.layers import POINTWISE, Pair, Window, children_of, find_layer, is_pointwise, is_sequential, window_of


@dataclass(frozen=True, eq=False)
class Spans:
    """What a tensor on its way through a network sees.

    Attributes:
        rows: (h, 2), for each of its rows the first and the last row of pixels that it sees.
        columns: (w, 2), likewise.
        axes: the names of its dimensions; a dimension that several were flattened to has all of their letters, and
            one whose rows or columns have been summed up has none of them any more.
    """

    rows: Int64[Tensor, "h 2"]
    columns: Int64[Tensor, "w 2"]
    axes: tuple[str, ...] = ("n", "c", "h", "w")

    def of(self, letter: str) -> Tensor:
        return self.rows if letter == "h" else self.columns

    def having(self, letter: str, seen: Tensor) -> "Spans":
        return replace(self, rows=seen) if letter == "h" else replace(self, columns=seen)


def spans(model: nn.Module, layer: str, image_size: Pair) -> Spans:
    """What every row and every column of a layer's output sees.

    Raises:
        ValueError: unknown layer; images too small for the network; an operation without a rule.
    """
    find_layer(model, layer)
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(f"image_size must be (height, width), both at least 1, got {image_size!r}")
    graph, outputs = _trace(model)
    if layer not in outputs:
        raise ValueError(f"layer {layer!r} is part of the network, but is not run on its own")
    known: dict[fx.Node, Any] = {}  # Spans, or several of them
    for node in graph.nodes:
        if node.op == "placeholder" and not known:
            known[node] = Spans(_pixels(image_size[0]), _pixels(image_size[1]))
        elif any(parent in known for parent in node.all_input_nodes) and node.target not in ABOUT_SHAPES:
            arguments, options = fx.map_arg((node.args, node.kwargs), lambda parent: known.get(parent, parent))
            try:
                known[node] = _rule(model, node)(*arguments, **options)
            except (TypeError, NotImplementedError) as error:  # as called here, it does something else
                raise _no_rule(node.target) from error
        if node is outputs[layer]:
            return known[node]
    raise AssertionError("the graph does not hold its own output")


def _pixels(count: int) -> Tensor:
    return torch.arange(count)[:, None].expand(-1, 2)


class _Tracer(fx.Tracer):
    """Steps into everything that has no rule of its own, and remembers which node is each module's output."""

    def __init__(self):
        super().__init__()
        self.record_stack_traces = False  # they take nearly all of the time
        self.outputs: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _module_rule(m) is not None

    def call_module(self, m: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.outputs[self.path_of_module(m)] = result.node
        return result


def _trace(model: nn.Module) -> tuple[fx.Graph, dict[str, fx.Node]]:
    tracer = _Tracer()
    try:
        return tracer.trace(_apart(model)), tracer.outputs
    except (TraceError, TypeError, AttributeError) as error:
        raise ValueError(f"the network's graph cannot be traced: {error}") from error


def _apart(module: nn.Module) -> nn.Module:
    """A copy with the same weights, where a module that stands at several places of a sequence is one at each."""
    twin = object.__new__(type(module))  # copy.copy refuses modules with parametrizations
    vars(twin).update(vars(module))
    if is_sequential(module):
        vars(twin)["_modules"] = {name: _apart(child) for name, child in children_of(module).items()}
    return twin


# The rules of modules: (Spans) -> Spans.


def _module_rule(module: nn.Module) -> Callable[[Spans], Spans] | None:
    if is_pointwise(module) and type(module).__name__ != "BatchNormAct2d":  # its parts are followed one by one
        return _same
    if window := window_of(module):
        if getattr(module, "padding_mode", "zeros") != "zeros":
            mode = module.padding_mode
            return lambda seen: _refuse(f"padding must be with zeros, which are no pixels, got padding_mode={mode!r}")
        return lambda seen: _windows(window, seen)
    rule = MODULES.get(type(module))
    return None if rule is None else lambda seen: rule(module, seen)


def _refuse(message: str) -> Spans:
    raise ValueError(message)


def _same(seen: Spans, *_options: Any, **_more: Any) -> Spans:
    return seen


def _windows(window: Window, seen: Spans) -> Spans:
    _expect_maps(seen)
    return Spans(_slide(window, 0, seen.rows), _slide(window, 1, seen.columns))


def _slide(window: Window, number: int, axis: Tensor) -> Tensor:
    """A window on its way along one axis: (inputs, 2) -> (outputs, 2)."""
    count = window.outputs(number, len(axis))
    first, _ = window.seen(number, 0, 1)
    taps = torch.arange(count)[:, None] * window.stride[number] + first
    taps = taps + torch.arange(window.size[number]) * window.dilation[number]  # (outputs, size)
    outside = (taps < 0) | (taps >= len(axis))
    seen = axis[taps.clamp(0, len(axis) - 1)]  # (outputs, size, 2)
    first = seen[..., 0].masked_fill(outside, torch.iinfo(torch.int64).max).amin(1)
    last = seen[..., 1].masked_fill(outside, -1).amax(1)
    return torch.stack([first, last], dim=1)


def _bins(size: int | tuple[int | None, int | None] | None, seen: Spans) -> Spans:
    """Adaptive pooling."""
    _expect_maps(seen)
    wanted = size if isinstance(size, tuple) else (size, size)
    axes = []
    for count, axis in zip(wanted, (seen.rows, seen.columns), strict=True):
        inputs = len(axis)
        count = inputs if count is None else count
        bins = [axis[n * inputs // count : -((n + 1) * inputs // -count)] for n in range(count)]
        axes.append(torch.stack([_all(part)[0] for part in bins]))
    return Spans(*axes)


def _dense(_layer: Any, seen: Spans) -> Spans:
    """Sums over the last dimension, whatever it is."""
    return replace(_summed(seen, seen.axes[-1]), axes=(*seen.axes[:-1], "c"))


def _normalized(sizes: Sequence[int] | None, seen: Spans) -> Spans:
    """Each position depends on all of the last dimensions, or, without sizes, on all positions."""
    letters = "hw" if sizes is None else "".join(seen.axes[-len(sizes) :])
    for letter in set("hw") & set(letters):
        seen = seen.having(letter, _all(seen.of(letter)).expand(len(seen.of(letter)), 2))
    return seen


def _all(axis: Tensor) -> Tensor:
    """What several rows or columns see together: (n, 2) -> (1, 2)."""
    return torch.stack([axis[:, 0].min(), axis[:, 1].max()])[None]


def _summed(seen: Spans, letters: str) -> Spans:
    for letter in set("hw") & set(letters):
        seen = seen.having(letter, _all(seen.of(letter)))
    return seen


def _expect_maps(seen: Spans) -> None:
    if seen.axes != ("n", "c", "h", "w"):
        raise ValueError(f"a window must slide over (n, c, h, w), got a tensor of the dimensions {seen.axes}")


MODULES: dict[type[nn.Module], Callable[[Any, Spans], Spans]] = {
    nn.Linear: _dense,
    nn.Flatten: lambda layer, seen: _flatten(seen, layer.start_dim, layer.end_dim),
    nn.LayerNorm: lambda layer, seen: _normalized(layer.normalized_shape, seen),
    nn.Softmax2d: lambda _layer, seen: seen,
    nn.ZeroPad2d: lambda layer, seen: _padded(seen, layer.padding),
    **dict.fromkeys((nn.GroupNorm, nn.InstanceNorm2d), lambda _layer, seen: _normalized(None, seen)),
    **dict.fromkeys((nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d), lambda layer, seen: _bins(layer.output_size, seen)),
}


# The rules of functions and of methods of tensors, called as these are.


def _rule(model: nn.Module, node: fx.Node) -> Callable[..., Any]:
    operation: Any = node.target
    if node.op == "call_module" and (rule := _module_rule(model.get_submodule(operation))):
        return rule
    name = operation if isinstance(operation, str) else getattr(operation, "__name__", repr(operation))
    if operation in FUNCTIONS:
        return FUNCTIONS[operation]
    if name.strip("_") in ALONE:
        return _same
    raise _no_rule(operation)


def _no_rule(operation: Any) -> ValueError:
    name = operation if isinstance(operation, str) else getattr(operation, "__name__", repr(operation))
    return ValueError(f"there is no rule for what {name!r} sees")


def _together(*inputs: Any, **_options: Any) -> Spans:
    """Where branches meet, an output sees what any of its inputs sees."""
    branches = [each for each in inputs if isinstance(each, Spans)]
    if len({each.axes for each in branches}) > 1:
        raise NotImplementedError
    axes = []
    for letter in "hw":
        seen = [each.of(letter) for each in branches]
        firsts = torch.stack(torch.broadcast_tensors(*(each[:, 0] for each in seen)))
        lasts = torch.stack(torch.broadcast_tensors(*(each[:, 1] for each in seen)))
        axes.append(torch.stack([firsts.amin(0), lasts.amax(0)], dim=1))
    return Spans(axes[0], axes[1], branches[0].axes)


def _cat(tensors: Sequence[Spans], dim: int = 0) -> Spans:
    letter = tensors[0].axes[dim]
    if letter not in ("h", "w"):
        return _together(*tensors)
    other = _together(*(each.having(letter, tensors[0].of(letter)) for each in tensors))
    return other.having(letter, torch.cat([each.of(letter) for each in tensors]))


def _permute(seen: Spans, *order: Any) -> Spans:
    places = order[0] if isinstance(order[0], tuple | list) else order
    return replace(seen, axes=tuple(seen.axes[place] for place in places))


def _transpose(seen: Spans, one: int, other: int) -> Spans:
    axes = list(seen.axes)
    axes[one], axes[other] = axes[other], axes[one]
    return replace(seen, axes=tuple(axes))


def _flatten(seen: Spans, start_dim: int = 0, end_dim: int = -1) -> Spans:
    start, end = start_dim % len(seen.axes), end_dim % len(seen.axes)
    return replace(seen, axes=(*seen.axes[:start], "".join(seen.axes[start : end + 1]), *seen.axes[end + 1 :]))


def _view(seen: Spans, *shape: Any) -> Spans:
    sizes = tuple(shape[0]) if isinstance(shape[0], tuple | list) else shape
    if len(sizes) == 2:  # (n, everything else)
        return _flatten(seen, 1)
    if len(sizes) == 4 and sizes[2:] == (1, 1) and len(seen.axes) == 2:
        return replace(_summed(seen, "hw"), axes=("n", "c", "h", "w"))
    raise NotImplementedError


def _reduced(seen: Spans, dim: int | Sequence[int] | None = None, keepdim: bool = False, **_options: Any) -> Spans:
    places = range(len(seen.axes)) if dim is None else [dim] if isinstance(dim, int) else dim
    places = {place % len(seen.axes) for place in places}
    result = _summed(seen, "".join(seen.axes[place] for place in places))
    kept = tuple(name for place, name in enumerate(seen.axes) if place not in places)
    return result if keepdim else replace(result, axes=kept)


def _squeezed(seen: Spans, dim: int) -> Spans:
    return replace(seen, axes=tuple(name for place, name in enumerate(seen.axes) if place != dim % len(seen.axes)))


def _unsqueezed(seen: Spans, dim: int) -> Spans:
    place = dim % (len(seen.axes) + 1)
    missing = [letter for letter in "nchw" if letter not in "".join(seen.axes)]
    return replace(seen, axes=(*seen.axes[:place], missing[0] if missing else "", *seen.axes[place:]))


def _chunk(seen: Spans, chunks: int, dim: int = 0) -> tuple[Spans, ...]:
    if seen.axes[dim] != "c":
        raise NotImplementedError
    return (seen,) * chunks


def _item(seen: Any, key: Any) -> Any:
    if not isinstance(seen, Spans):
        return seen[key]
    keys = key if isinstance(key, tuple) else (key,)
    for place, each in enumerate(keys):
        letter = seen.axes[place]
        if each != slice(None) and letter not in ("n", "c", "h", "w"):
            raise NotImplementedError
        if letter in "hw" and isinstance(each, slice):
            seen = seen.having(letter, seen.of(letter)[each])
        elif letter in "hw" or not isinstance(each, int | slice):
            raise NotImplementedError
    gone = {place for place, each in enumerate(keys) if isinstance(each, int)}
    return replace(seen, axes=tuple(name for place, name in enumerate(seen.axes) if place not in gone))


def _padded(seen: Spans, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Spans:
    if mode != "constant":
        raise NotImplementedError
    for place in range(len(pad) // 2):
        letter, (before, after) = seen.axes[-1 - place], pad[2 * place : 2 * place + 2]
        if letter not in ("h", "w") or min(before, after) < 0:
            raise NotImplementedError
        nothing = torch.tensor([[torch.iinfo(torch.int64).max, -1]])
        parts = [nothing.expand(before, 2), seen.of(letter), nothing.expand(after, 2)]
        seen = seen.having(letter, torch.cat(parts))
    return seen


def _pooled(kind: type[nn.Module]) -> Callable[..., Spans]:
    """F.max_pool2d and F.avg_pool2d take the options of the layers."""

    def rule(seen: Spans, *options: Any, **more: Any) -> Spans:
        window = window_of(kind(*options, **more))
        assert window is not None
        return _windows(window, seen)

    return rule


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((operator.add, operator.iadd, operator.sub, operator.isub, torch.add, torch.sub), _together),
    **dict.fromkeys((operator.mul, operator.imul, operator.truediv, torch.mul, torch.div), _together),
    **dict.fromkeys(("add", "add_", "sub", "mul", "mul_", "div", torch.maximum, torch.minimum), _together),
    **dict.fromkeys((torch.cat, torch.concat), _cat),
    **dict.fromkeys((torch.permute, "permute"), _permute),
    **dict.fromkeys((torch.transpose, "transpose", torch.swapaxes), _transpose),
    **dict.fromkeys((torch.flatten, "flatten"), _flatten),
    **dict.fromkeys((torch.reshape, "reshape", "view"), _view),
    **dict.fromkeys((torch.mean, "mean", torch.sum, "sum", torch.amax, "amax"), _reduced),
    **dict.fromkeys((torch.squeeze, "squeeze"), _squeezed),
    **dict.fromkeys((torch.unsqueeze, "unsqueeze"), _unsqueezed),
    **dict.fromkeys((torch.chunk, "chunk"), _chunk),
    operator.getitem: _item,
    F.pad: _padded,
    F.linear: lambda seen, *_weights: _dense(None, seen),
    F.layer_norm: lambda seen, normalized_shape, *_more, **_options: _normalized(normalized_shape, seen),
    F.max_pool2d: _pooled(nn.MaxPool2d),
    F.avg_pool2d: _pooled(nn.AvgPool2d),
    F.adaptive_avg_pool2d: lambda seen, output_size: _bins(output_size, seen),
}
# Names of functions and methods that treat each position alone.
ALONE = {layer.__name__.lower() for layer in POINTWISE} | {"contiguous", "clone", "float", "batch_norm", "leaky_relu"}
ALONE |= {"clamp", "dropout", "stochastic_depth", "drop_path", "softplus", "logsigmoid", "square", "sqrt", "exp", "abs"}
ABOUT_SHAPES = {getattr, operator.eq, torch._assert, "size", "dim"}  # they read no pixels
