"""A network for photographs as the live lab loads it: its graphs, and its weights in half precision.

PyTorch writes the network as ONNX, batch norms folded into the convolutions; `labkit.export.gradient` adds the backward
pass. Both graphs read their numbers from one file, which travels as safetensors. There, the large tensors are float16,
which halves the file; small ones stay float32, because an error in the few weights of a depthwise convolution or of a
bias reaches a whole map. `widened` makes of it the file that the graphs read, as the page does.
"""

import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors.numpy import load, save
from torch import Tensor, nn

from labkit import models
from labkit.export.gradient import with_gradient
from labkit.extras import needs
from labkit.features.receptive_field import spans
from labkit.layers import children_of, run

with needs("export"):
    import onnx
    from onnx import TensorProto, numpy_helper

OPSET = 17
# The photos of scikit-image that the lab offers: their names there and in the lab, and what is to be seen.
PHOTOS = {
    "cat": ("chelsea", "Chelsea the cat"),
    "coffee": ("coffee", "a cup of coffee"),
    "rocket": ("rocket", "a rocket at its start"),
    "astronaut": ("astronaut", "Eileen Collins, an astronaut"),
}
HALVED = 20_000  # tensors of at least so many numbers travel as float16


@dataclass(frozen=True)
class Photographs:
    """The files of a network for photographs.

    Attributes:
        forward: images (N, C, H, W) -> logits (N, K), and the output of each stage under its name.
        gradient: images, weights (N, K) and weights.STAGE -> logits, gradient, and each stage with its gradient, as
            `with_gradient` writes them.
        weights: what `widened` makes the graphs' external file of.
    """

    forward: bytes
    gradient: bytes
    weights: bytes


def export_photographs(network: nn.Module, *, weights_file: str, stages: Sequence[str] | None = None) -> Photographs:
    """Write a network for photographs as two graphs that share their weights.

    Args:
        network: in eval mode; it begins with a `Normalize` that knows the size of its images.
        weights_file: the name under which the graphs look for their weights.
        stages: the layers that can be looked into, by name; by default those that `stages_of` finds.

    Raises:
        ValueError: an operator without a rule for its gradient; a layer that is unknown; no layer with maps.
    """
    shape = models.expected_image_shape(network)
    stages = stages_of(network) if stages is None else list(stages)
    if not stages:
        raise ValueError("the network has no layer with maps, one for each channel, that could be looked into")
    forward = _exported(_Watched(network, stages), shape, ["logits", *stages])
    gradient = with_gradient(forward, layers=stages)
    arrays = {
        each.name: numpy_helper.to_array(each)
        for each in forward.graph.initializer
        if each.data_type == TensorProto.FLOAT and each.dims
    }
    large = {name: array.astype(np.float16) for name, array in arrays.items() if array.size >= HALVED}
    weights = save(arrays | large)
    places = _places(weights)
    for model in (forward, gradient):
        for tensor in model.graph.initializer:
            if tensor.name in places:
                _move(tensor, weights_file, places[tensor.name])
    return Photographs(forward.SerializeToString(), gradient.SerializeToString(), weights)


def widened(weights: bytes) -> bytes:
    """The file that the graphs read: the tensors of a safetensors file one after the other, all of them float32."""
    arrays = load(weights)
    return b"".join(arrays[name].astype("<f4").tobytes() for name in _in_order(weights))


def stages_of(network: nn.Module) -> list[str]:
    """The layers of a network whose maps are worth a look: behind its first convolution, what is no convolution itself
    and has more than one position.

    Where a single part of the network holds all convolutions, they are the layers of that part.
    """
    prefix, part = "", network
    while len(holding := [name for name, child in children_of(part).items() if _convolves(child)]) == 1:
        (name,) = holding
        child = part.get_submodule(name)
        if isinstance(child, nn.Conv2d):
            break
        prefix, part = f"{prefix}{name}.", child
    layers = children_of(part)
    names = list(layers)
    first = next((at for at, name in enumerate(names) if isinstance(layers[name], nn.Conv2d)), -1)
    found = run(network, torch.zeros(1, *models.expected_image_shape(network)))
    return [
        prefix + name
        for name in names[first + 1 :]
        if not isinstance(layers[name], nn.Conv2d | nn.Dropout | nn.Identity | models.Normalize)
        and isinstance(maps := found.get(prefix + name), Tensor)
        and maps.ndim == 4
        and maps.shape[2:].numel() > 1
    ]


