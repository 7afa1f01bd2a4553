import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from labkit import models
from labkit.features.activations import activations
from labkit.features.receptive_field import receptive_field
from labkit.layers import run
from labkit.summary import summary


def averaging(network: nn.Sequential) -> nn.Sequential:
    """The same windows, but every weight is positive and pooling takes means, so that no ReLU or maximum hides a pixel.

    Each layer averages what it sees: numbers stay in [0, 1], where a ReLU6 lets everything through as well.
    """
    network = copy.deepcopy(network).double().eval()
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(module, name, mean.eval())
    return network


def by_gradient(averages: nn.Sequential, layer: str, unit: tuple, shape: tuple[int, int, int]) -> list[int]:
    """The rectangle around all pixels whose gradient is not zero."""
    image = torch.full((1, *shape), 0.5, dtype=torch.float64, requires_grad=True)
    outputs = []
    hook = averages.get_submodule(layer).register_forward_hook(lambda _m, _i, output: outputs.append(output))
    averages(image)
    hook.remove()
    outputs[0][0, :, *unit].square().sum().backward()
    return rectangle_of(image.grad[0].abs().sum(0) > 0)


def rectangle_of(seen: Tensor) -> list[int]:
    if not seen.any():
        return [0, 0, 0, 0]
    rows, columns = (seen.any(axis).nonzero()[:, 0] for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return [top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1]


NETWORKS = {"mnist": (models.mnist_bn, (1, 28, 28)), "cifar10": (models.cifar10, (3, 32, 32))}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks_at_corners_edges_and_in_the_middle(name):
    build, shape = NETWORKS[name]
    network = build().eval()
    averages, sizes = averaging(network), summary(network, shape).rows
    layers = [row for row in sizes if len(row.output) == 3]
    assert len(layers) > 8
    for row in layers:
        last, middle = row.output[1] - 1, row.output[1] // 2
        for unit in ((0, 0), (0, middle), (middle, middle), (last, 1)):
            found = receptive_field(network, row.name, unit=unit, image_size=shape[1:])
            assert found.tolist() == by_gradient(averages, row.name, unit, shape), (row.name, unit)


def check_photograph_network(network: nn.Sequential, layers: list[str], size: int) -> None:
    averages = averaging(network)
    for layer in layers:
        side = activations(network, torch.zeros(1, 3, size, size), layer).shape[2]
        for unit in ((0, 0), (side // 2, side - 1)):
            found = receptive_field(network, layer, unit=unit, image_size=(size, size))
            assert found.tolist() == by_gradient(averages, layer, unit, (3, size, size)), (layer, unit)


@pytest.mark.slow
def test_efficientnet_down_to_the_layers_inside_its_blocks():
    names = ["conv_stem", "block1", "block1.0.conv_dw", "block2.0.bn1.act", "block2.1.conv_dw", "block2.1", "block3"]
    check_photograph_network(models.efficientnet_lite0().eval(), [*names, "block4.1.conv_pwl", "block5"], 96)


@pytest.mark.slow
def test_residual_and_deep_networks():
    check_photograph_network(models.resnet50().eval(), ["conv1", "maxpool", "layer1", "layer2.1.conv2", "layer2"], 64)
    check_photograph_network(models.vgg16().eval(), ["conv1_2", "pool2", "conv4_3", "conv5_1"], 64)


windows = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.booleans())


@pytest.mark.slow
@given(st.lists(windows, min_size=1, max_size=3), st.data())
@settings(max_examples=40, deadline=None)
def test_random_stacks_of_windows(stack, choose):
    layers = []
    for kernel, stride, padding, dilation, pool in stack:
        if pool:
            layers.append(nn.MaxPool2d(kernel, stride, min(padding, kernel // 2), ceil_mode=dilation == 2))
        else:
            layers.append(nn.Conv2d(1, 1, kernel, stride, padding, dilation))
    network = nn.Sequential(*layers).eval()
    averages, last = averaging(network), str(len(layers) - 1)
    try:
        with torch.no_grad():
            height, width = averages(torch.zeros(1, 1, 13, 10, dtype=torch.float64)).shape[2:]
    except RuntimeError:  # too small for these windows
        with pytest.raises(ValueError, match="too small"):
            receptive_field(network, last, unit=0, image_size=(13, 10))
        return
    unit = (choose.draw(st.integers(0, height - 1)), choose.draw(st.integers(0, width - 1)))
    found = receptive_field(network, last, unit=unit, image_size=(13, 10))
    assert found.tolist() == by_gradient(averages, last, unit, (1, 13, 10))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch's, about its speed
def test_same_padding_and_adaptive_pooling():
    network = nn.Sequential(nn.Conv2d(1, 1, 4, padding="same"), nn.AdaptiveAvgPool2d((3, 5)), nn.Conv2d(1, 1, 2)).eval()
    averages = averaging(network)
    for layer, unit in (("0", (0, 9)), ("0", (5, 5)), ("1", (1, 2)), ("2", (1, 3))):
        found = receptive_field(network, layer, unit=unit, image_size=(11, 10))
        assert found.tolist() == by_gradient(averages, layer, unit, (1, 11, 10))


@pytest.mark.slow
def test_known_sizes():
    def middle(network, layer, unit, size):
        return receptive_field(network, layer, unit=(unit, unit), image_size=(size, size)).tolist()

    assert middle(models.mnist(), "conv1", 14, 28) == [13, 13, 3, 3]
    assert middle(models.mnist(), "conv2", 7, 28) == [11, 11, 8, 8]
    assert middle(models.vgg16(), "pool5", 7, 512)[2:] == [212, 212]  # as Araujo, Norris and Sim list it


def test_a_channel_sees_what_its_positions_see_together_and_a_dense_layer_sees_everything_before_it():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, stride=4), nn.Flatten(), nn.Linear(2 * 7 * 7, 3)).eval()
    for layer in ("0", "2"):  # positions 0, 4, ..., 24: the last column of pixels is never read
        assert receptive_field(network, layer, unit=1, image_size=(28, 28)).tolist() == [0, 0, 27, 27]
    assert receptive_field(network, "0", unit=(0, 6, 1), image_size=(28, 28)).tolist() == [24, 4, 3, 3]
    assert receptive_field(network, "1", unit=(6, 1), image_size=(28, 28)).tolist() == [24, 4, 3, 3]


def test_a_layer_that_stands_at_several_places_sees_what_it_sees_at_each():
    relu, conv = nn.ReLU(), nn.Conv2d(1, 1, 3)
    network = nn.Sequential(conv, relu, nn.Sequential(conv, relu)).eval()
    for layer, size in {"0": 3, "1": 3, "2.0": 5, "2.1": 5}.items():
        assert receptive_field(network, layer, unit=(1, 2), image_size=(9, 9)).tolist() == [1, 2, size, size]
    assert network[2][1] is relu


def test_weights_may_be_parametrized():
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 3))).eval()
    assert receptive_field(network, "0", unit=(1, 2), image_size=(9, 9)).tolist() == [1, 2, 3, 3]


