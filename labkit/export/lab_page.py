"""Write the live lab with a network of your own in it, as one page that opens from disk (`labkit lab`).

The page holds everything: the lab's script and style, the runtime that computes, some test digits, and the network with
its gradient. It asks for nothing over a network.
"""

import html
import json
import shutil
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from labkit import data, models
from labkit.export.gradient import with_gradient
from labkit.export.network import Graph, in_file, normalisation
from labkit.export.photographs import PHOTOS, bundled_photos, export_photographs, photograph_facts, stages_of
from labkit.extras import needs
from labkit.features.activations import activations
from labkit.features.receptive_field import spans
from labkit.files import as_script, replacing
from labkit.lab_network import load_lab_network
from labkit.layers import children_of, window_of

with needs("export"):
    import onnx
    from onnx import TensorProto, numpy_helper, reference

DIGITS = 60
IMAGE_SHAPE = (1, 28, 28)
COLOURS = 3
DIGIT_WORDS = (
    "Draw a digit, look into the network while you draw, cover it, attack it. Nothing you draw leaves your machine."
)
PHOTO_WORDS = (
    "Choose a photo, see what the network finds in it and where, push it into another class, or grow a class. "
    "Your photo stays on your machine."
)
CHECKOUT = Path(__file__).parents[2]
# In a wheel everything lies beside this file; in a checkout, where `make book` has put it.
FOLDERS = (
    Path(__file__).with_name("page"),
    CHECKOUT / "_build/static/lab/page",
    CHECKOUT / "book/_assets/vendor/onnxruntime",
)
RUNTIME = ("ort.wasm.min.js.js", "ort-wasm-simd-threaded.mjs.js", "ort-wasm-simd-threaded.wasm.js")


def write_lab(network: str | Path, output: Path | str) -> Path:
    """Write the live lab for one network that reads digits as a single page.

    Args:
        network: a shipped network's name; or a file: .onnx, .pt2 (`torch.export.save`), or .safetensors as the live lab
            saves it. It maps digits (N, 1, 28, 28) in [0, 1] to logits (N, K), for any N.
        output: the page, an .html file.

    Raises:
        ValueError: a network for other images; an operator without a rule for its gradient.
        FileNotFoundError: there is no such file; or the lab's script has not been built here.
    """
    assets = _assets()
    with tempfile.TemporaryDirectory() as scratch:
        files, facts = _packed(network, Path(scratch))
    images, classes = data.examples("mnist", DIGITS)
    files["digits"] = (images * 255).round().byte().numpy().tobytes()
    files["facts"] = json.dumps({"networks": {"network": facts}, "labels": classes.tolist()}).encode()
    return _write(output, assets, files, facts["label"], DIGIT_WORDS, {})


def write_photograph_lab(network: nn.Module, output: Path | str, *, label: str, names: Sequence[str] = ()) -> Path:
    """Write the live lab's bench for photographs with one network in it as a single page.

    Args:
        network: in eval mode; it maps photos (N, 3, H, W) in [0, 1] to logits (N, K), and begins with a `Normalize`
            that knows H and W.
        output: the page, an .html file.
        label: what it is called in the page.
        names: of its K classes; by default their numbers.

    Raises:
        ValueError: a network for grey images; no layer with maps; an operator without a rule for its gradient; as many
            names as the network has no classes.
        FileNotFoundError: the lab's script has not been built here.
    """
    assets = _assets()
    shape = models.expected_image_shape(network)
    if shape[0] != COLOURS:
        raise ValueError(f"photographs have {COLOURS} colours, and {label} is for images of {shape}")
    with torch.no_grad():
        classes = network(torch.zeros(1, *shape)).shape[1]
    names = [*names] or [f"class {number}" for number in range(classes)]
    if len(names) != classes:
        raise ValueError(f"{label} has {classes} classes, got {len(names)} names")
    stages = stages_of(network)
    packed = export_photographs(network, weights_file="network.safetensors", stages=stages)
    parts = {"forward": "network.onnx", "gradient": "network-gradient.onnx", "weights": "network.safetensors"}
    files = {file: getattr(packed, part) for part, file in parts.items()}
    files |= {f"photo {name}": content for name, content in bundled_photos().items()}
    known = {"label": label, "title": label, "style": "ordinary", "halved": True, **parts}
    facts = {"networks": {"network": known | photograph_facts(network, stages, names)}, "network": "network"}
    titles = {name: title for name, (_, title) in PHOTOS.items()}
    files["photograph facts"] = json.dumps(facts | {"beside": None, "photos": titles}).encode()
    return _write(output, assets, files, label, PHOTO_WORDS, {"alone": "photographs"})


