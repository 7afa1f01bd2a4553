"""A small network, seeded, and images that it may be shown."""

import pytest
import torch
from torch import nn


def small(channels=3, classes=4, side=16):
    """A network of two convolutions, untrained but always the same, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(channels, 6, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * (side // 2) ** 2, classes),
        ).eval()


@pytest.fixture
def network():
    return small()


@pytest.fixture
def images():
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
