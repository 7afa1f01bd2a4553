import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.features.activations import activations, all_activations, dead_channels


@pytest.fixture(scope="module")
def network():
    return models.load("mnist")


@pytest.fixture(scope="module")
def images():
    return data.examples("mnist", 7)[0]


@pytest.mark.parametrize("layer", ["normalize", "conv1", "pool2", "flatten", "fc1", "fc2"])
def test_it_is_what_a_hook_on_the_layer_sees(network, images, layer):
    seen = []
    hook = getattr(network, layer).register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
    network(images)
    hook.remove()
    torch.testing.assert_close(activations(network, images, layer), seen[0], rtol=0, atol=1e-5)  # another layout


def test_the_last_layer_gives_the_logits_and_no_gradient_is_recorded(network, images):
    found = activations(network, images, "fc2")
    torch.testing.assert_close(found, network(images).detach(), rtol=0, atol=1e-5)
    assert not found.requires_grad


def test_layers_after_it_are_not_run(images):
    class Refuses(nn.Module):
        def forward(self, _):
            raise AssertionError("this layer must not run")

    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), Refuses()).eval()
    assert activations(network, images, "1").shape == (7, 2, 26, 26)


def test_batches_change_nothing_but_rounding(network, images):
    whole = activations(network, images, "conv2")
    assert torch.allclose(activations(network, images, "conv2", batch_size=3), whole, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["block2.0.conv_dw", "block2.1", "block1.0.bn1", "block1.0.bn1.act"])
def test_layers_inside_blocks_are_reached_and_no_hook_stays(layer):
    torch.manual_seed(0)
    network, image = models.efficientnet_lite0().eval(), torch.rand(1, 3, 64, 64)
    seen = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output.detach()))
    network(image)
    hook.remove()
    torch.testing.assert_close(activations(network, image, layer), seen[0], rtol=1e-4, atol=1e-5)
    assert not any(module._forward_hooks for module in network.modules())


def test_any_module_will_do():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.spare = nn.Linear(4, 2), nn.ReLU()

        def forward(self, images):
            return self.fc(images.flatten(1)) * 3

    network, images = Network().eval(), torch.rand(2, 1, 2, 2)
    assert torch.equal(3 * activations(network, images, "fc"), network(images).detach())
    with pytest.raises(ValueError, match="'spare' is part of the network, but is not run"):
        activations(network, images, "spare")
    found = all_activations(network, images)
    assert list(found) == ["fc"]
    assert torch.equal(found["fc"], activations(network, images, "fc"))


def test_channel_mean(network, images):
    expected = activations(network, images, "relu1").mean(1)
    assert torch.equal(activations(network, images, "relu1", channel_mean=True), expected)
    with pytest.raises(ValueError, match=r"'fc1' has no maps to average: its output has shape \(7, 500\)"):
        activations(network, images, "fc1", channel_mean=True)


def test_all_activations_are_those_of_each_layer_in_order(network, images):
    found = all_activations(network, images, batch_size=4)
    assert list(found) == [name for name, _ in network.named_children()]
    for layer, outputs in found.items():
        expected = activations(network, images, layer, batch_size=4)
        torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-5)
    means = all_activations(network, images, channel_mean=True, batch_size=4)
    assert list(means) == ["normalize", "conv1", "relu1", "pool1", "conv2", "relu2", "pool2"]
    assert torch.equal(means["pool2"], found["pool2"].mean(1))


def test_channels_are_dead_when_a_bias_keeps_them_below_zero(images):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 3), nn.ReLU()).eval()
    with torch.no_grad():
        network[0].weight.fill_(0.1)
        network[0].bias.copy_(torch.tensor([0.0, -1.0, 1.0, -0.85]))  # nine white pixels give 0.9
        network[3].weight.zero_()
        network[3].bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    white = torch.zeros(7, 1, 28, 28)
    white[6, :, 10:13, 10:13] = 1  # alive at one position of one image, in the last batch
    assert dead_channels(network, white, "1", batch_size=3).tolist() == [False, True, False, False]
    assert dead_channels(network, white[:6], "1").tolist() == [True, True, False, True]
    assert dead_channels(network, images, "4").tolist() == [True, True, False]


def test_a_whole_set_will_do(network):
    sample = data.sample("mnist").subset(slice(30))
    assert torch.equal(dead_channels(network, sample, "relu1"), dead_channels(network, sample.images, "relu1"))
    assert torch.equal(activations(network, sample, "fc2"), activations(network, sample.images, "fc2"))


@pytest.mark.parametrize("function", [activations, dead_channels])
def test_bad_arguments_are_refused(network, images, function):
    with pytest.raises(ValueError, match="unknown layer 'conv9'; the network has normalize, conv1"):
        function(network, images, "conv9")
    with pytest.raises(ValueError, match="batch_size must be a whole number from 1 up, got 0"):
        function(network, images, "conv1", batch_size=0)
    with pytest.raises(ValueError, match=r"pixels must lie in \[0, 1\]"):
        function(network, images * 255, "conv1")
