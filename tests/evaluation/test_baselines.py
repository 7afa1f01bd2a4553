import pytest
import torch

from labkit import data, models
from labkit.evaluation.baselines import edges, random_order
from labkit.evaluation.randomisation import rank_correlation


def test_random_order_is_uniform_and_reproducible():
    images, classes = data.examples("mnist", 5)
    model = models.load("mnist")
    found = random_order(model, images, classes)
    assert found.shape == (5, 28, 28)
    assert torch.equal(found, random_order(model, images, classes))
    assert not torch.equal(found, random_order(model, images, classes, seed=1))
    assert rank_correlation(found[:4], found[1:]).abs().max() < 5 / 28


def test_edges_lie_where_the_image_is_steep():
    images = torch.zeros(1, 3, 6, 6)
    images[:, :, :, 3:] = 0.8
    found = edges(models.load("mnist"), images, torch.tensor([0]))[0]
    assert found[2].tolist() == pytest.approx([0, 0, 0.4, 0.4, 0, 0])
    assert torch.equal(edges(models.load("mnist"), images.mT, torch.tensor([0]))[0], found.T)
