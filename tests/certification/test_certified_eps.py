"""The proved distance: exact for a linear network, 0 where the network is wrong, never above what an attack found."""

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.minimum_norm import minimum_norm
from labkit.certification.certified_eps import certified_eps
from labkit.certification.crown import crown


def two_pixels():
    """Class 0 leads by x1 - x2."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0], [0, 1]]))
    return nn.Sequential(nn.Flatten(), layer).eval()


def test_exact_for_a_linear_network():
    images = torch.tensor([[0.7, 0.3], [0.55, 0.45], [0.2, 0.9]]).view(3, 1, 1, 2)
    found = certified_eps(two_pixels(), images, torch.zeros(3, dtype=torch.int64), steps=20)
    assert found.tolist() == pytest.approx([0.2, 0.05, 0], abs=1e-5)  # each pixel may move by half the lead


def test_all_of_eps_where_nothing_can_alter_the_answer():
    images = torch.tensor([[1.0, 0.0]]).view(1, 1, 1, 2)
    assert certified_eps(two_pixels(), images, torch.tensor([0]), eps=0.4).item() == 0.4


@pytest.mark.slow
def test_proved_is_never_more_than_attacked():
    images, classes = data.examples("mnist", 4)
    model = models.load("mnist-robust")
    proved = certified_eps(model, images, classes, bounds=crown, steps=8)
    attacked = minimum_norm(model, images, classes)
    assert (proved > 0).all()
    assert (proved <= attacked.distances).all()


def test_what_it_refuses():
    images = torch.full((1, 1, 1, 2), 0.5)
    with pytest.raises(ValueError, match="eps must be a number above 0"):
        certified_eps(two_pixels(), images, torch.tensor([0]), eps=0)
    with pytest.raises(ValueError, match="steps must be a whole number"):
        certified_eps(two_pixels(), images, torch.tensor([0]), steps=0)
