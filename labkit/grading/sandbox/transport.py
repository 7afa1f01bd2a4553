"""Values between the marking process and a student's: JSON with arrays beside it as .npy, under size limits.

Nothing that arrives is ever executed: no pickle, no object arrays, no types but those below.

    frame = length of the rest (8 bytes), length of the JSON (4 bytes), JSON, then for each array its length (8 bytes)
            and its .npy bytes
"""

import io
import json
import math
import socket
import struct
import time

import numpy as np
import torch
from torch import Tensor

from labkit.grading.authoring.check import TOKENS, plain

LARGEST = 64 * 2**20  # bytes of a frame
LARGEST_JSON = 2 * 2**20
DEEPEST = 40


class TransportError(Exception):
    """What came over the wire is not a value, is too large, or did not come in time."""


def encode(value) -> bytes:
    """A value as bytes: None, bool, int, float, str, list, tuple, dict, array, tensor, network, token of `check`.

    Raises:
        TypeError: it is, or holds, something else.
    """
    blobs: list[bytes] = []
    tree = json.dumps(_tree(plain(value), blobs, 0)).encode()
    if len(tree) > LARGEST_JSON:
        raise TypeError(f"too much to send: {len(tree):,} bytes of numbers and strings; arrays may be larger")
    packed = b"".join(struct.pack(">Q", len(blob)) + blob for blob in blobs)
    return struct.pack(">I", len(tree)) + tree + packed


def decode(content: bytes, *, tokens: bool = False):
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
        tree, blobs, place = json.loads(content[4 : 4 + length]), [], 4 + length
        while place < len(content):
            (size,) = struct.unpack_from(">Q", content, place)
            blobs.append(content[place + 8 : place + 8 + size])
            place += 8 + size
        return _value(tree, blobs, tokens, 0)
    except TransportError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, struct.error) as error:
        raise TransportError(f"not a value that can be read ({type(error).__name__})") from error


def send(channel: socket.socket, value, *, seconds: float | None = None) -> None:
    """Raises TypeError as `encode` does, and TransportError where the other side does not take it."""
    content = encode(value)
    channel.settimeout(seconds)
    try:
        channel.sendall(struct.pack(">Q", len(content)) + content)
    except OSError as error:
        raise TransportError("the process is gone, or does not listen") from error


def receive(channel: socket.socket, *, seconds: float | None = None, watch=None, tokens: bool = False):
    """The next value.

    Args:
        channel: a connected stream socket.
        seconds: how long to wait for all of it; None waits for ever.
        watch: called a few times a second while waiting; may raise.
        tokens: see `decode`.

    Raises:
        TransportError: none came, or it cannot be read.
        TimeoutError: it took too long.
    """
    end = math.inf if seconds is None else time.monotonic() + seconds
    (length,) = struct.unpack(">Q", _exactly(channel, 8, end, watch))
    if length > LARGEST:
        raise TransportError(f"a result of {length:,} bytes, at most {LARGEST:,} are read")
    return decode(_exactly(channel, length, end, watch), tokens=tokens)


def _exactly(channel: socket.socket, length: int, end: float, watch) -> bytes:
    content = bytearray()
    while len(content) < length:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(min(left, 0.25))
        try:
            piece = channel.recv(min(length - len(content), 2**20))
        except TimeoutError:
            piece = None
        except OSError as error:
            raise TransportError("the process is gone") from error
        if watch is not None and (piece is None or len(content) % 2**24 == 0):
            watch()
        if piece == b"":
            raise TransportError("the process is gone")
        content += piece or b""
    return bytes(content)


def _tree(value, blobs: list[bytes], depth: int):
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


def _blob(value, blobs: list[bytes]) -> int:
    if isinstance(value, Tensor):
        value = (value.float() if value.dtype is torch.bfloat16 else value).resolve_conj().resolve_neg().numpy()
    array = np.ascontiguousarray(value).reshape(np.shape(value))
    if array.dtype.kind not in "biufc":
        raise TypeError(f"an array of kind {array.dtype} cannot be sent, only numbers can")
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    blobs.append(file.getvalue())
    return len(blobs) - 1


def _value(tree, blobs: list[bytes], tokens: bool, depth: int):
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
    array = _array(blobs[content])
    return {"array": lambda: array, "scalar": lambda: array[()], "tensor": lambda: torch.from_numpy(array)}[kind]()


def _array(content: bytes) -> np.ndarray:
    """An array out of .npy bytes, whose header is believed only if it fits the bytes that follow."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise TransportError("an array in an unknown format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biufc" or min(shape, default=0) < 0 or len(shape) > 32:
        raise TransportError(f"an array of kind {dtype}")
    rest = content[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(rest):
        raise TransportError("an array whose size is not the one it claims")
    array = np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="))  # a copy that can be written to
