from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn


class Linear(NamedTuple):
    model: nn.Module
    images: Tensor
    classes: Tensor
    closest: dict[str, Tensor]  # norm -> how far each image is from one that the model takes for the other class


@pytest.fixture
def linear() -> Linear:
    """Two classes and a plane between them. Every second image is dark, so that the box [0, 1] is in the way there."""
    rng = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).double().eval()
    images = torch.rand(8, 3, 4, 4, generator=rng, dtype=torch.float64) * 0.2 + 0.4
    images[::2] *= 0.05
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(2, 48, generator=rng, dtype=torch.float64))
        model[1].bias.copy_(-model[1].weight @ torch.full((48,), 0.25, dtype=torch.float64))
        logits = model(images)
    classes = logits.argmax(1)
    towards = (model[1].weight[1 - classes] - model[1].weight[classes]).detach()  # (N, 48), the other class's side
    margin = (logits.amax(1) - logits.amin(1)).detach()
    room = torch.where(towards > 0, 1 - images.flatten(1), images.flatten(1))
    linf = _solve(lambda eps: (towards.abs() * room.minimum(eps)).sum(1), margin)
    scale = _solve(lambda s: (towards.abs() * room.minimum(s * towards.abs())).sum(1), margin)
    l2 = room.minimum(scale[:, None] * towards.abs()).norm(dim=1)
    return Linear(model, images, classes, {"linf": linf, "l2": l2})


def _solve(gain, margin: Tensor) -> Tensor:
    """The smallest number (N,) whose gain reaches the margin."""
    low, high = torch.zeros_like(margin), torch.ones_like(margin)
    assert (gain(high[:, None]) > margin).all()
    for _ in range(60):
        middle = (low + high) / 2
        enough = gain(middle[:, None]) >= margin
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high
