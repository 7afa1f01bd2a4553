"""Write a shipped network as ONNX, its backward pass included, for other programs to run (`labkit export`).

Two small graphs read their weights from the very file that labkit ships, which is copied beside them::

    NAME.onnx            images (N, C, H, W) -> logits (N, K), and the output of every ReLU behind a convolution
    NAME-gradient.onnx   images, weights (N, K) -> logits, gradient (N, C, H, W)
    NAME.safetensors     the weights

gradient is that of sum(weights * logits) with respect to the images: see `labkit.export.gradient`.
"""

import argparse
import json
import shutil
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from labkit import models
from labkit.export.gradient import with_gradient
from labkit.extras import needs
from labkit.files import write_bytes
from labkit.layers import children_of, is_plain, window_of
from labkit.models import Normalize, ResidualBlock

with needs("export"):
    import onnx
    from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

OPSET, IR_VERSION = 17, 8  # old enough for every runtime of the last years


def export_network(name: str, folder: Path | str, *, weights: Path | str = models.WEIGHTS) -> list[Path]:
    """Write a shipped network as two ONNX graphs and the weights that they share.

    The three files are complete or absent, and replace older ones in one step each.

    Args:
        name: one of `labkit.models.SHIPPED`.
        folder: where the files go; made if it does not exist.
        weights: the folder that holds NAME.safetensors and its card.

    Returns:
        The paths of NAME.onnx, NAME-gradient.onnx and NAME.safetensors.

    Raises:
        ValueError: unknown name; weights that are altered; a layer that has no rule here.
        FileNotFoundError: the weights are not here.
    """
    if name not in models.SHIPPED:
        raise ValueError(f"unknown network {name!r}; networks that can be exported: {', '.join(models.SHIPPED)}")
    network = models.load(name, folder=weights)  # refuses altered weights
    folder, source = Path(folder), Path(weights) / f"{name}.safetensors"
    graph = Graph(network, ("N", *models.expected_image_shape(network)), in_file(source))
    graphs = {
        f"{name}.onnx": graph.model(name, graph.activations),
        f"{name}-gradient.onnx": with_gradient(graph.model(name)),
    }
    with tempfile.TemporaryDirectory() as scratch:  # the checker wants the weights beside the graphs
        shutil.copyfile(source, Path(scratch) / source.name)
        for file, model in graphs.items():
            onnx.save(model, Path(scratch) / file)
            onnx.checker.check_model(str(Path(scratch) / file), full_check=True)
        for file in (source.name, *graphs):
            write_bytes(folder / file, (Path(scratch) / file).read_bytes())
    return [folder / file for file in (*graphs, source.name)]


def open_graphs(network: nn.Sequential, image_shape: tuple[int, int, int]) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """A network's two graphs with its weights as inputs, for a program that changes them between two runs.

    Args:
        network: layers that `export_network` has a rule for; batch norms are in eval mode, whatever mode it is in.
        image_shape: (C, H, W).

    Returns:
        images, WEIGHTS -> logits and the output of every first ReLU behind a convolution;
        images, WEIGHTS, weights -> logits, gradient, as `export_network` writes them.

    Raises:
        ValueError: a layer that has no rule here.
    """
    graph = Graph(network, ("N", *image_shape), normalisation(network))
    sizes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}

    def opened(outputs: Sequence[str] = ()) -> onnx.ModelProto:
        model = graph.model("network", outputs)
        used = {name for node in model.graph.node for name in node.input}
        model.graph.input.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
            for name, size in sizes.items()
            if name in used - set(graph.stored)
        )
        return shape_inference.infer_shapes(model)

    return opened(graph.activations), with_gradient(opened())


def normalisation(network: nn.Sequential) -> Callable[[str], TensorProto | None]:
    """Stored tensors for the layers that normalise, and for nothing else: all other weights are inputs."""
    kept = {
        f"{layer}.{name}": tensor
        for layer, module in children_of(network).items()
        if isinstance(module, Normalize)
        for name, tensor in module.named_buffers()
    }
    return lambda name: numpy_helper.from_array(kept[name].numpy(), name) if name in kept else None


