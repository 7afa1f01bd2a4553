"""What travels between the marking process and a student's: functions' arguments on the way there, answers back."""

import copy
import functools
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labkit import models

_loaded = functools.cache(models.load)  # reading and checking the weights takes longer than most calls


# What travels by name, and is built anew on the other side.


@dataclass(frozen=True)
class Network:
    name: str

    def build(self) -> nn.Module:
        return copy.deepcopy(_loaded(self.name))


@dataclass(frozen=True, eq=False)
class Linear:
    weights: Tensor
    bias: Tensor
    shape: tuple[int, ...]

    def build(self) -> nn.Module:
        outputs, inputs = self.weights.shape
        layer = nn.Linear(inputs, outputs, dtype=self.weights.dtype)
        layer.load_state_dict({"weight": self.weights, "bias": self.bias})
        return nn.Sequential(nn.Flatten(), layer).eval()


@dataclass(frozen=True, eq=False)
class Layers:
    layers: tuple[tuple, ...]
    seed: int
    weights: dict[str, Tensor]

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = nn.Sequential()
            for name, kind, *sizes in self.layers:
                network.add_module(name, LAYERS[kind](*sizes))
        if self.weights:
            network.load_state_dict(self.weights)
        return network.eval()


@dataclass(frozen=True)
class Function:
    name: str

    def build(self) -> Callable:
        module, _, attribute = self.name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


TOKENS = {"network": Network, "linear": Linear, "layers": Layers, "function": Function}
LAYERS = {
    "conv": lambda channels, filters, size=3: nn.Conv2d(channels, filters, size, padding=size // 2),
    "linear": nn.Linear,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "max_pool": nn.MaxPool2d,
    "avg_pool": nn.AvgPool2d,
    "flatten": nn.Flatten,
    "dropout": nn.Dropout,
}


def network(name: str) -> Network:
    """A network that labkit ships, `models.load(name)` on either side.

    Raises:
        ValueError: labkit ships none of this name.
    """
    if name not in (*models.SHIPPED, "efficientnet_lite0"):
        raise ValueError(f"unknown network {name!r}; known: {', '.join(models.SHIPPED)}, efficientnet_lite0")
    return Network(name)


def linear(weights: Any, bias: Any, shape: tuple[int, ...]) -> Linear:
    """A linear network, nn.Sequential(Flatten, Linear): its gradient is known, it is `weights`.

    Args:
        weights: (K, pixels), array or tensor.
        bias: (K,).
        shape: (C, H, W) of the images it takes.

    Raises:
        ValueError: the weights are not (K, pixels of the shape), or the bias is not (K,).
    """
    weights = torch.as_tensor(weights)
    bias = torch.as_tensor(bias, dtype=weights.dtype)
    pixels = int(np.prod(shape))
    if weights.ndim != 2 or weights.shape[1] != pixels or bias.shape != weights.shape[:1]:
        found = f"{tuple(weights.shape)} and {tuple(bias.shape)}"
        raise ValueError(f"weights must be (K, {pixels}) for images of shape {shape} and bias (K,), got {found}")
    return Linear(weights, bias, tuple(shape))


def layers(rows: list[tuple], *, seed: int = 0, weights: dict[str, Tensor] | None = None) -> Layers:
    """A small nn.Sequential: rows such as ("conv1", "conv", 1, 4), ("relu1", "relu").

    Args:
        rows: name and kind of each layer, and its sizes.
        seed: draws the weights of an untrained network.
        weights: those of a trained one, its state_dict.

    Raises:
        ValueError: a kind of layer that LAYERS does not know.
    """
    unknown = [kind for _, kind, *_ in rows if kind not in LAYERS]
    if unknown:
        raise ValueError(f"unknown kind of layer {unknown[0]!r}; known: {', '.join(LAYERS)}")
    return Layers(tuple(tuple(row) for row in rows), seed, dict(weights or {}))


def function(name: str) -> Function:
    """A function of NumPy, PyTorch, math or labkit by its full name: "numpy.max", "torch.nn.functional.relu".

    Raises:
        ValueError: a name from elsewhere, or one that is not there.
    """
    if not re.fullmatch(r"(numpy|torch|math|labkit)(\.\w+)+", name):
        raise ValueError(f"only functions of numpy, torch, math and labkit travel by name, got {name!r}")
    try:
        Function(name).build()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {name}: {error}") from error
    return Function(name)


# What comes back.


BORROWED = "Borrowed"  # the kind of a call that is not made, see `check.borrowed`


@dataclass(frozen=True)
class Raised:
    """What a call gives where the student's function raised an exception, took too long or does not exist."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind

    @property
    def words(self) -> str:
        """What is said of it, "it ...": how the call stopped, or why it was not made."""
        return self.message if self.kind == BORROWED else f"it stops with {self}"


def as_arguments(value: Any) -> Any:
    """Arguments as the called function gets them: tokens built, everything else copied."""
    if isinstance(value, tuple(TOKENS.values())):
        return value.build()
    if isinstance(value, list | tuple):
        return type(value)(as_arguments(item) for item in value)
    if isinstance(value, dict):
        return {key: as_arguments(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return value.detach().clone()
    return copy.deepcopy(value)


def portable(value: Any) -> Any:
    """Results as they travel: a network is its tensors by name, a dataclass its fields, tensors have no history.

    What was raised stays what it is, so that an answer may be kept and handed out again.
    """
    if isinstance(value, (*TOKENS.values(), Raised)):
        return value
    if isinstance(value, nn.Module):
        return {name: tensor.detach().cpu().clone() for name, tensor in value.state_dict().items()}
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [portable(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: portable(getattr(value, field.name)) for field in fields(value)}
    return copy.deepcopy(value)
