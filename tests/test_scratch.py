"""The NumPy network: each layer against PyTorch's autograd and against finite differences, then training and files."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from labkit import data, models, scratch
from labkit.scratch import SGD, Adam, AvgPool, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool, Network, ReLU

quick = settings(max_examples=60, deadline=None)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
counts = st.integers(1, 3)


def sequential(**layers):
    return nn.Sequential(OrderedDict(layers)).double()


def randn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


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
    monkeypatch.setattr(scratch, "BLOCK", 2 * 8 * 8 * 27)  # two images a block, and one left over
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


OPTIMIZERS = {
    "plain": (lambda: SGD(0.1, momentum=0), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (lambda: SGD(0.1, momentum=0.8), lambda p: torch.optim.SGD(p, 0.1, momentum=0.8)),
    "nesterov": (
        lambda: SGD(0.1, nesterov=True, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "adam": (lambda: Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "adam, other betas": (
        lambda: Adam(0.01, betas=(0.8, 0.9), eps=1e-3),
        lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.9), eps=1e-3),
    ),
}


@pytest.mark.parametrize(("ours", "theirs"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_optimizer_steps_equal_torch(ours, theirs):
    torch.manual_seed(0)
    model = sequential(
        conv=nn.Conv2d(2, 3, 3), relu=nn.ReLU(), bn=nn.BatchNorm2d(3), flatten=nn.Flatten(), fc=nn.Linear(12, 4)
    )
    network = scratch.from_torch(model)
    optimizer, torch_optimizer = ours(), theirs(model.parameters())
    for seed in range(4):
        images, labels = randn(5, 2, 4, 4, seed=seed), torch.tensor([0, 1, 2, 3, 0])
        torch_optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        torch_optimizer.step()
        _, gradient = scratch.cross_entropy(network.forward(images, training=True), labels)
        network.backward(gradient)
        optimizer.step(network)
        for name, expected in scratch.from_torch(model).state().items():
            np.testing.assert_allclose(network.state()[name], expected, rtol=0, atol=1e-10, err_msg=name)


def untrained(name):
    """A network with weights and running statistics that are not what they begin with."""
    torch.manual_seed(0)
    model = models.SHIPPED[name]()
    for layer in model:
        if hasattr(layer, "running_var"):
            for seed, tensor in enumerate([layer.weight, layer.bias, layer.running_mean, layer.running_var]):
                tensor.data = randn(len(tensor), seed=seed).float().abs() + 0.1
    return model.eval()


def assert_same_network(model, dtype, tolerance):
    """Logits and image gradients agree."""
    model = model.to(dtype)
    channels, size = (1, 28) if next(iter(model.parameters())).shape[1] == 1 else (3, 32)
    images = torch.rand(
        4, channels, size, size, dtype=dtype, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    expected = model(images)
    expected[:, 3].sum().backward()
    network = scratch.from_torch(model)
    logits = network.forward(images.detach())
    gradient = np.zeros_like(logits)
    gradient[:, 3] = 1
    image_gradient = network.backward(gradient)
    assert logits.dtype == image_gradient.dtype == images.detach().numpy().dtype
    np.testing.assert_allclose(logits, expected.detach(), rtol=0, atol=tolerance)
    np.testing.assert_allclose(image_gradient, images.grad, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", ["mnist", "mnist-bn", "cifar10"])
def test_from_torch_gives_the_same_logits_and_image_gradients(name, dtype, tolerance):
    assert_same_network(untrained(name), dtype, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", [name for name in models.SHIPPED if (models.WEIGHTS / f"{name}.json").exists()])
def test_from_torch_on_shipped_networks(name, dtype, tolerance):
    assert_same_network(models.load(name), dtype, tolerance)


def test_from_torch_copies_the_weights():
    model = untrained("mnist")
    network = scratch.from_torch(model)
    network.layers["conv1"].weight += 1
    network.layers["fc2"].bias += 1
    np.testing.assert_array_equal(scratch.from_torch(model).layers["fc2"].bias, model.fc2.bias.detach())
    assert not np.array_equal(scratch.from_torch(model).layers["conv1"].weight, network.layers["conv1"].weight)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, dilation=2),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(2, padding=1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.BatchNorm2d(2, affine=False),
        nn.BatchNorm2d(2, track_running_stats=False),
        nn.Flatten(2),
        nn.Sigmoid(),
    ],
    ids=str,
)
def test_from_torch_refuses_what_it_does_not_have(layer):
    with pytest.raises(ValueError, match=f"no layer like odd = {type(layer).__name__}"):
        scratch.from_torch(nn.Sequential(OrderedDict(odd=layer)))


def test_cifar10_network_is_that_of_the_other_chapters():
    network, model = scratch.cifar10(), models.cifar10()
    assert list(network.layers) == [name for name, _ in model.named_children()]
    assert sum(array.size for array in network.parameters().values()) == 308_394
    expected = scratch.from_torch(model)
    assert {k: v.shape for k, v in network.state().items()} == {k: v.shape for k, v in expected.state().items()}
    assert [vars(d)["rate"] for d in network.layers.values() if isinstance(d, Dropout)] == [0.2, 0.3, 0.4]


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


def stripes(n, seed=0):
    """Noisy 8 x 8 images with horizontal (0) or vertical (1) stripes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    rows = np.arange(8) % 2
    images = np.where(labels[:, None, None, None], rows, rows[:, None]) + 0.3 * rng.standard_normal((n, 1, 8, 8))
    return images.astype(np.float32), labels