def _assets() -> list[str]:
    """The lab's script, its style, and the scripts that hold the runtime."""
    return [_asset(name).read_text("utf-8") for name in ("lab.js", "lab.css", *RUNTIME)]


def _write(
    output: Path | str, assets: list[str], files: dict[str, bytes], label: str, words: str, options: dict[str, str]
) -> Path:
    """Write the page: nothing but what it holds is loaded."""
    output, (script, style, *runtime) = Path(output), assets
    parts = ("networks", "training", "certified", "photographs")
    contents = {part: {"scripts": [], "bytes": 0} for part in parts} | options
    scripts = [*runtime, as_script(files).decode(), f"var labContents = {json.dumps(contents)};", script]
    page = Path(__file__).with_suffix(".html").read_text("utf-8").replace("STYLE", style)
    page = page.replace("TITLE", html.escape(f"The live lab: {label}")).replace("WORDS", words)
    page = page.replace("SCRIPTS", "\n".join(f"<script>{each}</script>" for each in scripts))
    with replacing(output) as partial:
        partial.write_text(page, "utf-8")
    return output


def facts_of(network: nn.Sequential, outputs: list[str]) -> dict[str, Any]:
    """What the lab must know of a network whose graph gives these layers; see types.d.ts of the lab."""
    shape = models.expected_image_shape(network)
    images = torch.zeros(1, *shape)
    layers = []
    for name in outputs:
        count, tall, wide = activations(network, images, name).shape[1:]
        seen = spans(network, name, shape[1:])
        title = f"{name}, {count} maps of {tall} × {wide}"
        fields = {"rows": seen.rows.tolist(), "columns": seen.columns.tolist()}
        layers.append({"name": name, "title": title, "count": count, **fields})
    first, module = next((key, each) for key, each in network.named_children() if isinstance(each, nn.Conv2d))
    return {
        "shape": list(shape),
        "classes": network(images).shape[1],
        "layers": layers,
        "kernels": {"tensor": f"{first}.weight", "count": module.out_channels, "size": list(module.kernel_size)},
    }


def proof_of(network: nn.Sequential) -> list[dict[str, Any]]:
    """The layers of a network as the lab's interval bounds go through them.

    Raises:
        ValueError: a layer that they have no rule for.
    """
    kinds: dict[type[nn.Module], str] = {
        models.Normalize: "normalize",
        nn.Conv2d: "conv",
        nn.BatchNorm2d: "norm",
        nn.BatchNorm1d: "norm",
        nn.ReLU: "relu",
        nn.MaxPool2d: "pool",
        nn.Linear: "linear",
    }
    steps = []
    for name, module in children_of(network).items():
        if isinstance(module, nn.Flatten):
            continue
        step: dict[str, Any] = {"kind": kinds.get(type(module)), "layer": name}
        known, window = step["kind"] is not None, window_of(module)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            step["eps"] = module.eps
        if window is not None:
            values = {*window.size}, {*window.stride}, {each for pair in window.padding for each in pair}
            known = known and all(len(each) == 1 for each in values) and {*window.dilation} == {1}
            step["window"] = dict(zip(("size", "stride", "padding"), map(min, values), strict=True))
            known = known and (
                isinstance(module, nn.Conv2d) or step["window"] == {"size": 2, "stride": 2, "padding": 0}
            )
        if not known or getattr(module, "groups", 1) != 1:
            raise ValueError(f"layer {name!r} has no rule for interval bounds in the lab: {module}")
        steps.append(step)
    return steps


