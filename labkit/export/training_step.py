"""One step of training a network, as an ONNX graph: images and weights go in, and the weights after the step come out.

Programs that can run ONNX but have no autograd, such as a page in a browser, train a network by running it again and
again.
"""

from typing import Any

import numpy as np
from torch import nn

from labkit.core import check_choice
from labkit.export._writer import Writer
from labkit.export.gradient import backward
from labkit.export.network import Graph, normalisation
from labkit.extras import needs

with needs("export"):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

MEMORIES = {"sgd": ("momentum",), "adam": ("first", "second")}  # what an optimiser keeps of each weight


def training_step(
    network: nn.Sequential,
    image_shape: tuple[int, int, int],
    *,
    optimizer: str = "sgd",
    momentum: float = 0.9,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> onnx.ModelProto:
    """A graph that does what PyTorch does in one step: forward, cross-entropy, backward, SGD or Adam.

    ::

        images (N, C, H, W), classes (N,) int64, rate, step    ->  loss, logits (N, K)
        WEIGHT, and momentum.WEIGHT or first.WEIGHT and second.WEIGHT  ->  new.WEIGHT, new.momentum.WEIGHT, ...
        BATCHNORM.running_mean and .running_var                ->  new.BATCHNORM.running_mean, ...

    The momenta begin as zeros. ``rate`` is the learning rate; ``step``, for Adam alone, counts from 1. All are numbers
    in single precision.

    Args:
        network: layers of the lab: convolutions, ReLUs, max poolings, batch norms, dense layers and a `Normalize`,
            whose numbers are kept in the graph. Batch norms are in training mode, whatever mode the network is in.
        image_shape: (C, H, W).
        optimizer: "sgd" or "adam".
        momentum: SGD's.
        betas: Adam's shares of the old in its two running means.
        epsilon: what Adam adds to the root of the second.

    Raises:
        ValueError: another optimizer; a layer without a rule, such as dropout or a convolution in groups.

    Source:
        Kingma and Ba 2014, arXiv:1412.6980 (Adam).
    """
    check_choice(MEMORIES, optimizer=optimizer)
    forward = _Forward(network, image_shape)
    names = list(dict(network.named_parameters()))
    writer = Writer(forward.with_inputs(names), names, "logits")
    loss, start = _cross_entropy(writer)
    gradients = backward(writer, start)
    new = {"loss": loss, **forward.statistics}
    for name, gradient in gradients.items():
        if optimizer == "sgd":
            new |= _sgd(writer, name, gradient, momentum)
        else:
            new |= _adam(writer, name, gradient, betas, epsilon)
    graph = writer.graph
    for name in names:
        for memory in MEMORIES[optimizer]:
            graph.input.append(_floats(f"{memory}.{name}", writer.shape(name)))
    numbers = ["rate"] if optimizer == "sgd" else ["rate", "step"]
    graph.input.extend([_floats(name, []) for name in numbers])
    for name, found in new.items():
        wanted = name if name == "loss" else f"new.{name}"
        graph.node.append(helper.make_node("Identity", [found], [wanted]))
        like = name.partition(".")[2] if name.partition(".")[0] in MEMORIES[optimizer] else name
        graph.output.append(_floats(wanted, [] if name == "loss" else writer.shape(like)))
    return writer.model


class _Forward(Graph):
    """The network in training mode; its weights, and the running statistics of batch norms, are inputs.

    Attributes:
        statistics: the name of a running statistic -> the name of what it is after the step.
    """

    def __init__(self, network: nn.Sequential, image_shape: tuple[int, int, int]):
        self.statistics: dict[str, str] = {}
        self.sizes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
        super().__init__(network, ("N", *image_shape), normalisation(network))

    def with_inputs(self, names: list[str]) -> onnx.ModelProto:
        """The forward pass with its weights, statistics and the classes as inputs."""
        model = self.model("training step")
        model.graph.input.append(helper.make_tensor_value_info("classes", TensorProto.INT64, ["N"]))
        model.graph.input.extend([_floats(name, self.sizes[name]) for name in (*names, *self.statistics)])
        return onnx.shape_inference.infer_shapes(model)

    def _layer(self, layer: str, module: nn.Module, x: str) -> str:
        if isinstance(module, nn.Dropout) and module.p > 0:
            raise ValueError(f"layer {layer!r} cannot be trained in a graph, which draws nothing at random: {module}")
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return self._batch_norm(layer, module, x)
        return super()._layer(layer, module, x)

    def _batch_norm(self, layer: str, module: nn.BatchNorm1d | nn.BatchNorm2d, x: str) -> str:
        """Each channel less its mean over the batch, divided by its deviation."""
        if module.momentum is None or not module.affine or not module.track_running_stats:
            raise ValueError(f"layer {layer!r} cannot be trained in a graph: {module}")
        axes = [0, 2, 3] if isinstance(module, nn.BatchNorm2d) else [0]

        def node(operator: str, *inputs: str, name: str, **options: Any) -> str:
            return self._node(operator, list(inputs), f"{layer}.{name}", **options)

        def number(name: str, value: Any) -> str:
            full = f"{layer}.{name}"
            self.stored[full] = numpy_helper.from_array(np.asarray(value), full)
            return full

        per_channel = number("per channel", np.array([1, -1, *[1] * (len(axes) - 1)]))
        flat = number("flat", np.array([-1]))
        mean = node("ReduceMean", x, name="mean", axes=axes)
        centred = node("Sub", x, mean, name="centred")
        variance = node("ReduceMean", node("Mul", centred, centred, name="squares"), name="variance", axes=axes)
        safe = node("Add", variance, number("eps", np.float32(module.eps)), name="safe")
        scaled = node("Div", centred, node("Sqrt", safe, name="deviation"), name="scaled")
        weight, bias = (
            node("Reshape", self._weight(f"{layer}.{each}"), per_channel, name=f"{each} per channel")
            for each in ("weight", "bias")
        )

        # The running variance is that of a sample: n / (n - 1) times the mean square.
        size = node("Cast", node("Size", x, name="size"), name="numbers", to=TensorProto.FLOAT)
        count = node("Div", size, number("channels", np.float32(module.num_features)), name="count")
        fewer = node("Sub", count, number("one", np.float32(1)), name="count less one")
        unbiased = node("Mul", variance, node("Div", count, fewer, name="correction"), name="unbiased")
        share, rest = number("share", np.float32(module.momentum)), number("rest", np.float32(1 - module.momentum))
        for name, found in (("running_mean", mean), ("running_var", unbiased)):
            new = node("Mul", node("Reshape", found, flat, name=f"{name}.flat"), share, name=f"{name}.share")
            old = node("Mul", f"{layer}.{name}", rest, name=f"{name}.rest")
            self.statistics[f"{layer}.{name}"] = node("Add", old, new, name=f"{name}.new")
        return self._node("Add", [node("Mul", scaled, weight, name="weighed"), bias], layer)


def _floats(name: str, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _cross_entropy(writer: Writer) -> tuple[str, str]:
    """The mean cross-entropy, and its gradient with respect to the logits: (softmax - one-hot) / N."""
    (classes,) = writer.sizes("logits")
    wanted = writer.node("OneHot", "classes", writer.integers([classes]), writer.array(np.array([0, 1])), axis=1)
    count = writer.node("Cast", writer.node("Size", "classes"), to=writer.type)
    logs = writer.node("Mul", writer.node("LogSoftmax", "logits", axis=1), wanted)
    total = writer.node("ReduceSum", logs, keepdims=0)
    away = writer.node("Sub", writer.node("Softmax", "logits", axis=1), wanted)
    return writer.node("Neg", writer.node("Div", total, count)), writer.node("Div", away, count)


def _sgd(writer: Writer, name: str, gradient: str, momentum: float) -> dict[str, str]:
    kept = writer.node("Add", writer.node("Mul", f"momentum.{name}", writer.number(momentum)), gradient)
    return {name: writer.node("Sub", name, writer.node("Mul", kept, "rate")), f"momentum.{name}": kept}


def _adam(writer: Writer, name: str, gradient: str, betas: tuple[float, float], epsilon: float) -> dict[str, str]:
    """Running means of the gradient and of its square, both divided by what they lack at the beginning."""
    means, whole = [], []
    for memory, beta, value in zip(
        MEMORIES["adam"], betas, (gradient, writer.node("Mul", gradient, gradient)), strict=True
    ):
        old = writer.node("Mul", f"{memory}.{name}", writer.number(beta))
        mean = writer.node("Add", old, writer.node("Mul", value, writer.number(1 - beta)))
        lacking = writer.node("Sub", writer.number(1), writer.node("Pow", writer.number(beta), "step"))
        means.append(mean)
        whole.append(writer.node("Div", mean, lacking))
    deviation = writer.node("Add", writer.node("Sqrt", whole[1]), writer.number(epsilon))
    change = writer.node("Mul", writer.node("Div", whole[0], deviation), "rate")
    return {name: writer.node("Sub", name, change), f"first.{name}": means[0], f"second.{name}": means[1]}