@pytest.mark.parametrize("optimizer", [SGD(0.02), Adam(0.01)], ids=["sgd", "adam"])
def test_fit_learns_and_predict_says_so(optimizer):
    network = tiny()
    history = network.fit(*stripes(200), optimizer, epochs=3, batch_size=20)
    images, labels = stripes(100, seed=1)
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert history["train_accuracy"][-1] > 0.98
    logits = network.predict(images, batch_size=30)
    assert logits.shape == (100, 2)
    assert (logits.argmax(1) == labels).mean() > 0.98
    np.testing.assert_allclose(logits, network.forward(images), atol=1e-5)


def test_fit_in_two_parts_equals_fit_in_one():
    schedule = [0.01, 0.02, 0.01, 0.005].__getitem__
    states = []
    for parts in ([4], [range(1), range(1, 3), range(3, 4)]):
        network, optimizer = tiny(dropout=0.3), SGD()
        for epochs in parts:
            network.fit(
                *stripes(60), optimizer, epochs=epochs, batch_size=20, seed=7,
                schedule=lambda epoch: schedule(int(epoch)), augment=scratch.flip,
            )  # fmt: skip
        states.append(network.state())
    for name, array in states[0].items():
        np.testing.assert_array_equal(states[1][name], array)


def test_fit_depends_on_its_seed_and_leaves_its_input_alone():
    images, labels = stripes(60)
    before = images.copy()
    weights = []
    for seed in (0, 0, 1):
        network = tiny()
        network.fit(images, labels, SGD(), epochs=1, batch_size=20, seed=seed, augment=scratch.flip)
        weights.append(network.layers["fc"].weight)
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    np.testing.assert_array_equal(images, before)


def test_flip_mirrors_every_second_image():
    images = np.random.default_rng(0).random((400, 3, 4, 5), np.float32)
    flipped = scratch.flip(images, np.random.default_rng(1))
    mirrored = (flipped == images[..., ::-1]).all((1, 2, 3))
    assert (mirrored | (flipped == images).all((1, 2, 3))).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=0.1)
    assert flipped.dtype == np.float32


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
        lambda: tiny().fit(image(3, 1, 8, 8), [0, 1], SGD(), epochs=1),
        ["(3, 1, 8, 8)", "(2,)"],
    ),
    "dropout rate": (lambda: Dropout(1.0), ["[0, 1)", "1.0"]),
}


@pytest.mark.parametrize(("call", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_both_shapes(call, said):
    with pytest.raises(ValueError) as error:  # noqa: PT011  what the message must hold is checked below
        call()
    assert all(part in str(error.value) for part in said), str(error.value)


def test_a_diverging_run_is_stopped():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"the loss became nan.*is too high"):
        tiny().fit(*stripes(60), SGD(1e30), epochs=3, batch_size=20)


# The command line, in processes of its own. Offline it trains on the bundled sample.

COMMAND = [sys.executable, "-m", "labkit.scratch", "cifar10-scratch", "--images", "400", "--epochs", "2"]


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"LABKIT_OFFLINE": "1", "LABKIT_CACHE": str(tmp_path / "cache"), "OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path, environment):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*COMMAND, "--folder", whole], env=environment, check=True, timeout=300)

    process = subprocess.Popen([*COMMAND, "--folder", killed], env=environment)
    checkpoint = killed / "cifar10-scratch.checkpoint"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert [path.name for path in killed.iterdir()] == [checkpoint.name]

    other = subprocess.run(
        [*COMMAND, "--folder", killed, "--seed", "1"], env=environment, capture_output=True, text=True
    )
    assert other.returncode != 0
    assert "delete it to start afresh" in other.stderr
    subprocess.run([*COMMAND, "--folder", killed], env=environment, check=True, timeout=300)

    cards = [json.loads((folder / "cifar10-scratch.json").read_text()) for folder in (whole, killed)]
    for card, folder in zip(cards, (whole, killed), strict=True):
        content = (folder / "cifar10-scratch.safetensors").read_bytes()
        assert card["sha256"] == hashlib.sha256(content).hexdigest()
        assert card["bytes"] == len(content)
        assert {len(values) for values in card["history"].values()} == {2}
        del card["history"]["seconds"], card["command"]
    assert cards[0] == cards[1]
    assert not checkpoint.exists()

    network = scratch.load(whole)
    assert network.forward(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 10)
    weights = whole / "cifar10-scratch.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated or altered"):
        scratch.load(whole)


def test_a_small_network_needs_nothing_but_numpy():
    code = (
        "import sys, labkit.scratch; print(*sorted({'torch', 'safetensors', 'tqdm', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_the_shipped_network_is_as_good_as_its_card_says():
    """On the 2,000 images of the sample, within four standard errors of what all 10,000 gave."""
    card, sample = scratch.card(), data.sample("cifar10")
    assert card["test_images"] == 10_000
    assert card["recipe"]["train_images"] == 50_000
    assert len(card["history"]["test_accuracy"]) <= 5
    assert card["test_accuracy"] >= 0.72
    right = scratch.load().predict(sample.images).argmax(axis=1) == sample.labels.numpy()
    error = (card["test_accuracy"] * (1 - card["test_accuracy"]) / len(sample)) ** 0.5
    assert right.mean() == pytest.approx(card["test_accuracy"], abs=4 * error)


def test_damaged_weights_are_refused(tmp_path):
    for suffix in ("safetensors", "json"):
        shutil.copy(scratch.FOLDER / f"{scratch.NAME}.{suffix}", tmp_path)
    path = tmp_path / f"{scratch.NAME}.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"cifar10-scratch\.safetensors .* is truncated or altered"):
        scratch.load(tmp_path)
