import pytest
import torch

from labkit import models
from labkit.features.filters import filters


def test_first_layers_are_given_whole():
    network = models.cifar10()
    assert torch.equal(filters(network, "conv1"), network.conv1.weight)
    assert filters(models.mnist(), "conv1").shape == (32, 1, 3, 3)
    assert filters(network, "conv1").shape == (32, 3, 3, 3)


def test_deeper_layers_give_eight_channels_of_each_of_four_filters():
    network = models.mnist()
    assert torch.equal(filters(network, "conv2"), network.conv2.weight[:4, :8])
    assert torch.equal(filters(network, "conv2", count=100, channels=100), network.conv2.weight)


def test_layers_inside_blocks_have_names_with_dots():
    network = models.efficientnet_lite0()
    depthwise = filters(network, "block2.0.conv_dw")
    assert torch.equal(depthwise, network.block2[0].conv_dw.weight)
    assert depthwise.shape[1:] == (1, 3, 3)


def test_the_weights_are_not_the_networks_own():
    network = models.mnist()
    filters(network, "conv1").zero_()
    assert network.conv1.weight.abs().min() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "conv9"}, "unknown layer 'conv9'; the network has normalize, conv1, relu1"),
        ({"layer": "conv1.weight"}, "unknown layer 'conv1.weight'; 'conv1' has no layers inside it"),
        ({"layer": "fc1"}, "is a Linear and has no filters; the network's convolutions: conv1, conv2$"),
        ({"layer": "conv2", "count": 0}, "count must be a whole number from 1 up, got 0"),
        ({"layer": "conv2", "channels": -1}, "channels must be a whole number from 1 up, got -1"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        filters(models.mnist(), **options)
