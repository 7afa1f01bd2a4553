"""What the checks of an assignment are written with: by its author, in the notebook, and by the marking process.

The test cell of a task ends in a hidden part, which students never see and their process never holds::

    ### BEGIN HIDDEN TESTS
    def hidden(student, reference, rng):
        image, kernel = rng.random((9, 7)), rng.standard_normal((3, 3))
        yield "a 9 x 7 image", check.same(student.convolve2d(image, kernel), reference.convolve2d(image, kernel))

    check.here(hidden, globals())
    ### END HIDDEN TESTS

`student` and `reference` offer the functions of the submitted and of the solved notebook; `student.value("name")` is a
plain variable. Each `yield` is one part of the task: what was tried, and None if it is right, else a sentence.
"""

import copy
import functools
import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import torch
from torch import Tensor, nn

from labkit import models

_collected: list[Callable] | None = None


_loaded = functools.cache(models.load)  # reading and checking the weights takes longer than most calls


# What travels to a student's function by name, and is built anew on the other side.


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


@dataclass(frozen=True)
class Layers:
    layers: tuple[tuple, ...]
    seed: int

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = nn.Sequential()
            for name, kind, *sizes in self.layers:
                network.add_module(name, LAYERS[kind](*sizes))
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


def linear(weights, bias, shape: tuple[int, ...]) -> Linear:
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


def layers(rows: list[tuple], *, seed: int = 0) -> Layers:
    """A small untrained nn.Sequential: rows such as ("conv1", "conv", 1, 4), ("relu1", "relu").

    Raises:
        ValueError: a kind of layer that LAYERS does not know.
    """
    unknown = [kind for _, kind, *_ in rows if kind not in LAYERS]
    if unknown:
        raise ValueError(f"unknown kind of layer {unknown[0]!r}; known: {', '.join(LAYERS)}")
    return Layers(tuple(tuple(row) for row in rows), seed)


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


@dataclass(frozen=True)
class Raised:
    """What a call gives where the student's function raised an exception, took too long or does not exist."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


class Here:
    """The functions and variables of a namespace of this process, called like those of a student's process."""

    def __init__(self, namespace: dict):
        self._namespace = namespace

    def __getattr__(self, name: str) -> Callable:
        def call(*arguments, **options):
            if not callable(self._namespace.get(name)):
                return Raised("NameError", f"there is no function {name}")
            try:
                return plain(self._namespace[name](*built(arguments), **built(options)))
            except Exception as error:
                return Raised(type(error).__name__, str(error))

        return call

    def value(self, name: str):
        if name not in self._namespace:
            return Raised("NameError", f"{name} is not defined")
        return plain(self._namespace[name])


