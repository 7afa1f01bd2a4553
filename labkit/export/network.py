"""Write a shipped network as ONNX, its backward pass included, for other programs to run (``python -m labkit.export``).

Two small graphs read their weights from the very file that labkit ships, which is copied beside them::

    NAME.onnx            images (N, C, H, W) -> logits (N, K), and the output of every ReLU behind a convolution
    NAME-gradient.onnx   images, weights (N, K) -> logits, gradient (N, C, H, W)
    NAME.safetensors     the weights

gradient is that of sum(weights * logits) with respect to the images, so ``weights`` one-hot gives a saliency map, and
the derivative of any function of the logits gives the gradient of that function. ONNX has no backward pass: each
layer's is written here with forward operators, in the reverse order.
"""

import argparse
import json
import os
import shutil
import struct
import tempfile
from pathlib import Path

from torch import nn

from labkit import models
from labkit.extras import needs
from labkit.models import Normalize

OPSET, IR_VERSION = 17, 8  # old enough for every runtime of the last years
INPUTS = {"cifar10": ("N", 3, 32, 32)}
MNIST_INPUT = ("N", 1, 28, 28)


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
        ImportError: the package onnx is missing.
    """
    if name not in models.SHIPPED:
        raise ValueError(f"unknown network {name!r}; networks that can be exported: {', '.join(models.SHIPPED)}")
    onnx = _onnx()
    network = models.load(name, folder=weights)  # refuses altered weights
    folder, source = Path(folder), Path(weights) / f"{name}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    shape = INPUTS.get(name, MNIST_INPUT)
    graphs = {f"{name}.onnx": Graph(network, shape, source), f"{name}-gradient.onnx": Graph(network, shape, source)}
    graphs[f"{name}-gradient.onnx"].add_backward()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as scratch:
        shutil.copyfile(source, Path(scratch) / source.name)
        for file, graph in graphs.items():
            onnx.save(graph.model(name), Path(scratch) / file)
            onnx.checker.check_model(str(Path(scratch) / file), full_check=True)
        for file in (source.name, *graphs):
            os.replace(Path(scratch) / file, folder / file)
    return [folder / file for file in (*graphs, source.name)]


class Graph:
    """A network's layers as ONNX nodes, one after the other; each node's output is named after its layer."""

    def __init__(self, network: nn.Sequential, shape: tuple, weights: Path):
        self.onnx = _onnx()
        self.nodes, self.constants, self.layers = [], {}, []
        self.shape, self.weights, self.tensors = shape, weights, _read_header(weights)
        self.outputs = []
        self.with_gradient = False
        now = "images"
        behind_convolution = False
        for layer, module in network.named_children():
            before = now
            now = self._forward(layer, module, now)
            self.layers.append((layer, module, before, now))
            behind_convolution |= isinstance(module, nn.Conv2d)
            if isinstance(module, nn.ReLU) and behind_convolution:
                self.outputs.append(now)
                behind_convolution = False
        self.nodes[-1].output[0] = "logits"
        self.outputs.insert(0, "logits")
        self.classes = module.out_features

    def add_backward(self) -> None:
        """Append the backward pass, which turns `weights` into `gradient`."""
        gradient = "weights"
        for layer, module, before, after in reversed(self.layers):
            gradient = self._backward(layer, module, before, after, gradient)
        self.nodes[-1].output[0] = "gradient"
        self.outputs = ["logits", "gradient"]
        self.with_gradient = True

    def model(self, name: str):
        """The finished ONNX model, its weights left in the file beside it."""
        helper = self.onnx.helper
        shapes = {"images": self.shape, "weights": ("N", self.classes), "logits": ("N", self.classes)}
        shapes["gradient"] = self.shape
        inputs = ["images", "weights"] if self.with_gradient else ["images"]
        graph = helper.make_graph(
            self.nodes,
            name,
            [self._value(each, shapes[each]) for each in inputs],
            [self._value(each, shapes.get(each, ("N", None, None, None))) for each in self.outputs],
            list(self.constants.values()),
            doc_string="images: pixels in [0, 1]",
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="labkit")

    def _forward(self, layer: str, module: nn.Module, x: str) -> str:
        if isinstance(module, Normalize):
            centred = self._node("Sub", [x, self._weight(f"{layer}.mean")], f"{layer}.centred")
            return self._node("Div", [centred, self._weight(f"{layer}.std")], layer)
        if isinstance(module, nn.Conv2d):
            self._require(module.stride == (1, 1) and module.padding_mode == "zeros", layer, module)
            inputs = [x, *(self._weight(f"{layer}.{each}") for each in ("weight", "bias"))]
            return self._node("Conv", inputs, layer, **_convolution(module))
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            names = ("weight", "bias", "running_mean", "running_var")
            inputs = [x, *(self._weight(f"{layer}.{each}") for each in names)]
            return self._node("BatchNormalization", inputs, layer, epsilon=module.eps)
        if isinstance(module, nn.ReLU):
            return self._node("Relu", [x], layer)
        if isinstance(module, nn.MaxPool2d):
            size = module.kernel_size
            plain = module.stride == size and module.padding == 0 and module.dilation == 1 and not module.ceil_mode
            self._require(isinstance(size, int) and plain, layer, module)
            self._node("MaxPool", [x], layer, f"{layer}.places", kernel_shape=[size] * 2, strides=[size] * 2)
            return layer
        if isinstance(module, nn.Dropout):
            return self._node("Identity", [x], layer)
        if isinstance(module, nn.Flatten):
            return self._node("Flatten", [x], layer)
        if isinstance(module, nn.Linear):
            inputs = [x, self._weight(f"{layer}.weight"), self._weight(f"{layer}.bias")]
            return self._node("Gemm", inputs, layer, transB=1)
        return self._require(False, layer, module)

    def _backward(self, layer: str, module: nn.Module, before: str, after: str, gradient: str) -> str:
        """The gradient with respect to what went into the layer, from that with respect to what came out."""
        name = f"{layer}.gradient"
        if isinstance(module, Normalize):
            return self._node("Div", [gradient, self._weight(f"{layer}.std")], name)
        if isinstance(module, nn.Conv2d):
            return self._node(
                "ConvTranspose", [gradient, self._weight(f"{layer}.weight")], name, **_convolution(module)
            )
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):  # in eval mode a scale: weight / sqrt(var + eps)
            small = self._constant(f"{layer}.eps", [module.eps])
            variance = self._node("Add", [self._weight(f"{layer}.running_var"), small], f"{layer}.variance")
            deviation = self._node("Sqrt", [variance], f"{layer}.deviation")
            scale = self._node("Div", [self._weight(f"{layer}.weight"), deviation], f"{layer}.scale")
            if isinstance(module, nn.BatchNorm2d):
                column = self._constant(f"{layer}.column", [1, -1, 1, 1], integer=True)
                scale = self._node("Reshape", [scale, column], f"{layer}.channels")
            return self._node("Mul", [gradient, scale], name)
        if isinstance(module, nn.ReLU):
            open_ = self._node("Greater", [after, self._constant("zero", [0.0])], f"{layer}.open")
            mask = self._node("Cast", [open_], f"{layer}.mask", to=self.onnx.TensorProto.FLOAT)
            return self._node("Mul", [gradient, mask], name)
        if isinstance(module, nn.MaxPool2d):  # everything goes back to the place that the maximum came from
            size = [module.kernel_size] * 2
            inputs = [gradient, f"{layer}.places", self._node("Shape", [before], f"{layer}.shape")]
            return self._node("MaxUnpool", inputs, name, kernel_shape=size, strides=size)
        if isinstance(module, nn.Flatten):
            return self._node("Reshape", [gradient, self._node("Shape", [before], f"{layer}.shape")], name)
        if isinstance(module, nn.Linear):
            return self._node("MatMul", [gradient, self._weight(f"{layer}.weight")], name)
        return gradient  # dropout

    def _node(self, operator: str, inputs: list[str], *outputs: str, **attributes) -> str:
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, outputs, name=outputs[0], **attributes))
        return outputs[0]

    def _constant(self, name: str, values: list, *, integer: bool = False) -> str:
        kind = self.onnx.TensorProto.INT64 if integer else self.onnx.TensorProto.FLOAT
        self.constants[name] = self.onnx.helper.make_tensor(name, kind, [len(values)], values)
        return name

    def _weight(self, name: str) -> str:
        """A tensor that stays where it is: so many bytes at this place of the safetensors file."""
        start, shape, first, last = self.tensors[name]
        tensor = self.onnx.TensorProto(name=name, dims=shape, data_type=self.onnx.TensorProto.FLOAT)
        tensor.data_location = self.onnx.TensorProto.EXTERNAL
        for key, value in (("location", self.weights.name), ("offset", start + first), ("length", last - first)):
            tensor.external_data.add(key=key, value=str(value))
        self.constants[name] = tensor
        return name

    def _value(self, name: str, shape: tuple):
        return self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT, shape)

    @staticmethod
    def _require(known: bool, layer: str, module: nn.Module) -> None:
        if not known:
            raise ValueError(f"layer {layer!r} cannot be exported, there is no rule for its backward pass: {module}")


def _convolution(module: nn.Conv2d) -> dict:
    (down, across), dilations = module.padding, list(module.dilation)
    return {
        "kernel_shape": list(module.kernel_size),
        "pads": [down, across] * 2,
        "dilations": dilations,
        "group": module.groups,
    }


def _read_header(path: Path) -> dict[str, tuple[int, list[int], int, int]]:
    """For each tensor of a safetensors file: where the data begin, its shape, its first and its last byte in them."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: (8 + length, each["shape"], *each["data_offsets"]) for name, each in header.items()}


def _onnx():
    with needs("export"):
        import onnx
    return onnx


def main(arguments: list[str] | None = None) -> None:
    """Write one shipped network from the command line."""
    parser = argparse.ArgumentParser(prog="python -m labkit.export", description="Write a shipped network as ONNX.")
    parser.add_argument("name", nargs="?", default="mnist", choices=models.SHIPPED)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the files go (default: here)")
    options = parser.parse_args(arguments)
    for path in export_network(options.name, options.folder):
        print(f"{path}  {path.stat().st_size:,} bytes")
