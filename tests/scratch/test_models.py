import shutil
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from labkit import data, models, scratch
from labkit.scratch import Dropout
from tests.scratch.networks import randn


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
@pytest.mark.parametrize("name", [name for name in models.SHIPPED if name != "cifar10-best"])  # it has residual blocks
def test_from_torch_on_shipped_networks(name, dtype, tolerance):
    assert_same_network(models.load(name), dtype, tolerance)


def test_from_torch_takes_a_layer_at_each_of_its_places():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), relu, nn.Linear(8, 8), relu, nn.Linear(8, 3))
    images = torch.rand(4, 1, 6, 6)
    logits = scratch.from_torch(model).forward(images)
    np.testing.assert_allclose(logits, model(images).detach(), rtol=0, atol=1e-6)


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
        models.ResidualBlock(2, 2),
    ],
    ids=lambda layer: str(layer).partition("\n")[0],
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


@pytest.mark.slow
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
