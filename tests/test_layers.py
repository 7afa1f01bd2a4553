"""One pass through a network gives what its layers put out, and stops where nothing more is wanted."""

import pytest
import torch
from torch import nn

from labkit import models
from labkit.layers import find_layer, has_hooks, is_plain, is_sequential, run, window_of


class Branches(nn.Module):
    """x -> act(conv(act(x))) + x: a layer that runs twice, and one that never does."""

    def __init__(self):
        super().__init__()
        self.act, self.conv, self.spare = nn.ReLU(), nn.Conv2d(1, 1, 3, padding=1), nn.Identity()

    def forward(self, x):
        return self.act(self.conv(self.act(x))) + x


class Refuses(nn.Module):
    def forward(self, _):
        raise AssertionError("this layer must not run")


IMAGES = torch.linspace(-1, 1, 2 * 25).view(2, 1, 5, 5)


def test_outputs_are_those_of_the_prefixes_and_the_network_is_the_empty_name():
    network = models.mnist().eval()
    images = torch.rand(2, 1, 28, 28)
    found = run(network, images, ["pool1", "conv1", ""])
    assert list(found) == ["conv1", "pool1", ""]
    assert torch.equal(found["conv1"], network[:2](images))
    assert torch.equal(found["pool1"], network[:4](images))
    assert torch.equal(found[""], network(images))


def test_what_comes_after_the_last_wanted_layer_is_not_run_at_any_depth():
    network = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), Refuses()), Refuses())
    assert list(run(network, IMAGES, ["1.1", "0"])) == ["0", "1.1"]
    with pytest.raises(AssertionError, match="must not run"):
        run(network, IMAGES, ["1"])


def test_a_layer_inside_a_block_and_the_block_itself():
    network = nn.Sequential(Branches(), nn.Sequential(Branches(), nn.Flatten())).eval()
    found = run(network, IMAGES, ["0.conv", "0", "1.0.conv", "1"])
    assert list(found) == ["0.conv", "0", "1.0.conv", "1"]
    assert torch.equal(found["0"], network[0](IMAGES))
    assert torch.equal(found["0.conv"], network[0].conv(IMAGES.relu()))
    assert torch.equal(found["1.0.conv"], network[1][0].conv(found["0"].relu()))
    assert not any(module._forward_hooks for module in network.modules())


def test_of_a_layer_that_runs_twice_the_last_output_is_kept():
    block = Branches().eval()
    found = run(block, IMAGES)
    assert list(found) == ["conv", "act", ""]
    assert torch.equal(found["act"] + IMAGES, found[""])


def test_a_module_that_stands_at_two_places_of_a_sequence_is_run_at_both():
    relu = nn.ReLU()
    network = nn.Sequential(relu, nn.Conv2d(1, 1, 3), relu)
    found = run(network, IMAGES)
    assert list(found) == ["0", "1", "2", ""]
    assert torch.equal(found["0"], IMAGES.relu())
    assert torch.equal(found["2"], network(IMAGES))


def test_what_is_no_tensor_is_handed_on_but_not_kept():
    class Last(nn.Module):
        def forward(self, outputs):
            return outputs[0][:, -1]

    network = nn.Sequential(nn.Flatten(1, 2), nn.LSTM(5, 3, batch_first=True), Last())
    found = run(network, IMAGES)
    assert list(found) == ["0", "2", ""]
    assert torch.equal(found["2"], network(IMAGES))
    with pytest.raises(ValueError, match="layer '1' is part of the network, but is not run or gives no tensor"):
        run(network, IMAGES, ["1"])


def test_a_hook_on_a_sequence_takes_part():
    network = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Flatten())
    network[0].register_forward_hook(lambda _module, _inputs, output: output + 1)
    assert (has_hooks(network[0]), has_hooks(network)) == (True, False)
    assert torch.equal(run(network, IMAGES, ["0", "1"])["1"], network(IMAGES))


def test_no_hook_stays_after_an_error():
    network = Branches()
    network.conv = nn.Conv2d(2, 1, 3)
    with pytest.raises(RuntimeError):
        run(network, IMAGES, ["conv", "act"])
    assert not any(module._forward_hooks for module in network.modules())


def test_unknown_layers_and_layers_that_are_not_run_are_refused():
    with pytest.raises(ValueError, match="unknown layer 'conv9'; the network has act, conv, spare"):
        run(Branches(), IMAGES, ["conv9"])
    with pytest.raises(ValueError, match="'spare' is part of the network, but is not run"):
        run(Branches(), IMAGES, ["spare", "conv"])
    with pytest.raises(ValueError, match=r"unknown layer '0\.conv\.x'; '0\.conv' has no layers inside it"):
        find_layer(nn.Sequential(Branches()), "0.conv.x")


def test_a_sequence_is_what_runs_its_children_and_nothing_else():
    class Scaled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    class Named(nn.Sequential):
        """No forward of its own."""

    assert is_sequential(nn.Sequential())
    assert is_sequential(Named())
    assert not is_sequential(Scaled())
    assert not is_sequential(nn.ReLU())


def test_a_plain_layer_has_no_forward_of_its_own():
    class Named(nn.ReLU):
        """No forward of its own."""

    class Leaky(nn.ReLU):
        def forward(self, x):
            return nn.functional.leaky_relu(x)

    assert is_plain(nn.ReLU(), nn.ReLU)
    assert is_plain(Named(), nn.Linear, nn.ReLU)
    assert not is_plain(Leaky(), nn.ReLU)
    assert not is_plain(nn.ReLU6(), nn.ReLU)


LAYERS = [
    nn.Conv2d(1, 1, 3, stride=2, padding=1),
    nn.Conv2d(1, 1, (2, 4), stride=(1, 3), padding=(0, 2), dilation=(3, 1)),
    nn.Conv2d(1, 1, 4, padding="same", dilation=(1, 2)),
    nn.Conv2d(1, 1, 3, padding="valid"),
    nn.MaxPool2d(3),
    nn.MaxPool2d((2, 3), 2, padding=1, ceil_mode=True),
    nn.MaxPool2d(2, dilation=2),
    nn.AvgPool2d(2, 3, ceil_mode=True),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch's, about its speed
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("size", [(11, 12), (9, 7)])
def test_a_window_knows_how_many_outputs_there_are(layer, size):
    outputs = layer(torch.zeros(1, 1, *size)).shape[2:]
    window = window_of(layer)
    assert tuple(window.outputs(axis, size[axis]) for axis in (0, 1)) == tuple(outputs)


def test_windows_and_what_has_none():
    window = window_of(LAYERS[1])
    assert (window.size, window.stride, window.padding, window.dilation) == ((2, 4), (1, 3), ((0, 0), (2, 2)), (3, 1))
    assert window_of(nn.Conv2d(1, 1, 4, padding="same")).padding == ((1, 2), (1, 2))
    assert window_of(nn.MaxPool2d(2)).outside == -torch.inf
    assert window_of(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")).outside is None

    class Padded(nn.Conv2d):
        def forward(self, x):
            return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))

    assert window_of(Padded(1, 1, 3)) is None
    assert window_of(nn.ReLU()) is None
