"""The rules of reverse mode: what each ONNX operator hands back to its inputs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from labkit.export._writer import Writer
from labkit.extras import needs

with needs("export"):
    from onnx import NodeProto, helper


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


# The rules: the gradients of a node's inputs, from that of its first output. None for what needs none.

Rule = Callable[[Writer, NodeProto, str], Sequence[str | None]]


def _times(factor: Callable[[Writer, NodeProto], str]) -> Rule:
    """For operators on each number alone: the gradient times their derivative."""
    return lambda graph, node, gradient: [graph.node("Mul", gradient, factor(graph, node))]


def _inside(graph: Writer, node: NodeProto, low: str | None, high: str | None) -> str:
    """1 where the input lies strictly between two bounds."""
    masks = [graph.where("Greater", node.input[0], low)] if low else []
    masks += [graph.where("Less", node.input[0], high)] if high else []
    return masks[0] if len(masks) == 1 else graph.node("Mul", *masks)


def _clip(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    bounds = [name or None for name in [*node.input[1:], "", ""][:2]]
    if bounds == [None, None]:
        return [gradient]
    return [graph.node("Mul", gradient, _inside(graph, node, *bounds))]


def _sigmoid(graph: Writer, node: NodeProto) -> str:
    out = node.output[0]
    return graph.node("Mul", out, graph.node("Sub", graph.number(1), out))


def _tanh(graph: Writer, node: NodeProto) -> str:
    return graph.node("Sub", graph.number(1), graph.node("Mul", node.output[0], node.output[0]))


def _hard_sigmoid(graph: Writer, node: NodeProto) -> str:
    options = {"alpha": 0.2, "beta": 0.5} | _attributes(node)
    low, high = -options["beta"] / options["alpha"], (1 - options["beta"]) / options["alpha"]
    mask = _inside(graph, node, graph.number(low), graph.number(high))
    return graph.node("Mul", mask, graph.number(options["alpha"]))


def _hard_swish(graph: Writer, node: NodeProto) -> str:
    """0 below -3, 1 above 3, and x / 3 + 1 / 2 in between."""
    slope = graph.node("Add", graph.node("Div", node.input[0], graph.number(3)), graph.number(0.5))
    middle = graph.node("Mul", _inside(graph, node, graph.number(-3), graph.number(3)), slope)
    return graph.node("Add", middle, graph.where("GreaterOrEqual", node.input[0], graph.number(3)))


def _leaky_relu(graph: Writer, node: NodeProto) -> str:
    alpha = _attributes(node).get("alpha", 0.01)
    rest = graph.node("Mul", graph.where("Greater", node.input[0], graph.number(0)), graph.number(1 - alpha))
    return graph.node("Add", rest, graph.number(alpha))


def _erf(graph: Writer, node: NodeProto) -> str:
    square = graph.node("Mul", node.input[0], node.input[0])
    return graph.node("Mul", graph.node("Exp", graph.node("Neg", square)), graph.number(2 / math.sqrt(math.pi)))


def _both(first: Callable[[Writer, NodeProto, str], str], second: Callable[[Writer, NodeProto, str], str]) -> Rule:
    """For operators on two tensors that may be broadcast to each other."""

    def rule(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
        return [
            graph.summed(part(graph, node, gradient), name, node.output[0]) if name in graph.varying else None
            for part, name in zip((first, second), node.input, strict=True)
        ]

    return rule


def _divisor(graph: Writer, node: NodeProto, gradient: str) -> str:
    """d(a / b) / db = -(a / b) / b."""
    ratio = graph.node("Div", node.output[0], node.input[1])
    return graph.node("Neg", graph.node("Mul", gradient, ratio))


def _plain(_graph: Writer, _node: NodeProto, gradient: str) -> str:
    return gradient


def _window(graph: Writer, node: NodeProto, kernel: Sequence[int]) -> dict[str, Any]:
    """The options of a window that ONNX lets one leave out."""
    given = _attributes(node)
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or given.get("ceil_mode", 0):
        raise ValueError(f"{node.op_type} {node.name!r} has no rule for its gradient with {given}")
    count = len(kernel)
    return {
        "kernel_shape": list(kernel),
        "strides": list(given.get("strides", [1] * count)),
        "pads": list(given.get("pads", [0] * 2 * count)),
        "dilations": list(given.get("dilations", [1] * count)),
    }


def _back(graph: Writer, node: NodeProto, gradient: str, weight: str, window: dict[str, Any], group: int) -> str:
    """A convolution's gradient: the transposed convolution, of the same window."""
    inputs, outputs = graph.sizes(node.input[0], 2), graph.sizes(node.output[0], 2)
    rest = []
    for axis, (size, count) in enumerate(zip(inputs, outputs, strict=True)):
        reach = (window["kernel_shape"][axis] - 1) * window["dilations"][axis] + 1
        around = window["pads"][axis] + window["pads"][axis + len(inputs)]
        rest.append(size + around - (count - 1) * window["strides"][axis] - reach)  # what no window came to
    return graph.node("ConvTranspose", gradient, weight, group=group, output_padding=rest, **window)


