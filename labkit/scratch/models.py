"""The NumPy networks: CIFAR-10's as labkit ships it, and copies of PyTorch's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labkit.files import read_json, sha256
from labkit.scratch.network import (
    Array,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Network,
    Normalize,
    ReLU,
)

NAME, FOLDER = "cifar10-scratch", Path(__file__).parents[1] / "weights"


def cifar10(*, dropout: Sequence[float] = (0.2, 0.3, 0.4), seed: int = 0) -> Network:
    """The network of `labkit.models.cifar10`: six convolutions, 308,394 parameters; untrained."""
    rng, channels = np.random.default_rng(seed), 3
    layers: dict[str, Layer] = {"normalize": Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))}
    for n, filters in enumerate((32, 32, 64, 64, 128, 128), start=1):
        layers[f"conv{n}"] = Conv2d(channels, filters, 3, padding=1, rng=rng)
        layers[f"relu{n}"] = ReLU()
        layers[f"bn{n}"] = BatchNorm(filters)
        if n % 2 == 0:
            layers[f"pool{n // 2}"] = MaxPool(2)  # 32 -> 16 -> 8 -> 4
            layers[f"drop{n // 2}"] = Dropout(dropout[n // 2 - 1])
        channels = filters
    return Network(**layers, flatten=Flatten(), fc=Linear(128 * 4 * 4, 10, rng=rng))


def card(folder: Path | str = FOLDER) -> dict[str, Any]:
    """What is known about the trained network: recipe, history per epoch, test accuracy, checksum."""
    return read_json(Path(folder) / f"{NAME}.json")


def load(folder: Path | str = FOLDER) -> Network:
    """The trained network.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: its weights are not those that its card describes.
    """
    from safetensors.numpy import load as read

    content = (Path(folder) / f"{NAME}.safetensors").read_bytes()
    if sha256(content) != card(folder)["sha256"]:
        raise ValueError(f"{NAME}.safetensors in {folder} is truncated or altered: it has not its card's sha256")
    network, saved = cifar10(), read(content)
    for name, array in network.state().items():
        array[...] = saved[name]
    return network


def from_torch(model: Any) -> Network:
    """The same network as an `nn.Sequential` of labkit, with copies of its weights; PyTorch itself is not needed.

    Raises:
        ValueError: a layer, or one of its options, that this file does not have.
    """
    layers: dict[str, Layer] = {}
    rng = np.random.default_rng(0)
    for name, layer in model._modules.items():  # named_children leaves out a layer that has been there before
        match type(layer).__name__:
            case "Normalize":
                own = Normalize(_to_numpy(layer.mean).ravel(), _to_numpy(layer.std).ravel())  # (1, C, 1, 1) -> (C,)
            case "Conv2d" if (layer.groups, layer.dilation) == (1, (1, 1)) and _plain_padding(layer):
                own = Conv2d(1, 1, 1, layer.stride, layer.padding, rng=rng)
                own.weight = _to_numpy(layer.weight.permute(2, 3, 1, 0))  # (K, C, KH, KW) -> (KH, KW, C, K)
            case "Linear":
                own = Linear(1, 1, rng=rng)
                own.weight = _to_numpy(layer.weight.T)  # (outputs, inputs) -> (inputs, outputs)
            case "BatchNorm1d" | "BatchNorm2d" if (
                layer.affine and layer.track_running_stats and layer.momentum is not None
            ):
                own = BatchNorm(layer.num_features, momentum=layer.momentum, eps=layer.eps)
                own.weight = _to_numpy(layer.weight)
                own.running_mean, own.running_var = _to_numpy(layer.running_mean), _to_numpy(layer.running_var)
            case "MaxPool2d" if layer.padding in (0, (0, 0)) and layer.dilation in (1, (1, 1)) and not layer.ceil_mode:
                own = MaxPool(layer.kernel_size, layer.stride)
            case "AvgPool2d" if layer.padding in (0, (0, 0)) and not layer.ceil_mode and not layer.divisor_override:
                own = AvgPool(layer.kernel_size, layer.stride)
            case "ReLU":
                own = ReLU()
            case "Dropout":
                own = Dropout(layer.p)
            case "Flatten" if (layer.start_dim, layer.end_dim) == (1, -1):
                own = Flatten()
            case _:
                raise ValueError(f"labkit.scratch has no layer like {name} = {layer}")
        if isinstance(own, Conv2d | Linear | BatchNorm):
            no_bias = np.zeros(own.weight.shape[-1:], own.weight.dtype)
            own.bias = no_bias if layer.bias is None else _to_numpy(layer.bias)
        layers[name] = own
    return Network(**layers)


def _plain_padding(layer: Any) -> bool:
    """Zeros, as many as a number says."""
    return layer.padding_mode == "zeros" and isinstance(layer.padding, tuple)


def _to_numpy(tensor: Any) -> Array:
    """A contiguous copy of a tensor, wherever it lives."""
    return tensor.detach().cpu().numpy().copy()