def _packed(network: str | Path, scratch: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a network, and what the page must know of it."""
    path, weights = Path(network), scratch / "network.safetensors"
    if str(network) in models.SHIPPED or path.suffix == ".safetensors":
        module = models.load(str(network)) if str(network) in models.SHIPPED else load_lab_network(path)
        shutil.copyfile(models.WEIGHTS / f"{network}.safetensors" if str(network) in models.SHIPPED else path, weights)
        _check_shape(models.expected_image_shape(module), network)
        own, stored = normalisation(module), in_file(weights)
        graph = Graph(module, ("N", *IMAGE_SHAPE), lambda name: own(name) or stored(name))
        forward, gradient = graph.model("network", graph.activations), with_gradient(graph.model("network"))
        known = facts_of(module, graph.activations)
    elif path.suffix in (".onnx", ".pt2"):
        forward = onnx.load(path) if path.suffix == ".onnx" else _from_exported(path, scratch)
        _rename(forward, network)
        known = _facts_of_graph(forward, network)
        gradient = with_gradient(forward)
        _move_weights([forward, gradient], weights)
    else:
        raise ValueError(
            f"unknown network {str(network)!r}: give a shipped name ({', '.join(models.SHIPPED)}), "
            "or a file that ends in .onnx, .pt2 or .safetensors"
        )
    label = path.stem
    names = {"forward": "network.onnx", "gradient": "network-gradient.onnx", "weights": weights.name}
    files = {"network.onnx": forward.SerializeToString(), "network-gradient.onnx": gradient.SerializeToString()}
    files[weights.name] = weights.read_bytes()
    return files, {"label": label, "title": f"the network {label}", "style": "ordinary", **names, **known}


def _check_shape(shape: object, network: str | Path) -> None:
    if shape != IMAGE_SHAPE:
        raise ValueError(f"the lab draws digits of shape {IMAGE_SHAPE}, and {str(network)!r} is for images of {shape}")


def _from_exported(path: Path, scratch: Path) -> onnx.ModelProto:
    """The network of a file that `torch.export.save` has written, as ONNX."""
    module: Any = torch.export.load(path).module(check_guards=False)
    module.train = lambda mode=True: module  # it refuses what the exporter does to every network
    module._forward_pre_hooks.clear()  # a check of sizes, which cannot be traced
    file = scratch / "exported.onnx"
    images = torch.zeros(2, *IMAGE_SHAPE)
    torch.onnx.export(
        module,
        (images,),
        str(file),
        dynamo=False,
        opset_version=17,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "N"}, "logits": {0: "N"}},
    )
    return onnx.load(file)


def _rename(model: onnx.ModelProto, network: str | Path) -> None:
    """Input and output as the lab names them, any number of images, and a shape that it can draw."""
    stored = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in stored]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ValueError(
            f"{str(network)!r} has {len(inputs)} inputs and {len(model.graph.output)} outputs, expected one of each"
        )
    dimensions = inputs[0].type.tensor_type.shape.dim
    _check_shape(tuple(each.dim_value for each in dimensions[1:]), network)
    given = {inputs[0].name: "images", model.graph.output[0].name: "logits"}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [given.get(name, name) for name in names]
    inputs[0].name, model.graph.output[0].name = "images", "logits"
    for value in (inputs[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del model.graph.value_info[:]


def _facts_of_graph(model: onnx.ModelProto, network: str | Path) -> dict[str, Any]:
    """As `facts_of`, for a graph alone: which units see what is not known, so that no layers are listed."""
    try:
        digits = {"images": np.zeros((3, *IMAGE_SHAPE), np.float32)}
        outputs: Any = reference.ReferenceEvaluator(model).run(None, digits)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{str(network)!r} cannot be run on three digits at once: {error}") from error
    (logits,) = outputs
    stored = {each.name: list(each.dims) for each in model.graph.initializer}
    sizes = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    facts: dict[str, Any] = {"shape": list(IMAGE_SHAPE), "classes": logits.shape[1], "layers": []}
    if sizes and stored.get(sizes[0], [0, 0])[1] == 1:
        count, _, *size = stored[sizes[0]]
        facts["kernels"] = {"tensor": sizes[0], "count": count, "size": size}
    return facts


def _move_weights(graphs: list[onnx.ModelProto], path: Path) -> None:
    """Numbers that several graphs share go into one safetensors file, where the lab can change them."""
    shared = {
        each.name: each for each in graphs[0].graph.initializer if each.data_type == TensorProto.FLOAT and each.dims
    }
    arrays = {name: numpy_helper.to_array(tensor) for name, tensor in shared.items()}
    header, place = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in arrays.values()))
    stored = in_file(path)
    for model in graphs:
        for tensor in model.graph.initializer:
            if tensor.name in shared:
                tensor.CopyFrom(stored(tensor.name))


def _asset(name: str) -> Path:
    for folder in FOLDERS:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"the live lab's {name} is not in this installation; in a checkout, `make book` builds it")
