"""A call as a line of Python that a student can paste below the own function, and get what the marking process got."""

import base64
import io
import math
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labkit.grading.authoring.values import Function, Layers, Linear, Network

SHORT = 64  # numbers that are written out; longer arrays are packed
LONGEST = 60_000  # characters of a call
IMPORTS = {
    "np.": "import numpy as np",
    "torch.": "import torch",
    "models.": "from labkit import models",
    "check.": "from labkit.grading.authoring import check",
}


def call(name: str, arguments: tuple, options: dict) -> str:
    """A snippet with its imports: "import torch\\n\\nsaliency(models.load("mnist"), torch.tensor([...]), ...)".

    A call that would be longer than anybody pastes is said in words: the shapes of what it was given.
    """
    given = [expression(value) for value in arguments]
    given += [f"{key}={expression(value)}" for key, value in options.items()]
    line = (
        f"{name}({', '.join(given)})"
        if sum(map(len, given)) < 90
        else f"{name}(\n    " + ",\n    ".join(given) + ",\n)"
    )
    if len(line) > LONGEST:
        shapes = [f"{tuple(value.shape)}" for value in arguments if isinstance(value, Tensor | np.ndarray)]
        return f"# {name} with arrays of shape {', '.join(shapes)}: too many numbers to write down"
    needed = [statement for prefix, statement in IMPORTS.items() if prefix in line]
    return "\n".join([*needed, "", line] if needed else [line])


def expression(value: Any) -> str:
    """Python that makes this value: a number, text, list, dict, array, tensor, or what travels by name."""
    match value:
        case Tensor():
            return _tensor(value)
        case np.ndarray():
            return _array(value)
        case np.generic():
            return _number(value)
        case Network():
            return f'models.load("{value.name}")'
        case Function():
            return value.name.replace("numpy.", "np.", 1)
        case Linear():
            parts = ", ".join(map(expression, (value.weights, value.bias, value.shape)))
            return f"check.linear({parts}).build()"
        case Layers():
            trained = f", weights={expression(value.weights)}" if value.weights else ""
            return f"check.layers({expression(list(value.layers))}, seed={value.seed}{trained}).build()"
        case dict():
            return "{" + ", ".join(f"{expression(key)}: {expression(item)}" for key, item in value.items()) + "}"
        case list():
            return f"[{', '.join(map(expression, value))}]"
        case tuple():
            return f"({', '.join(map(expression, value))}{',' if len(value) == 1 else ''})"
        case float():
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        case _:
            return repr(value)


def unpacked(text: str) -> np.ndarray:
    """The array again of which `expression` wrote down `check.unpacked("...")`."""
    return np.load(io.BytesIO(zlib.decompress(base64.b85decode(text))), allow_pickle=False)


def _packed(array: np.ndarray) -> str:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return f'check.unpacked("{base64.b85encode(zlib.compress(file.getvalue(), 9)).decode()}")'


def _tensor(value: Tensor) -> str:
    array = value.numpy()
    if array.size > SHORT:
        return f"torch.from_numpy({_packed(array)})"
    if array.size == 0:
        return f"torch.zeros({tuple(array.shape)}, dtype={value.dtype})"
    usual = value.dtype in (torch.float32, torch.int64, torch.bool)
    return f"torch.tensor({_nested(array)}{'' if usual else f', dtype={value.dtype}'})"


def _array(array: np.ndarray) -> str:
    if array.size > SHORT:
        return _packed(array)
    if array.size == 0:
        return f"np.zeros({array.shape}, dtype=np.{array.dtype})"
    usual = array.dtype in (np.float64, np.int64, np.bool_)
    return f"np.array({_nested(array)}{'' if usual else f', dtype=np.{array.dtype}'})"


def _nested(array: np.ndarray) -> str:
    return _number(array[()]) if array.ndim == 0 else f"[{', '.join(map(_nested, array))}]"


def _number(value: Any) -> str:
    """The shortest digits that give this NumPy number again in its own precision."""
    text = str(value)
    return text if value.dtype.kind not in "fc" or np.isfinite(value) else f'float("{text}")'
