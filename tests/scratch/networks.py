"""Networks and numbers in double precision, which the NumPy network is compared with."""

from collections import OrderedDict

import torch
from torch import nn


def sequential(**layers):
    return nn.Sequential(OrderedDict(layers)).double()


def randn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
