"""A convolutional network in nothing but NumPy: its layers, its training, and the one that labkit ships."""

from labkit.scratch.models import FOLDER, NAME, card, cifar10, from_torch, load
from labkit.scratch.network import (
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Network,
    Normalize,
    ReLU,
    cross_entropy,
    he_normal,
    log_softmax,
    softmax,
)
from labkit.scratch.training import SGD, Adam, fit, flip

__all__ = [
    "FOLDER", "NAME", "SGD", "Adam", "AvgPool", "BatchNorm", "Conv2d", "Dropout", "Flatten", "Linear", "MaxPool",
    "Network", "Normalize", "ReLU", "card", "cifar10", "cross_entropy", "fit", "flip", "from_torch", "he_normal",
    "load", "log_softmax", "softmax",
]  # fmt: skip