def _convolves(module: nn.Module) -> bool:
    return any(isinstance(each, nn.Conv2d) for each in module.modules())


def photograph_facts(network: nn.Module, stages: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """What the lab must know of a network for photographs; see `NetworkFacts` in types.d.ts of the lab.

    Args:
        network: as for `export_photographs`.
        stages: the layers that can be looked into.
        names: of its classes.
    """
    shape = models.expected_image_shape(network)
    maps = run(network, torch.zeros(1, *shape), stages)
    layers = []
    for name in stages:
        count, tall, wide = maps[name].shape[1:]
        title = f"{name}: {count} maps of {tall} × {wide}"
        rows, columns = _seen(network, name, shape, (tall, wide))
        layers.append({"name": name, "title": title, "count": count, "rows": rows, "columns": columns})
    return {"shape": list(shape), "classes": len(names), "names": list(names), "layers": layers}


def _seen(
    network: nn.Module, layer: str, shape: tuple[int, int, int], size: tuple[int, int]
) -> tuple[list[list[int]], list[list[int]]]:
    """Which rows and columns of pixels each row and column of units sees: where nobody knows, all of them."""
    try:
        seen = spans(network, layer, shape[1:])
    except (ValueError, NotImplementedError):
        rows, columns = ([[0, side - 1]] * count for side, count in zip(shape[1:], size, strict=True))
        return rows, columns
    return seen.rows.tolist(), seen.columns.tolist()


def bundled_photos() -> dict[str, bytes]:
    """The photos of `PHOTOS` as lossless WebP files, whole: the page cuts and resizes them as `labkit.data` does."""
    import skimage.data
    from PIL import Image

    found = {}
    for name, (source, _) in PHOTOS.items():
        file = io.BytesIO()
        Image.fromarray(getattr(skimage.data, source)()).save(file, "webp", lossless=True, quality=100, method=4)
        found[name] = file.getvalue()
    return found


class _Watched(nn.Module):
    """A network that also gives the outputs of some of its layers."""

    def __init__(self, network: nn.Module, layers: Sequence[str]):
        super().__init__()
        self.network, self.layers = network, layers

    def forward(self, images: Float[Tensor, "n c h w"]) -> tuple[Tensor, ...]:
        found = run(self.network, images, ["", *self.layers])
        return tuple(found[name] for name in ("", *self.layers))


def _exported(module: nn.Module, shape: tuple[int, int, int], outputs: list[str]) -> onnx.ModelProto:
    """As PyTorch writes it, for any number of images, constants as stored tensors."""
    file: Any = io.BytesIO()  # which the exporter takes, whatever its types say
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is the old one, which needs no further package
        torch.onnx.export(
            module.eval(),
            (torch.zeros(2, *shape),),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=outputs,
            dynamic_axes={name: {0: "N"} for name in ("images", *outputs)},
        )
    return onnx.load_from_string(file.getvalue())


def _in_order(weights: bytes) -> list[str]:
    """The names of a safetensors file's tensors, as they lie in it."""
    length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + length])
    header.pop("__metadata__", None)
    return sorted(header, key=lambda name: header[name]["data_offsets"])


def _places(weights: bytes) -> dict[str, tuple[int, int]]:
    """For each tensor its first byte in the widened file, and how many there are."""
    arrays, places, first = load(weights), {}, 0
    for name in _in_order(weights):
        places[name] = first, 4 * arrays[name].size
        first += 4 * arrays[name].size
    return places


def _move(tensor: TensorProto, file: str, place: tuple[int, int]) -> None:
    """Leave a stored tensor's numbers to a file."""
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", place[0]), ("length", place[1])):
        tensor.external_data.add(key=key, value=str(value))
