"""The layers of the NumPy network: against PyTorch's autograd, against finite differences, by hand."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from labkit import models, scratch
from labkit.scratch import (
    SGD,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Network,
    ReLU,
    fit,
    network,
)
from tests.scratch.networks import randn, sequential

quick = settings(max_examples=60, deadline=None)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
counts = st.integers(1, 3)


def channels_last(x):
    """(N, C, H, W) tensor -> (N, H, W, C) array; (N, C) stays."""
    x = x.detach().numpy()
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x


def assert_parity(torch_layer, x, *, training=False):
    """Output, gradient of the input and gradients of the parameters agree to 1e-10 in float64."""
    close = {"rtol": 0, "atol": 1e-10}
    model = sequential(layer=torch_layer).train(training)
    layer = scratch.from_torch(model).layers["layer"]
    x = x.clone().requires_grad_()
    expected = model(x)
    gradient = randn(*expected.shape, seed=1)
    expected.backward(gradient)
    out = layer.forward(channels_last(x), training)
    np.testing.assert_allclose(out, channels_last(expected), **close)
    np.testing.assert_allclose(layer.backward(channels_last(gradient)), channels_last(x.grad), **close)
    for name, parameter in torch_layer.named_parameters():
        wanted = parameter.grad.permute({1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}[parameter.ndim])
        np.testing.assert_allclose(layer.gradients[name], wanted, **close)
    return layer


@quick
@given(counts, counts, counts, sizes, pairs, pairs, st.tuples(st.integers(0, 5), st.integers(0, 5)), st.booleans())
def test_conv_equals_torch(n, channels, filters, size, kernel, stride, padding, bias):
    assume(all(s + 2 * p >= k for s, p, k in zip(size, padding, kernel, strict=True)))
    torch.manual_seed(0)
    conv = nn.Conv2d(channels, filters, kernel, stride, padding, bias=bias)
    assert_parity(conv, randn(n, channels, *size))


def test_conv_over_several_blocks_equals_torch(monkeypatch):
    monkeypatch.setattr(network, "BLOCK", 2 * 8 * 8 * 27)  # two images a block, and one left over
    assert_parity(nn.Conv2d(3, 4, 3, padding=1), randn(5, 3, 8, 8))


def test_conv_by_hand():
    conv = Conv2d(1, 1, 2, rng=np.random.default_rng(0))
    conv.weight = np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None, None]
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    assert conv.forward(x)[0, :, :, 0].tolist() == [[27, 37], [57, 67]]
    assert conv.backward(np.ones((1, 2, 2, 1)))[0, :, :, 0].tolist() == [[1, 3, 2], [4, 10, 6], [3, 7, 4]]
    assert conv.gradients["weight"][:, :, 0, 0].tolist() == [[8, 12], [20, 24]]
    assert conv.gradients["bias"].tolist() == [4]


@quick
@given(counts, counts, sizes, pairs, pairs, st.booleans(), st.booleans())
def test_pooling_equals_torch(n, channels, size, window, stride, ties, largest):
    assume(all(s >= w for s, w in zip(size, window, strict=True)))
    x = randn(n, channels, *size)
    assert_parity((nn.MaxPool2d if largest else nn.AvgPool2d)(window, stride), x.round() if ties else x)


@quick
@given(counts, counts, sizes, st.booleans(), st.booleans())
def test_batch_norm_equals_torch(n, channels, size, training, image):
    assume(n * (size[0] * size[1] if image else 1) > 1)
    bn = (nn.BatchNorm2d if image else nn.BatchNorm1d)(channels, momentum=0.3, eps=1e-3)
    for seed, tensor in enumerate([bn.weight, bn.bias, bn.running_mean, bn.running_var]):
        tensor.data = randn(channels, seed=seed).abs() + 0.5
    x = 3 * randn(n, channels, *size) + 2 if image else randn(n, channels)
    layer = assert_parity(bn, x, training=training)
    np.testing.assert_allclose(layer.running_mean, bn.running_mean, rtol=0, atol=1e-10)
    np.testing.assert_allclose(layer.running_var, bn.running_var, rtol=0, atol=1e-10)


def test_batch_norm_in_training_and_evaluation():
    layer, x = BatchNorm(2), np.random.default_rng(0).normal(5, 3, (4, 6, 6, 2))
    trained = layer.forward(x, training=True)
    np.testing.assert_allclose(trained.mean((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(trained.std((0, 1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-6)
    before = layer.running_mean.copy()
    assert np.abs(layer.forward(x) - trained).max() > 1  # the running statistics are far from this batch's still
    np.testing.assert_array_equal(layer.running_mean, before)


@quick
@given(counts, counts, sizes)
def test_other_layers_equal_torch(n, channels, size):
    torch.manual_seed(0)
    x = randn(n, channels, *size)
    assert_parity(nn.ReLU(), x)
    assert_parity(nn.Flatten(), x)
    assert_parity(nn.Dropout(0.5), x)  # in evaluation
    assert_parity(models.Normalize((0.3,) * channels, (0.2,) * channels), x)
    assert_parity(nn.Linear(size[0], size[1]), randn(n, size[0]))
    assert_parity(nn.Linear(size[0], size[1], bias=False), randn(n, size[0]))


@quick
@given(counts, st.integers(1, 7), st.floats(0.1, 1000))
def test_cross_entropy_equals_torch(n, classes, size):
    logits = (size * randn(n, classes)).requires_grad_()
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(0))
    expected = nn.functional.cross_entropy(logits, labels)
    expected.backward()
    loss, gradient = scratch.cross_entropy(logits.detach().numpy(), labels.numpy())
    assert loss == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(gradient, logits.grad, rtol=0, atol=1e-10)
    np.testing.assert_allclose(scratch.softmax(logits.detach().numpy()), logits.detach().softmax(1), atol=1e-10)


def numerical_gradient(function, array, step=1e-6):
    """Central differences of a function without arguments, in each element of an array that it reads."""
    gradient = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        high = function()
        array[index] = value - step
        low = function()
        array[index] = value
        gradient[index] = (high - low) / (2 * step)
    return gradient


RNG = np.random.default_rng(0)
LAYERS = {
    "conv": (Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 2), rng=RNG), (2, 5, 4, 2)),
    "relu": (ReLU(), (2, 3, 3, 2)),
    "batch norm": (BatchNorm(3), (3, 2, 4, 3)),
    "batch norm of features": (BatchNorm(3), (5, 3)),
    "max pool": (MaxPool(2), (2, 4, 6, 2)),
    "overlapping max pool": (MaxPool(3, 2), (2, 5, 7, 2)),
    "average pool": (AvgPool((2, 3), 1), (2, 4, 5, 2)),
    "flatten": (Flatten(), (2, 3, 4, 2)),
    "linear": (Linear(4, 3, rng=RNG), (2, 4)),
    "normalize": (scratch.Normalize((0.4, 0.5), (0.2, 0.3)), (2, 3, 3, 2)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS.keys())
def test_gradients_equal_finite_differences(layer, shape, training):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape)
    for name in ("weight", "bias"):
        if hasattr(layer, name):
            setattr(layer, name, rng.standard_normal(getattr(layer, name).shape))
    gradient = rng.standard_normal(layer.forward(x, training).shape)

    def score():
        return (layer.forward(x, training) * gradient).sum()

    wanted = {
        name: numerical_gradient(score, array) for name, array in vars(layer).items() if name in ("weight", "bias")
    }
    wanted_x = numerical_gradient(score, x)
    layer.forward(x, training)
    np.testing.assert_allclose(layer.backward(gradient), wanted_x, rtol=0, atol=1e-6)
    for name, array in wanted.items():
        np.testing.assert_allclose(layer.gradients[name], array, rtol=0, atol=1e-6)


def test_dropout():
    layer, x = Dropout(0.3, seed=5), np.ones((100, 10, 10, 3), np.float32)
    out = layer.forward(x, training=True)
    assert out.dtype == np.float32
    assert set(np.unique(out)) == {0, np.float32(1 / 0.7)}
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(layer.backward(x), out)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_he_normal_keeps_the_variance_through_a_relu():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 512), np.float32)
    for _ in range(3):
        x = np.maximum(x @ scratch.he_normal(rng, 512, 512), 0)
    assert (x**2).mean() == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_weights_is_kept(dtype):
    network = scratch.cifar10().astype(dtype)
    x = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
    for key, layer in network.layers.items():
        layer.forward = checked(layer.forward, dtype, key)
        layer.backward = checked(layer.backward, dtype, key)
    _, gradient = scratch.cross_entropy(network.forward(x, training=True), [1, 2])
    network.backward(gradient)
    SGD(nesterov=True, weight_decay=0.1).step(network)
    assert {array.dtype.type for array in network.gradients().values()} == {dtype}
    assert {array.dtype.type for array in network.state().values()} == {dtype}


def checked(method, dtype, key):
    def call(*arguments):
        out = method(*arguments)
        assert out.dtype == dtype, f"{key} makes {out.dtype}"
        return out

    return call


def tiny(seed=0, dropout=0.0):
    rng = np.random.default_rng(seed)
    return Network(
        conv=Conv2d(1, 8, 3, padding=1, rng=rng), relu=ReLU(), bn=BatchNorm(8), pool=MaxPool(2), drop=Dropout(dropout),
        flatten=Flatten(), fc=Linear(8 * 4 * 4, 2, rng=rng),
    )  # fmt: skip


def image(*shape):
    return np.zeros(shape, np.float32)


NAN = image(2, 1, 8, 8)
NAN[1, 0, 3, 4] = np.nan
CONV = Conv2d(3, 4, 5, rng=RNG)
BAD = {
    "channels of a convolution": (lambda: CONV.forward(image(2, 8, 8, 1)), ["(5, 5, 3, 4)", "(2, 8, 8, 1)"]),
    "channels first": (lambda: CONV.forward(image(2, 3, 8, 8)), ["(5, 5, 3, 4)", "(2, 3, 8, 8)"]),
    "axes of a convolution": (lambda: CONV.forward(image(8, 8, 3)), ["(5, 5, 3, 4)", "(8, 8, 3)"]),
    "kernel larger than image": (lambda: CONV.forward(image(2, 4, 9, 3)), ["(5, 5)", "(2, 4, 9, 3)"]),
    "pool larger than image": (lambda: MaxPool(3).forward(image(2, 2, 4, 3)), ["(3, 3)", "(2, 2, 4, 3)"]),
    "mean larger than image": (lambda: AvgPool((1, 9)).forward(image(2, 2, 4, 3)), ["(1, 9)", "(2, 2, 4, 3)"]),
    "channels of batch norm": (lambda: BatchNorm(4).forward(image(2, 5, 5, 3)), ["(4,)", "(2, 5, 5, 3)"]),
    "one value a channel": (lambda: BatchNorm(4).forward(image(1, 4), True), ["(4,)", "(1, 4)"]),
    "inputs of linear": (lambda: Linear(4, 2, rng=RNG).forward(image(3, 5)), ["(4, 2)", "(3, 5)"]),
    "channels of normalize": (
        lambda: scratch.Normalize([0.5], [0.5]).forward(image(2, 5, 5, 3)),
        ["(1,)", "(2, 5, 5, 3)"],
    ),
    "label too high": (lambda: scratch.cross_entropy(image(3, 10), [0, 9, 10]), ["(3, 10)", "(3,)", "0..9", "got 10"]),
    "label below 0": (lambda: scratch.cross_entropy(image(2, 10), [0, -1]), ["(2, 10)", "(2,)", "got -1"]),
    "number of labels": (lambda: scratch.cross_entropy(image(3, 10), [0, 1]), ["(3, 10)", "(2,)"]),
    "kind of labels": (lambda: scratch.cross_entropy(image(2, 10), [0.0, 1.0]), ["(2, 10)", "float64"]),
    "NaN": (lambda: tiny().forward(NAN), ["(2, 1, 8, 8)", "nan at (1, 0, 3, 4)"]),
    "infinity": (lambda: tiny().forward(1 / (NAN + 1) * np.float32(np.inf)), ["(2, 1, 8, 8)", "inf"]),
    "bytes": (lambda: tiny().forward(np.zeros((2, 1, 8, 8), np.uint8)), ["(N, C, H, W)", "uint8 (2, 1, 8, 8)"]),
    "no image": (lambda: tiny().forward(image(0, 1, 8, 8)), ["(N, C, H, W)", "(0, 1, 8, 8)"]),
    "axes of a network": (lambda: tiny().forward(image(1, 8, 8)), ["(N, C, H, W)", "(1, 8, 8)"]),
    "size of a network": (lambda: tiny().forward(image(2, 1, 10, 10)), ["(128, 2)", "(2, 200)"]),
    "gradient without logits": (lambda: tiny().backward(image(2, 2)), ["None", "(2, 2)"]),
    "images and labels": (
        lambda: fit(tiny(), image(3, 1, 8, 8), [0, 1], SGD(), epochs=1),
        ["(3, 1, 8, 8)", "(2,)"],
    ),
    "dropout rate": (lambda: Dropout(1.0), ["[0, 1)", "1.0"]),
}


@pytest.mark.parametrize(("call", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_both_shapes(call, said):
    with pytest.raises(ValueError) as error:  # noqa: PT011  what the message must hold is checked below
        call()
    assert all(part in str(error.value) for part in said), str(error.value)


def test_a_small_network_needs_nothing_but_numpy():
    code = (
        "import sys, labkit.scratch; print(*sorted({'torch', 'safetensors', 'tqdm', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