def built(value):
    """Arguments as the called function gets them: tokens built, everything else copied."""
    if isinstance(value, tuple(TOKENS.values())):
        return value.build()
    if isinstance(value, list | tuple):
        return type(value)(built(item) for item in value)
    if isinstance(value, dict):
        return {key: built(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return value.detach().clone()
    return copy.deepcopy(value)


def plain(value):
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
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return copy.deepcopy(value)


# Comparing.


def same(found, expected, tolerance: float = 1e-5) -> str | None:
    """None where the values agree, else one sentence that says where they do not.

    Args:
        found: what the student's function returned.
        expected: what it should have returned.
        tolerance: the difference that is allowed, as a fraction of the largest expected number.
    """
    if isinstance(found, Raised):
        return f"it stops with {found}"
    if found is None and expected is not None:
        return "nothing came back: does it end with a return?"
    if isinstance(expected, dict):
        return _same_dicts(found, expected, tolerance)
    if isinstance(expected, list | tuple) and not _numeric(expected):
        return _same_lists(found, expected, tolerance)
    if expected is None or isinstance(expected, str):
        return None if type(found) is type(expected) and found == expected else f"{_show(found)}, not {_show(expected)}"
    return _same_numbers(found, expected, tolerance)


def raised(found, kind: str = "ValueError") -> str | None:
    """None where the call raised that exception, else a sentence."""
    if not isinstance(found, Raised):
        return f"it should raise a {kind}, and returned {_show(found)}"
    return None if found.kind == kind else f"it should raise a {kind}, and stops with {found}"


def equal(found, expected, what: str, hint: str = "", *, tolerance: float = 1e-5) -> None:
    """For visible checks: as `same`, raised as one AssertionError in words.

    Args:
        found: what the student's function returned.
        expected: what it should have returned.
        what: what was tried, "a 4 x 4 image, stride 2".
        hint: a question or a sentence that helps, added at the end.
        tolerance: see `same`.

    Raises:
        AssertionError: they differ.
    """
    words = same(found, expected, tolerance)
    if words:
        raise AssertionError(f"{what}: {words}. {hint}".rstrip())


def that(holds, words: str) -> None:
    """For visible checks: a sentence where something does not hold.

    Raises:
        AssertionError: it does not; the message is the sentence.
    """
    if not holds:
        raise AssertionError(words)


def shaped(found, shape: tuple[int, ...], what: str, hint: str = "") -> None:
    """For visible checks: a result is there, is a tensor or an array, has its shape, and holds finite numbers.

    Args:
        found: what the student's function returned.
        shape: what it should have.
        what: what it is, "your map".
        hint: a question that helps where the shape is another.

    Raises:
        AssertionError: one of these does not hold; the message says which.
    """
    that(found is not None, f"{what}: nothing came back. Does your function end with a return?")
    is_array = isinstance(found, Tensor | np.ndarray)
    that(is_array, f"{what} should be a tensor of shape {shape}, and is a {type(found).__name__}: {_show(found)}")
    sizes = " x ".join(map(str, found.shape)) or "a single number"
    that(tuple(found.shape) == shape, f"{what} is {sizes}, expected {' x '.join(map(str, shape))}. {hint}".rstrip())
    finite = torch.isfinite(torch.as_tensor(found)).all()
    that(finite, f"{what} holds nan or inf. Where could something be divided by zero?")


@contextmanager
def untouched(model: nn.Module, *tensors: Tensor) -> Iterator[None]:
    """For visible checks: a call within leaves the network and its inputs as they were.

    Raises:
        AssertionError: an input was changed or now asks for gradients, a weight was changed, or the network was left
            in training mode.
    """
    before, weights = [tensor.detach().clone() for tensor in tensors], plain(model)
    yield
    changed = any(not torch.equal(old, now) for old, now in zip(before, tensors, strict=True))
    that(not changed, "your function changes the tensor it is given. Work on a copy: images.clone()")
    asks = any(tensor.requires_grad for tensor in tensors)
    words = "your function has turned on gradients in the tensor it was given. Ask for them on a copy: "
    that(not asks, words + "images.detach().clone().requires_grad_()")
    that(not model.training, "the network is left in training mode. Does something call model.train()?")
    same_weights = all(torch.equal(old, model.state_dict()[name]) for name, old in weights.items())
    that(same_weights, "the network's weights have changed. Only the images may")


def here(hidden: Callable, namespace: dict, *, seed: int = 0) -> None:
    """Run a hidden check on the notebook that it stands in: student and reference are one.

    Raises:
        AssertionError: a part is wrong; the message says which, and how.
    """
    if _collected is not None:
        _collected.append(hidden)
        return
    own = Here(namespace)
    for what, words in hidden(own, own, np.random.default_rng(seed)):
        if words:
            raise AssertionError(f"{what}: {words}")


@contextmanager
def collecting() -> Iterator[list[Callable]]:
    """Within it `here` runs nothing, and hands over the hidden checks in a list instead."""
    global _collected
    before, _collected = _collected, []
    try:
        yield _collected
    finally:
        _collected = before


def _same_dicts(found, expected: dict, tolerance: float) -> str | None:
    if not isinstance(found, dict):
        return f"{_show(found)}, not a dict"
    if found.keys() != expected.keys():
        return f"the keys are {_show(list(found))}, expected {_show(list(expected))}"
    parts = ((key, same(found[key], expected[key], tolerance)) for key in expected)
    return next((f"at {key!r}: {words}" for key, words in parts if words), None)


def _same_lists(found, expected: list | tuple, tolerance: float) -> str | None:
    if not isinstance(found, list | tuple):
        return f"{_show(found)}, not a {type(expected).__name__}"
    if len(found) != len(expected):
        return f"{len(found)} things came back, expected {len(expected)}"
    parts = enumerate(map(same, found, expected, [tolerance] * len(expected)), start=1)
    return next((f"number {place}: {words}" for place, words in parts if words), None)


def _same_numbers(found, expected, tolerance: float) -> str | None:
    expected = np.asarray(expected)
    try:
        found = np.asarray(found)
    except ValueError:  # rows of different lengths
        return f"{_show(found)} is not an array"
    if found.dtype.kind not in "biufc":
        return f"{_show(found)}, not numbers"
    if found.shape != expected.shape:
        return f"the shape is {_shape(found)}, expected {_shape(expected)}"
    fitting = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "c": "iufc"}[expected.dtype.kind]
    if found.dtype.kind not in fitting:
        wanted = {"b": "True and False", "i": "whole numbers", "u": "whole numbers"}.get(expected.dtype.kind, "numbers")
        return f"{_show(found)} is of kind {found.dtype}, expected {wanted} ({expected.dtype})"
    if expected.size == 0:
        return None
    finite = np.isfinite(expected)
    allowed = tolerance * (np.abs(expected[finite]).max(initial=0) or 1) if expected.dtype.kind in "fc" else 0
    with np.errstate(invalid="ignore", over="ignore"):
        wide = [array.astype(complex if array.dtype.kind == "c" else float) for array in (found, expected)]
        wrong = ~np.where(
            finite,
            np.abs(wide[0] - wide[1]) <= allowed,
            (found == expected) | (found != found) & (expected != expected),
        )
    if expected.dtype.kind in "biu":
        wrong = found != expected
    if not wrong.any():
        return None
    place = tuple(int(index) for index in np.argwhere(wrong)[0])
    where = f"at {list(place)}: " if place else ""
    if np.isnan(found[place]):
        return f"{where}nan (not a number), expected {_number(expected[place])}"
    return f"{where}{_number(found[place], expected[place])}, expected {_number(expected[place], found[place])}"


def _numeric(values) -> bool:
    """A list of numbers, or of lists of numbers, that is one array."""
    try:
        return np.asarray(values).dtype.kind in "biufc" and not any(isinstance(v, Tensor | np.ndarray) for v in values)
    except (ValueError, TypeError):
        return False


def _number(value, other=None) -> str:
    short = f"{value:.6g}" if value.dtype.kind in "fc" else str(value)
    return repr(value.item()) if other is not None and short == f"{other:.6g}" else short


def _shape(array: np.ndarray) -> str:
    return str(array.shape) if array.ndim else "that of a single number"


def _show(value) -> str:
    text = " ".join(str(value.tolist() if isinstance(value, np.ndarray | Tensor) else repr(value)).split())
    return text if len(text) <= 80 else text[:77] + "..."
