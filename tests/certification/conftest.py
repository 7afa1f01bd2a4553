"""Small networks and images for the certificates."""

import pytest
import torch
from torch import nn

from labkit.models import ResidualBlock


def network(*layers, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in layers:
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    return nn.Sequential(*layers).eval()


def of_every_layer(seed=0):
    """One network with each kind of layer that bounds are known for."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        norm = nn.BatchNorm2d(6)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.uniform_(-1, 1)  # a negative factor turns an interval round
        block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, stride=2, groups=2), nn.ReLU(), nn.Dropout())
        layers = [nn.Conv2d(2, 6, 3, dilation=2), norm, nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), block]
        layers += [nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 4)]
        return nn.Sequential(*layers).eval()


def residual(seed=0):
    """A network with two residual blocks, one with a shortcut of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        blocks = ResidualBlock(2, 4, stride=2), ResidualBlock(4, 4)
        for norm in (layer for block in blocks for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.uniform_(-1, 1)
        return nn.Sequential(*blocks, nn.AvgPool2d(3), nn.Flatten(), nn.Linear(16, 4)).eval()


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(3)
    return torch.rand(3, 2, 15, 13, generator=rng), torch.tensor([0, 3, 1])


def margins(model, images, classes):
    """The margins (N, K) that a network really has, in float64."""
    with torch.no_grad():
        logits = model.double()(images.double())
    model.float()
    return (logits.gather(1, classes[:, None]) - logits).scatter(1, classes[:, None], torch.inf)


def within(images, eps, n, seed=0):
    """Many images within eps: corners of the box, and points inside it."""
    rng = torch.Generator().manual_seed(seed)
    for place in range(n):
        move = torch.rand(images.shape, generator=rng) * 2 - 1
        yield (images + eps * (move.sign() if place % 2 else move)).clamp(0, 1)
