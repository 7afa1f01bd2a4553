"""Values between the marking process and a student's: JSON with the numbers of arrays beside it, under size limits.

Nothing that arrives is ever executed: no pickle, no object arrays, no types but those below. The kind and shape of an
array stand in the JSON, so that nothing but the JSON is parsed; every array is named there once.

    frame = length of the rest (8 bytes), length of the JSON (4 bytes), JSON, then for each array its length (8 bytes)
            and its numbers, little-endian, in C order
"""

import json
import math
import socket
import struct
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labkit.grading.authoring.values import TOKENS, portable

LARGEST = 64 * 2**20  # bytes of a frame
LARGEST_JSON = 2 * 2**20
DEEPEST = 40
MOST_DIMENSIONS = 32
DTYPES = {
    np.dtype(name).str: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
WIDEST = {"f": "<f8", "c": "<c16"}  # what wider numbers travel as


class TransportError(Exception):
    """What came over the wire is not a value, is too large, or did not come in time."""


def encode(value: Any) -> bytes:
    """A value as bytes: None, bool, int, float, str, list, tuple, dict, array, tensor, network, token of `check`.

    Raises:
        TypeError: it is, or holds, something else.
    """
    blobs: list[memoryview] = []
    tree = json.dumps(_tree(portable(value), blobs, 0)).encode()
    if len(tree) > LARGEST_JSON:
        raise TypeError(f"too much to send: {len(tree):,} bytes of numbers and strings; arrays may be larger")
    packed = (part for blob in blobs for part in (struct.pack(">Q", blob.nbytes), blob))
    return b"".join([struct.pack(">I", len(tree)), tree, *packed])


def decode(content: bytes | bytearray, *, tokens: bool = False) -> Any:
    """The value again.

    Args:
        content: what `encode` gave, or what a hostile process made up.
        tokens: build the tokens of `check` that are in it. Only a student's process says yes.

    Raises:
        TransportError: it is not what `encode` gives.
    """
    try:
        (length,) = struct.unpack_from(">I", content)
        if length > LARGEST_JSON:
            raise TransportError(f"{length:,} bytes of JSON, at most {LARGEST_JSON:,} are read")
        tree, blobs, place = json.loads(content[4 : 4 + length]), {}, 4 + length
        while place < len(content):
            (size,) = struct.unpack_from(">Q", content, place)
            blobs[len(blobs)] = memoryview(content)[place + 8 : place + 8 + size]
            place += 8 + size
            if len(blobs) > LARGEST_JSON // 8:
                raise TransportError("more arrays than the JSON could name")
        value = _value(tree, blobs, tokens, 0)
    except TransportError:
        raise
    except MemoryError as error:
        raise TransportError("more than there is memory for") from error
    except Exception as error:
        raise TransportError(f"not a value that can be read ({type(error).__name__})") from error
    if blobs:
        raise TransportError("an array that is not part of the value")
    return value


def send(channel: socket.socket, value: Any, *, seconds: float | None = None) -> None:
    """Raises TypeError as `encode` does, and TransportError where the other side does not take it."""
    content = encode(value)
    channel.settimeout(seconds)
    try:
        channel.sendall(struct.pack(">Q", len(content)))
        channel.sendall(content)
    except OSError as error:
        raise TransportError("the process is gone, or does not listen") from error


def receive(channel: socket.socket, *, seconds: float | None = None, tokens: bool = False) -> Any:
    """The next value.

    Args:
        channel: a connected stream socket.
        seconds: how long to wait for all of it; None waits for ever.
        tokens: see `decode`.

    Raises:
        TransportError: none came, or it cannot be read.
        TimeoutError: it took too long.
    """
    end = math.inf if seconds is None else time.monotonic() + seconds
    (length,) = struct.unpack(">Q", _exactly(channel, 8, end))
    if length > LARGEST:
        raise TransportError(f"a result of {length:,} bytes, at most {LARGEST:,} are read")
    return decode(_exactly(channel, length, end), tokens=tokens)


def _exactly(channel: socket.socket, length: int, end: float) -> bytearray:
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(None if math.isinf(left) else left)
        try:
            count = channel.recv_into(rest)
        except TimeoutError:
            raise
        except OSError as error:
            raise TransportError("the process is gone") from error
        if count == 0:
            raise TransportError("the process is gone")
        rest = rest[count:]
    return content


def _tree(value: Any, blobs: list[memoryview], depth: int) -> Any:
    if depth > DEEPEST:
        raise TypeError(f"nested more than {DEEPEST} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.ndarray | np.generic | Tensor):
        kind = "tensor" if isinstance(value, Tensor) else "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: _blob(value, blobs)}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_tree(item, blobs, depth + 1) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_tree(part, blobs, depth + 1) for part in item] for item in value.items()]}
    for name, kind in TOKENS.items():
        if isinstance(value, kind):
            return {"token": name, "fields": _tree(vars(value), blobs, depth + 1)}
    raise TypeError(f"a {type(value).__name__} cannot be sent: numbers, strings, lists, dicts, arrays and tensors can")


def _blob(value: np.ndarray | np.generic | Tensor, blobs: list[memoryview]) -> dict[str, Any]:
    if isinstance(value, Tensor):
        value = (value.float() if value.dtype is torch.bfloat16 else value).resolve_conj().resolve_neg().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"an array of kind {array.dtype} cannot be sent, only numbers can")
    dtype = array.dtype.newbyteorder("<")
    array = np.ascontiguousarray(array, dtype if dtype.str in DTYPES else WIDEST[array.dtype.kind])
    blobs.append(array.reshape(-1).view(np.uint8).data)
    return {"place": len(blobs) - 1, "dtype": array.dtype.str, "shape": list(np.shape(value))}


def _value(tree: Any, blobs: dict[int, memoryview], tokens: bool, depth: int) -> Any:
    if depth > DEEPEST:
        raise TransportError(f"nested more than {DEEPEST} deep")
    if isinstance(tree, str):
        return tree.encode("utf-8", "replace").decode("utf-8")  # lone surrogates could not be written to a file
    if not isinstance(tree, dict):
        if isinstance(tree, list):
            raise TransportError("a bare list")
        return tree
    if "token" in tree:
        if not tokens:
            raise TransportError("a token, which only the marking process may send")
        return TOKENS[tree["token"]](**_value(tree["fields"], blobs, tokens, depth + 1)).build()
    ((kind, content),) = tree.items()
    if kind in ("list", "tuple"):
        items = [_value(item, blobs, tokens, depth + 1) for item in content]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        return {_value(k, blobs, tokens, depth + 1): _value(v, blobs, tokens, depth + 1) for k, v in content}
    if kind not in ("array", "scalar", "tensor"):
        raise TransportError("a value of an unknown kind")
    if content["place"] not in blobs:
        raise TransportError("an array that is missing, or named twice")
    array = _array(blobs.pop(content["place"]), content["dtype"], content["shape"])
    return array if kind == "array" else array[()] if kind == "scalar" else torch.from_numpy(array)


def _array(content: memoryview, kind: str, shape: list[int]) -> np.ndarray:
    """An array out of its bytes, if kind and shape fit them."""
    whole = all(type(size) is int and size >= 0 for size in shape)
    if kind not in DTYPES or not whole or len(shape) > MOST_DIMENSIONS:
        raise TransportError("an array of an unknown kind, or of an impossible shape")
    if math.prod(shape) * DTYPES[kind].itemsize != content.nbytes:
        raise TransportError("an array whose size is not the one it claims")
    return np.frombuffer(content, DTYPES[kind]).reshape(shape).copy()  # aligned, and can be written to
