import contextlib
import json
import socket
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labkit.grading.authoring import check
from labkit.grading.sandbox import transport
from labkit.grading.sandbox.transport import TransportError, decode, encode

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=12,
)


@pytest.mark.slow
@given(plain_values)
def test_plain_values_come_back_as_they_were(value):
    found = decode(encode(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "complex64", ">f4", "float16"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_arrays_keep_shape_kind_and_numbers(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    for value in (array, np.asfortranarray(array), array[()]):
        found = decode(encode(value))
        np.testing.assert_array_equal(found, value)
        assert found.dtype == np.dtype(dtype).newbyteorder("=")


def test_tensors_lose_their_history():
    weights = torch.ones(2, 3, requires_grad=True)
    found = decode(encode({"a": weights * 2, "b": torch.tensor(3), "c": torch.ones(2, dtype=torch.bfloat16)}))
    assert torch.equal(found["a"], torch.full((2, 3), 2.0))
    assert not found["a"].requires_grad
    assert found["b"].item() == 3
    assert found["c"].dtype == torch.float32


def test_a_network_is_its_tensors():
    network = check.linear([[1.0, 2], [3, 4]], [5.0, 6], (1, 1, 2)).build()
    found = decode(encode(network))
    assert found["1.weight"].tolist() == [[1, 2], [3, 4]]
    assert found["1.bias"].tolist() == [5, 6]


def test_tokens_are_built_on_the_students_side_only():
    content = encode([check.function("numpy.max"), check.linear([[1.0, 2]], [0.0], (1, 1, 2))])
    largest, network = decode(content, tokens=True)
    assert largest is np.max
    assert network(torch.ones(1, 1, 1, 2)).item() == 3
    with pytest.raises(TransportError, match="token"):
        decode(content)


class Liar(float):
    def __float__(self):
        return 1e9

    __eq__ = lambda *_: True  # noqa: E731
    __hash__ = None


def test_subclasses_do_not_travel():
    found = decode(encode([Liar(3)]))
    assert type(found[0]) is float


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", print, np.array([object()]), np.array(["a"]), [open]])
def test_other_things_are_refused(value):
    with pytest.raises(TypeError, match="cannot be sent"):
        encode(value)


def test_what_is_nested_too_deep_is_refused():
    nested = []
    for _ in range(100):
        nested = [nested]
    with pytest.raises(TypeError, match="nested"):
        encode(nested)
    tree = b'{"list":[' * 100 + b"]}" * 100
    with pytest.raises(TransportError, match="nested"):
        decode(struct.pack(">I", len(tree)) + tree)


def framed(tree, *blobs):
    content = json.dumps(tree).encode()
    return struct.pack(">I", len(content)) + content + b"".join(struct.pack(">Q", len(b)) + b for b in blobs)


def array(dtype="<f8", shape=(2,), place=0):
    return {"array": {"place": place, "dtype": dtype, "shape": list(shape)}}


TWO = b"x" * 16  # two numbers of 8 bytes
FORGED = {
    "nothing": b"",
    "half a number": b"\x00\x00",
    "no JSON": struct.pack(">I", 3) + b"abc",
    "more than there is": struct.pack(">I", 2**31) + b"{}",
    "a bare list": framed([1]),
    "an unknown kind": framed({"pickle": 0}),
    "two kinds": framed({"list": [], "tuple": []}),
    "an array that is missing": framed(array(place=3)),
    "an array named twice": framed({"list": [array(), array()]}, TWO),
    "an array that nobody names": framed(None, TWO),
    "a place that is a list": framed(array(place=[]), TWO),
    "a shape that is a lie": framed(array(shape=(2**30, 2**30)), TWO),
    "a negative shape": framed(array(shape=(-1, -2)), TWO),
    "a shape of halves": framed(array(shape=(0.5, 4)), TWO),
    "a shape that is text": framed({"array": {"place": 0, "dtype": "<f8", "shape": "22"}}, TWO),
    "a thousand dimensions": framed(array(shape=(1,) * 1000 + (2,)), TWO),
    "objects": framed(array("|O"), TWO),
    "fields": framed(array([["a", "<f8"]]), TWO),
    "text": framed(array("<U2"), TWO),
    "a dict with a list as key": framed({"dict": [[{"list": []}, 1]]}),
    "a dict with an array as key": framed({"dict": [[array(), 1]]}, TWO),
    "a JSON bomb": struct.pack(">I", 200_000) + b"[" * 200_000,
    "a number of a million digits": framed(None)[:4].replace(b"\x00\x00\x00\x04", struct.pack(">I", 10**6))
    + b"1" * 10**6,
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_bytes_are_refused(what):
    with pytest.raises(TransportError):
        decode(FORGED[what])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(content):
    with contextlib.suppress(TransportError):
        decode(content)


def test_over_a_socket():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport.send(ours, {"numbers": np.arange(3)})
        assert transport.receive(theirs, seconds=60)["numbers"].tolist() == [0, 1, 2]
        with pytest.raises(TimeoutError):
            transport.receive(theirs, seconds=0.01)
        ours.sendall(struct.pack(">Q", 2**40))
        with pytest.raises(TransportError, match="bytes, at most"):
            transport.receive(theirs, seconds=60)
        ours.sendall(struct.pack(">Q", 10) + b"x")
        ours.close()
        with pytest.raises(TransportError, match="gone"):
            transport.receive(theirs, seconds=60)