def test_a_unit_that_sees_only_padding_sees_nothing():
    network = nn.Sequential(nn.Conv2d(1, 1, 1, padding=2)).eval()
    assert receptive_field(network, "0", unit=(0, 3), image_size=(4, 4)).tolist() == [0, 0, 0, 0]


class Mixed(nn.Module):
    """Branches that are concatenated, shrunk to a gate, split and moved, as in torchvision's networks."""

    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 5, padding=2, dilation=1)
        self.joined, self.moved, self.dense = nn.Identity(), nn.Identity(), nn.Linear(4, 4)
        self.cropped, self.widened, self.gated = nn.Identity(), nn.Identity(), nn.Identity()
        self.pooled, self.wide, self.fc = nn.Identity(), nn.Identity(), nn.Linear(4 * 4, 3)

    def forward(self, x):
        x = self.joined(torch.cat([self.near(x), self.far(x)], 1))
        x = nn.functional.hardswish(x + 3)
        x = self.dense(x.permute(0, 2, 3, 1))  # over the channels of each position
        x = self.moved(nn.functional.layer_norm(x, (4,)).permute(0, 3, 1, 2))
        first, second = x.chunk(2, dim=1)
        x = torch.cat((first * 2, second.sigmoid()), dim=1)
        x = self.cropped(x[:, :, 1:, :-2])
        x = self.widened(torch.cat([x, x[:, :, :2]], dim=2))  # rows that are there twice
        x = self.pooled(nn.functional.max_pool2d(nn.functional.pad(x, (1, 0, 0, 2)), 3, stride=2))
        gate = self.wide(x.mean((2, 3), keepdim=True))
        x = self.gated(x * gate)
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 2).reshape(x.size(0), -1))


