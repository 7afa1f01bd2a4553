import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.features.activations import activations
from labkit.features.top_images import top_images


@pytest.fixture(scope="module")
def network():
    return models.load("cifar10")


@pytest.fixture(scope="module")
def images():
    return data.examples("cifar10", 60)[0]


@pytest.mark.parametrize("batch_size", [7, 64])
def test_a_channel_counts_with_its_maximum_over_positions(network, images, batch_size):
    found = top_images(network, images, "relu4", unit=9, k=8, batch_size=batch_size)
    maps = activations(network, images, "relu4")[:, 9]
    expected = maps.amax((1, 2)).sort(descending=True)
    assert torch.equal(found.indices, expected.indices[:8])
    assert torch.allclose(found.values, expected.values[:8], atol=1e-5)
    at_positions = maps[found.indices, *found.positions.T]
    assert torch.allclose(at_positions, found.values, atol=1e-5)


def test_several_units_are_found_as_each_alone(network, images):
    units = [9, (9, 3, 12), 30]
    several = top_images(network, images, "relu4", unit=units, k=5, batch_size=7)
    for unit, found in zip(units, several, strict=True):
        alone = top_images(network, images, "relu4", unit=unit, k=5, batch_size=7)
        assert torch.equal(found.indices, alone.indices)
        assert torch.equal(found.rectangles, alone.rectangles)


def test_one_neuron_and_a_dense_unit(network, images):
    neuron = top_images(network, images, "relu4", unit=(9, 3, 12), k=5)
    expected = activations(network, images, "relu4")[:, 9, 3, 12].sort(descending=True)
    assert torch.allclose(neuron.values, expected.values[:5], atol=1e-5)
    assert neuron.positions.tolist() == [[3, 12]] * 5
    dense = top_images(network, images, "fc", unit=7, k=5)
    assert torch.equal(dense.indices, network(images)[:, 7].sort(descending=True).indices[:5])
    assert dense.positions.shape == (5, 0)
    assert dense.rectangles.tolist() == [[0, 0, 32, 32]] * 5
    assert torch.equal(torch.stack(dense.patches), images[dense.indices])


def test_the_patch_is_all_that_the_unit_needs(network, images):
    """Everything outside of the rectangle may change, and the activation stays; inside, it may not."""
    found = top_images(network, images, "relu3", unit=5, k=6)
    for index, value, place, box, patch in zip(
        found.indices, found.values, found.positions, found.rectangles.tolist(), found.patches, strict=True
    ):
        top, left, height, width = box
        inside = (slice(None), slice(top, top + height), slice(left, left + width))
        assert torch.equal(patch, images[index][inside])
        other = 1 - images[index]
        other[inside] = patch
        again = activations(network, other[None], "relu3")[0, 5, place[0], place[1]]
        assert torch.allclose(again, value, atol=1e-5)
        changed = images[index].clone()
        changed[inside] = 1 - patch
        assert not torch.allclose(activations(network, changed[None], "relu3")[0, 5, *place], value, atol=1e-3)


def test_a_planted_image_is_found_and_equal_ones_come_in_order():
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()).eval()
    nn.init.ones_(network[0].weight)
    nn.init.zeros_(network[0].bias)
    images = torch.zeros(50, 1, 8, 8)
    images[[41, 13, 30], :, 4:7, 2:5] = 1
    images[13] *= 0.5
    found = top_images(network, images, "1", unit=0, k=5, batch_size=8)
    assert found.indices.tolist() == [30, 41, 13, 0, 1]
    assert found.values.tolist() == [9, 9, 4.5, 0, 0]
    assert found.positions[:3].tolist() == [[4, 2]] * 3
    assert torch.equal(found.patches[0], torch.ones(1, 3, 3))


def test_a_layer_that_stands_at_two_places():
    relu = nn.ReLU()
    network = nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Conv2d(2, 2, 3), relu).eval()
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for layer, size in (("1", 3), ("3", 5)):
        found = top_images(network, images, layer, unit=0, k=2)
        assert found.rectangles[:, 2:].tolist() == [[size, size]] * 2
        assert torch.allclose(found.values, activations(network, images, layer)[found.indices, 0].amax((1, 2)))


def test_k_may_be_the_whole_set_which_may_be_an_image_set(network):
    sample = data.sample("cifar10").subset(slice(10))
    found = top_images(network, sample, "relu1", unit=0, k=10)
    assert sorted(found.indices.tolist()) == list(range(10))
    assert found.values.tolist() == sorted(found.values.tolist(), reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 61}, "k must be a whole number from 1 to 60, got 61"),
        ({"k": 0}, "got 0"),
        (
            {"unit": 64},
            r"unit must be a number in 0\.\.63 or \(channel, row, column\) in \(0\.\.63, 0\.\.15, 0\.\.15\)",
        ),
        ({"unit": -1}, "in layer 'relu4', got -1"),
        ({"unit": (1, 16, 0)}, r"got \(1, 16, 0\)"),
        ({"unit": (1, 2)}, r"got \(1, 2\)"),
        ({"layer": "fc", "unit": 10}, r"unit must be a number in 0\.\.9 in layer 'fc', got 10"),
        ({"layer": "relu9"}, "unknown layer 'relu9'; the network has normalize, conv1"),
        ({"batch_size": 0}, "got 0"),
    ],
)
def test_bad_arguments_are_refused(network, images, options, message):
    with pytest.raises(ValueError, match=message):
        top_images(network, images, **{"layer": "relu4", "unit": 0, "k": 5} | options)
