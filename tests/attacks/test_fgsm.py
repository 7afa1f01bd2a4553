import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit import data, models
from labkit.attacks.fgsm import fgsm


def test_each_pixel_of_a_linear_model_moves_as_its_weight_says(linear):
    model, images, classes, _ = linear
    weights = model[1].weight.detach()
    away = (weights[1 - classes] - weights[classes]).view(images.shape)
    assert torch.equal(fgsm(model, images, classes, eps=0.1), (images + 0.1 * away.sign()).clamp(0, 1))


def test_just_beyond_the_plane_it_fools_and_just_before_it_does_not(linear):
    model, images, classes, closest = linear
    for image, label, eps in zip(images[:, None], classes[:, None], closest["linf"].tolist(), strict=True):
        assert model(fgsm(model, image, label, eps=1.001 * eps)).argmax(1) != label
        assert model(fgsm(model, image, label, eps=0.999 * eps)).argmax(1) == label


def test_towards_the_other_class_is_away_from_its_own(linear):
    model, images, classes, _ = linear
    assert torch.equal(fgsm(model, images, 1 - classes, eps=0.1, targeted=True), fgsm(model, images, classes, eps=0.1))


@settings(max_examples=20, deadline=None)
@given(eps=st.floats(0, 1), targeted=st.booleans(), seed=st.integers(0, 99))
def test_it_stays_in_the_box_and_within_eps(eps, targeted, seed):
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 1, 28, 28, generator=rng)
    found = fgsm(network(), images, torch.tensor([1, 2]), eps=eps, targeted=targeted)
    assert found.amin() >= 0
    assert found.amax() <= 1
    assert (found - images).abs().amax() <= eps + 1e-6
    if eps == 0:
        assert torch.equal(found, images)


def test_a_network_that_is_certain_still_shows_the_way():
    images, classes = data.examples("mnist", 10)
    certain = nn.Sequential(models.load("mnist"), Times(1000)).eval()
    assert (certain(images).softmax(1).amax(1) == 1).all()  # in float32: the cross-entropy has no gradient here
    plain = images.clone().requires_grad_()
    nn.functional.cross_entropy(certain(plain), classes).backward()
    assert not plain.grad.any()
    found = fgsm(certain, images, classes, eps=0.25)
    assert (certain(found).argmax(1) != classes).sum() >= 5


@pytest.mark.parametrize("eps", [-0.1, float("nan"), float("inf"), "0.1"])
def test_it_refuses_an_eps_that_is_no_distance(eps):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match="eps must be a number from 0 up"):
        fgsm(network(), images, classes, eps=eps)


class Times(nn.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, logits):
        return self.factor * logits


def network() -> nn.Module:
    return models.load("mnist")