def by_perturbation(network: nn.Module, layer: str, unit: tuple, size: tuple[int, int]) -> list[int]:
    """The rectangle around all pixels that change a unit, in any channel, of a random image."""
    image = torch.rand(1, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    clean = run(network, image, [layer])[layer][(0, slice(None), *unit)]
    seen = torch.zeros(size, dtype=torch.bool)
    for row in range(size[0]):
        for column in range(size[1]):
            for change in (-10.0, 10.0):  # down and up, so that no maximum hides it
                other = image.clone()
                other[..., row, column] += change
                seen[row, column] |= bool((run(network, other, [layer])[layer][(0, slice(None), *unit)] != clean).any())
    return rectangle_of(seen)


@pytest.mark.slow
def test_concatenation_permutation_gates_crops_and_padding():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Mixed().double().eval()
    for layer, units in {
        "joined": [(0, 0), (5, 6)],
        "moved": [(0, 0), (4, 9)],
        "cropped": [(0, 0), (9, 7)],
        "widened": [(0, 3), (9, 1), (11, 0)],
        "pooled": [(0, 0), (2, 2), (5, 3)],
        "gated": [(0, 0), (3, 2)],
    }.items():
        for unit in units:
            found = receptive_field(network, layer, unit=unit, image_size=(11, 10))
            assert found.tolist() == by_perturbation(network, layer, unit, (11, 10)), (layer, unit)
    for layer in ("wide", "fc"):
        assert receptive_field(network, layer, unit=0, image_size=(11, 10)).tolist() == [0, 0, 11, 10]


TORCHVISION = {
    "densenet121": ["features.conv0", "features.denseblock1.denselayer3", "features.transition1", "features.norm5"],
    "googlenet": ["conv1", "inception3a.branch3", "inception3a", "inception3b.branch4"],
    "mobilenet_v3_small": ["features.0", "features.1.block.0", "features.1", "features.3"],
    "convnext_tiny": ["features.0", "features.1.1.block.0", "features.2", "features.3.0"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision_as_they_come(name):
    """But for the weights: means of everything, except where layer norm would make nothing of them."""
    from labkit._torchvision import torchvision

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = getattr(torchvision.models, name)(**({"init_weights": True} if name == "googlenet" else {})).eval()
    visible, size = network.double() if name == "convnext_tiny" else averaging(network), 96
    for layer in TORCHVISION[name]:
        side = run(visible, torch.zeros(1, 3, size, size, dtype=torch.float64), [layer])[layer].shape[2]
        for unit in ((0, 0), (side // 2, side - 1)):
            found = receptive_field(network, layer, unit=unit, image_size=(size, size))
            assert found.tolist() == by_gradient(visible, layer, unit, (3, size, size)), (layer, unit)


class Strange(nn.Module):
    def forward(self, images):
        return images.roll(3, -1)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (models.mnist(), {"layer": "conv9"}, "unknown layer 'conv9'; the network has normalize, conv1"),
        (models.mnist(), {"unit": (0, 28)}, r"rows 0\.\.27 and columns 0\.\.27 in layer 'conv1', got \(0, 28\)"),
        (models.mnist(), {"unit": (-1, 0)}, r"got \(-1, 0\)"),
        (models.mnist(), {"unit": (1, 2, 3, 4)}, r"got \(1, 2, 3, 4\)"),
        (models.mnist(), {"unit": (-1, 2, 3)}, r"got \(-1, 2, 3\)"),
        (models.mnist(), {"unit": -1}, "unit must be a channel, .*, got -1"),
        (models.mnist(), {"unit": (0.5, 0)}, r"got \(0.5, 0\)"),
        (models.mnist(), {"image_size": (0, 28)}, r"image_size must be .* got \(0, 28\)"),
        (models.mnist(), {"layer": "pool2", "image_size": (3, 3)}, "too small: a window of 2 meets 1"),
        (nn.Sequential(Strange()), {"layer": "0"}, "no rule for what 'roll' sees"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")), {"layer": "0"}, "got padding_mode='ref"),
    ],
)
def test_what_has_no_answer_is_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(network, **{"layer": "conv1", "unit": (0, 0), "image_size": (28, 28)} | options)
