import numpy as np
import pytest
import torch
from torch import nn

from labkit import scratch
from labkit.scratch import SGD, Adam, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool, Network, ReLU, fit
from tests.scratch.networks import randn, sequential

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
    history = fit(network, *stripes(200), optimizer, epochs=3, batch_size=20)
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
            fit(
                network,
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
        fit(network, images, labels, SGD(), epochs=1, batch_size=20, seed=seed, augment=scratch.flip)
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


def test_a_diverging_run_is_stopped():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"the loss became nan.*is too high"):
        fit(tiny(), *stripes(60), SGD(1e30), epochs=3, batch_size=20)
