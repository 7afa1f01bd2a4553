import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution.grad_cam import grad_cam


def test_it_adds_up_the_channels_that_speak_for_the_class():
    # Two channels, the image and its negative, averaged over positions: the logits are their weighted sums.
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)).eval()
    model[0].weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    model[3].weight.data = torch.tensor([[3.0, 1.0], [-3.0, 1.0]])
    images = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    found = grad_cam(model, images, torch.tensor([0, 1]), resize=False)
    # class 0: (3 - 1) x / 20 positions; class 1: (-3 - 1) x / 20, all negative and cut off
    assert torch.allclose(found[0], images[0, 0] * 2 / 20)
    assert not found[1].any()


@pytest.mark.parametrize(
    ("name", "last", "shape"), [("mnist", "pool2", (7, 7)), ("mnist-bn", "pool2", (7, 7)), ("cifar10", "drop3", (4, 4))]
)
def test_by_default_it_takes_the_last_layer_with_positions(name, last, shape):
    model = models.load(name)
    images, classes = data.examples(name.partition("-")[0], 3)
    maps = grad_cam(model, images, classes, resize=False)
    assert maps.shape == (3, *shape)
    assert torch.equal(maps, grad_cam(model, images, classes, layer=last, resize=False))
    large = grad_cam(model, images, classes)
    assert large.shape == (3, *images.shape[2:])
    assert large.min() >= 0
    assert large.max() <= maps.max()


def test_layers_inside_blocks_have_dots_in_their_names():
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(1, 2, 3, padding=1))
    block.add_module("relu", nn.ReLU())
    model = nn.Sequential(block, nn.Flatten(), nn.Linear(2 * 28 * 28, 10)).eval()
    images, classes = data.examples("mnist", 2)
    assert torch.equal(grad_cam(model, images, classes, layer="0.relu"), grad_cam(model, images, classes))


def test_frozen_weights_make_no_difference():
    model = models.load("mnist")
    images, classes = data.examples("mnist", 2)
    before = grad_cam(model, images, classes)
    assert torch.equal(grad_cam(model.requires_grad_(False), images, classes), before)


@pytest.mark.parametrize(
    ("layer", "message"),
    [("conv9", r"unknown layer 'conv9'.*conv1, relu1"), ("fc1", r"layer 'fc1' has the output \(1, 500\)")],
)
def test_layers_without_positions(layer, message):
    images, classes = data.examples("mnist", 1)
    model = models.load("mnist")
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images, classes, layer=layer)
    assert not any(module._forward_hooks for module in model.modules())


def test_networks_without_positions():
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ValueError, match="the network has none"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).eval(), images, classes)


def test_layers_that_give_several_tensors_are_passed_over():
    class Reader(nn.Module):
        """Reads the rows of an image one after the other."""

        def __init__(self):
            super().__init__()
            self.conv, self.lstm, self.fc = (
                nn.Conv2d(1, 1, 3, padding=1),
                nn.LSTM(28, 4, batch_first=True),
                nn.Linear(4, 3),
            )

        def forward(self, images):
            return self.fc(self.lstm(self.conv(images)[:, 0])[0][:, -1])

    model, images = Reader().eval(), data.examples("mnist", 2)[0]
    classes = torch.tensor([0, 1])
    assert torch.equal(grad_cam(model, images, classes), grad_cam(model, images, classes, layer="conv"))
    with pytest.raises(ValueError, match=r"layer 'lstm' .* is not run or gives no tensor"):
        grad_cam(model, images, classes, layer="lstm")