def _conv(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    window, group = _window(graph, node, graph.sizes(node.input[1], 2)), _attributes(node).get("group", 1)
    found: list[str | None] = [None, None, None]
    if node.input[0] in graph.varying:
        found[0] = _back(graph, node, gradient, node.input[1], window, group)
    if node.input[1] in graph.varying and group == 1:
        found[1] = _kernel(graph, node, gradient, window)
    if len(node.input) > 2 and node.input[2] in graph.varying:
        found[2] = graph.node("ReduceSum", gradient, graph.integers([0, 2, 3]), keepdims=0)
    return found


def _kernel(graph: Writer, node: NodeProto, gradient: str, window: dict[str, Any]) -> str:
    """The gradient of a kernel: a convolution of the input with the output's gradient, images and channels swapped."""
    x, g = (graph.node("Transpose", name, perm=[1, 0, 2, 3]) for name in (node.input[0], gradient))
    found = graph.node("Conv", x, g, pads=window["pads"], strides=window["dilations"], dilations=window["strides"])
    bounds = map(graph.integers, ([0, 0], window["kernel_shape"], [2, 3]))  # a stride may leave more
    return graph.node("Transpose", graph.node("Slice", found, *bounds), perm=[1, 0, 2, 3])


def _conv_transpose(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    window = _window(graph, node, graph.sizes(node.input[1], 2))
    return [graph.node("Conv", gradient, node.input[1], group=_attributes(node).get("group", 1), **window)]


def _average_pool(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    given = _attributes(node)
    window = _window(graph, node, given["kernel_shape"])
    counts = np.array(math.prod(window["kernel_shape"]))
    if any(window["pads"]) and not given.get("count_include_pad", 0):  # at the edge it averages over fewer
        inputs, outputs = graph.sizes(node.input[0], 2), graph.sizes(node.output[0], 2)
        counts = np.ones(())
        for axis, (size, count) in enumerate(zip(inputs, outputs, strict=True)):
            starts = np.arange(count) * window["strides"][axis] - window["pads"][axis]
            taps = starts[:, None] + np.arange(window["kernel_shape"][axis]) * window["dilations"][axis]
            counts = np.multiply.outer(counts, ((taps >= 0) & (taps < size)).sum(1))
    channels = graph.sizes(node.input[0])[0]
    ones = graph.array(np.ones((channels, 1, *window["kernel_shape"])))
    return [_back(graph, node, graph.node("Div", gradient, graph.array(counts)), ones, window, channels)]


def _max_pool(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    """Everything goes back to the place that the maximum came from."""
    if len(node.output) == 1:
        node.output.append(f"{node.output[0]}.places")
    options = _attributes(node)
    shape, kernel = graph.node("Shape", node.input[0]), list(options["kernel_shape"])
    tiles = all(size % k == 0 for size, k in zip(graph.sizes(node.input[0], 2), kernel, strict=True))
    if tiles and kernel == list(options.get("strides", [])) and not any(options.get("pads", [])):
        return [graph.node("MaxUnpool", gradient, node.output[1], shape, kernel_shape=kernel, strides=kernel)]
    flat = graph.integers([-1])  # overlapping windows may share a maximum
    nothing = graph.node("Reshape", graph.node("Mul", node.input[0], graph.number(0)), flat)
    places, parts = (graph.node("Reshape", name, flat) for name in (node.output[1], gradient))
    total = graph.node("ScatterElements", nothing, places, parts, axis=0, reduction="add")
    return [graph.node("Reshape", total, shape)]


def _batch_norm(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    """In eval mode a scale: weight / sqrt(var + eps)."""
    epsilon = _attributes(node).get("epsilon", 1e-5)
    deviation = graph.node("Sqrt", graph.node("Add", node.input[4], graph.number(epsilon)))
    scale = graph.node("Div", node.input[1], deviation)
    if spatial := len(graph.shape(node.input[0])) - 2:
        scale = graph.node("Reshape", scale, graph.integers([1, -1] + [1] * spatial))
    return [graph.node("Mul", gradient, scale)]


def _layer_norm(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    """(g - mean(g) - z mean(g z)) / deviation, for z = (x - mean) / deviation and g the gradient times the weight."""
    options, axes = {"axis": -1, "epsilon": 1e-5} | _attributes(node), len(graph.shape(node.input[0]))
    over = list(range(options["axis"] % axes, axes))

    def mean(name: str) -> str:
        return graph.node("ReduceMean", name, axes=over)

    centred = graph.node("Sub", node.input[0], mean(node.input[0]))
    variance = mean(graph.node("Mul", centred, centred))
    deviation = graph.node("Sqrt", graph.node("Add", variance, graph.number(options["epsilon"])))
    z, weighed = graph.node("Div", centred, deviation), graph.node("Mul", gradient, node.input[1])
    along = graph.node("Mul", z, mean(graph.node("Mul", weighed, z)))
    rest = graph.node("Sub", graph.node("Sub", weighed, mean(weighed)), along)
    return [graph.node("Div", rest, deviation)]


def _gemm(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    options = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | _attributes(node)
    (a, b), alpha, flip_a, flip_b = node.input[:2], options["alpha"], options["transA"], options["transB"]
    found: list[str | None] = [None, None, None]
    if a in graph.varying:
        pair, flips = ((b, gradient), (flip_b, 1)) if flip_a else ((gradient, b), (0, 1 - flip_b))
        found[0] = graph.node("Gemm", *pair, alpha=alpha, transA=flips[0], transB=flips[1])
    if b in graph.varying:
        pair, flips = ((gradient, a), (1, flip_a)) if flip_b else ((a, gradient), (1 - flip_a, 0))
        found[1] = graph.node("Gemm", *pair, alpha=alpha, transA=flips[0], transB=flips[1])
    if len(node.input) > 2 and node.input[2] in graph.varying:
        scaled = graph.node("Mul", gradient, graph.number(options["beta"]))
        found[2] = graph.summed(scaled, node.input[2], node.output[0])
    return found


def _matmul(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    def flipped(name: str) -> str:
        axes = len(graph.shape(name))
        if axes < 2:
            raise ValueError(f"MatMul {node.name!r} has no rule for its gradient with the vector {name!r}")
        return graph.node("Transpose", name, perm=[*range(axes - 2), axes - 1, axes - 2])

    def summed(part: str, name: str) -> str:
        own, whole = graph.shape(name), graph.shape(node.output[0])
        extra = len(whole) - len(own)
        repeated = [extra + n for n, size in enumerate(own[:-2]) if size == 1 and whole[extra + n] != 1]
        axes = [*range(extra), *repeated]
        total = graph.node("ReduceSum", part, graph.integers(axes), keepdims=1) if axes else part
        return graph.like(total, name) if extra else total

    a, b = node.input
    return [
        summed(graph.node("MatMul", gradient, flipped(b)), a) if a in graph.varying else None,
        summed(graph.node("MatMul", flipped(a), gradient), b) if b in graph.varying else None,
    ]


def _concat(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    axis, start = _attributes(node)["axis"] % len(graph.shape(node.output[0])), 0
    found: list[str | None] = []
    for name in node.input:
        (size,) = graph.sizes(name, axis)[:1]
        bounds = (graph.integers([each]) for each in (start, start + size, axis))
        found.append(graph.node("Slice", gradient, *bounds) if name in graph.varying else None)
        start += size
    return found


def _pad(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    if _attributes(node).get("mode", b"constant") != b"constant":
        raise ValueError(f"Pad {node.name!r} has no rule for its gradient with {_attributes(node)}")
    pads = graph.value(node.input[1]).tolist()
    axes = [axis for axis in range(len(pads) // 2) if pads[axis] or pads[axis + len(pads) // 2]]
    if not axes:
        return [gradient]
    starts = [pads[axis] for axis in axes]
    sizes = [graph.sizes(node.input[0], axis)[0] for axis in axes]
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    return [graph.node("Slice", gradient, *map(graph.integers, (starts, ends, axes)))]


def _mean(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    """Of all positions (GlobalAveragePool), or of some axes (ReduceMean, ReduceSum)."""
    options, sizes = _attributes(node), graph.shape(node.input[0])
    axes = range(2, len(sizes)) if node.op_type == "GlobalAveragePool" else options.get("axes")
    if axes is None:
        stored = graph.value(node.input[1]).tolist() if len(node.input) > 1 else []
        axes = stored or range(len(sizes))
    axes = sorted(axis % len(sizes) for axis in axes)
    if node.op_type != "ReduceSum":
        inputs, outputs = (
            graph.node("Cast", graph.node("Size", name), to=graph.type) for name in (node.input[0], node.output[0])
        )
        gradient = graph.node("Div", gradient, graph.node("Div", inputs, outputs))
    if node.op_type != "GlobalAveragePool" and not options.get("keepdims", 1):
        gradient = graph.node("Unsqueeze", gradient, graph.integers(axes))
    return [graph.node("Expand", gradient, graph.node("Shape", node.input[0]))]


def _transpose(graph: Writer, node: NodeProto, gradient: str) -> list[str | None]:
    order = _attributes(node).get("perm") or list(reversed(range(len(graph.shape(node.input[0])))))
    return [graph.node("Transpose", gradient, perm=np.argsort(order).tolist())]


RULES: dict[str, Rule] = {
    "Add": _both(_plain, _plain),
    "Sub": _both(_plain, lambda graph, _node, gradient: graph.node("Neg", gradient)),
    "Mul": _both(
        lambda graph, node, gradient: graph.node("Mul", gradient, node.input[1]),
        lambda graph, node, gradient: graph.node("Mul", gradient, node.input[0]),
    ),
    "Div": _both(lambda graph, node, gradient: graph.node("Div", gradient, node.input[1]), _divisor),
    "Neg": lambda graph, _node, gradient: [graph.node("Neg", gradient)],
    "Relu": _times(lambda graph, node: graph.where("Greater", node.output[0], graph.number(0))),
    "Clip": _clip,
    "LeakyRelu": _times(_leaky_relu),
    "Sigmoid": _times(_sigmoid),
    "HardSigmoid": _times(_hard_sigmoid),
    "HardSwish": _times(_hard_swish),
    "Tanh": _times(_tanh),
    "Erf": _times(_erf),
    "Sqrt": _times(lambda graph, node: graph.node("Div", graph.number(0.5), node.output[0])),
    "Exp": _times(lambda _graph, node: node.output[0]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Concat": _concat,
    "Pad": _pad,
    "Transpose": _transpose,
    **dict.fromkeys(("GlobalAveragePool", "ReduceMean", "ReduceSum"), _mean),
    **dict.fromkeys(("Identity", "Dropout"), lambda _graph, _node, gradient: [gradient]),
    **dict.fromkeys(
        ("Flatten", "Reshape", "Squeeze", "Unsqueeze"),
        lambda graph, node, gradient: [graph.like(gradient, node.input[0])],
    ),
}