class Graph:
    """A network's layers as ONNX nodes, one after the other; each node's output is named after its layer.

    Args:
        network: layers that have a rule in `_layer`.
        shape: of the images, the name of an open size first.
        stored: gives the stored tensor of a weight's name, or None for a weight that is an input of the graph.

    Attributes:
        activations: the outputs of the first ReLU behind each convolution.
    """

    def __init__(
        self,
        network: nn.Sequential,
        shape: tuple[str | int, ...],
        stored: Callable[[str], TensorProto | None],
    ):
        self.nodes: list[NodeProto] = []
        self.stored: dict[str, TensorProto] = {}
        self.shape, self._stored = shape, stored
        self.activations: list[str] = []
        self._in_turn("", network, "images")
        self.nodes[-1].output[0] = "logits"

    def model(self, name: str, outputs: Sequence[str] = ()) -> onnx.ModelProto:
        """The ONNX model, its weights left in the file beside it; it gives the logits, and what else is asked for."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", None))]
            + [helper.make_tensor_value_info(each, TensorProto.FLOAT, ("N", None, None, None)) for each in outputs],
            list(self.stored.values()),
            doc_string="images: pixels in [0, 1]",
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="labkit")
        return shape_inference.infer_shapes(model)

    def _in_turn(self, path: str, layers: nn.Module, x: str) -> str:
        """Add the nodes of layers that stand one behind the other; the name of the last output."""
        behind_convolution = False
        for name, module in children_of(layers).items():
            x = self._layer(f"{path}{name}", module, x)
            behind_convolution |= isinstance(module, nn.Conv2d)
            if isinstance(module, nn.ReLU) and behind_convolution:
                self.activations.append(x)
                behind_convolution = False
        return x

    def _layer(self, layer: str, module: nn.Module, x: str) -> str:
        """Add the nodes of one layer; the name of its output."""
        if is_plain(module, ResidualBlock) and is_plain(module.relu, nn.ReLU):
            branches = (module.body, "body"), (module.shortcut, "shortcut")
            both = [self._in_turn(f"{layer}.{name}.", branch, x) for branch, name in branches]
            self.activations.append(self._node("Relu", [self._node("Add", both, f"{layer}.sum")], layer))
            return layer
        if is_plain(module, Normalize):
            centred = self._node("Sub", [x, self._weight(f"{layer}.mean")], f"{layer}.centred")
            return self._node("Div", [centred, self._weight(f"{layer}.std")], layer)
        if is_plain(module, nn.BatchNorm1d, nn.BatchNorm2d):
            names = ("weight", "bias", "running_mean", "running_var")
            inputs = [x, *(self._weight(f"{layer}.{each}") for each in names)]
            return self._node("BatchNormalization", inputs, layer, epsilon=module.eps)
        if is_plain(module, nn.ReLU):
            return self._node("Relu", [x], layer)
        if is_plain(module, nn.Dropout):
            return self._node("Identity", [x], layer)
        if is_plain(module, nn.Flatten):
            return self._node("Flatten", [x], layer)
        if is_plain(module, nn.Linear):
            return self._node("Gemm", [x, *self._own(layer, module)], layer, transB=1)
        window = window_of(module)
        if window is not None and window.outside is not None and not window.ceil:
            (top, bottom), (left, right) = window.padding
            options = {"kernel_shape": window.size, "strides": window.stride, "pads": (top, left, bottom, right)}
            if isinstance(module, nn.Conv2d):
                options |= {"dilations": window.dilation, "group": module.groups}
                return self._node("Conv", [x, *self._own(layer, module)], layer, **options)
            if isinstance(module, nn.MaxPool2d):
                return self._node("MaxPool", [x], layer, dilations=window.dilation, **options)
            if isinstance(module, nn.AvgPool2d) and module.divisor_override is None:
                return self._node("AveragePool", [x], layer, count_include_pad=module.count_include_pad, **options)
        raise ValueError(f"layer {layer!r} cannot be exported, there is no rule for it: {module}")

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _own(self, layer: str, module: nn.Module) -> list[str]:
        """A layer's weight, and its bias if it has one."""
        names = [name for name, _ in module.named_parameters()]
        return [self._weight(f"{layer}.{each}") for each in ("weight", "bias") if each in names]

    def _weight(self, name: str) -> str:
        tensor = self._stored(name)
        if tensor is not None:
            self.stored[name] = tensor
        return name


def in_file(path: Path) -> Callable[[str], TensorProto]:
    """Tensors that stay where they are: so many bytes at this place of a safetensors file."""
    tensors = _read_header(path)

    def stored(name: str) -> TensorProto:
        start, shape, first, last = tensors[name]
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", path.name), ("offset", start + first), ("length", last - first)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    return stored


def _read_header(path: Path) -> dict[str, tuple[int, list[int], int, int]]:
    """For each tensor of a safetensors file: where the data begin, its shape, its first and its last byte in them."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: (8 + length, each["shape"], *each["data_offsets"]) for name, each in header.items()}


def main(arguments: list[str] | None = None) -> None:
    """Write one shipped network from the command line."""
    parser = argparse.ArgumentParser(prog="labkit export", description="Write a shipped network as ONNX.")
    parser.add_argument("name", nargs="?", default="mnist", choices=models.SHIPPED)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the files go (default: here)")
    options = parser.parse_args(arguments)
    for path in export_network(options.name, options.folder):
        print(f"{path}  {path.stat().st_size:,} bytes")
