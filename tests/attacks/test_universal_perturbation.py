import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.universal_perturbation import universal_perturbation


def test_one_image_becomes_every_class():
    model, (images, _) = models.load("mnist"), data.examples("mnist", 14)
    targets = torch.arange(10)
    found = universal_perturbation(model, images[13].expand(10, -1, -1, -1), targets, confidence=0.9)
    assert torch.equal(found.classes, targets)
    assert torch.equal(found.images, (images[13] + found.perturbations).clamp(0, 1))
    assert (model(found.images).softmax(1).diag() >= 0.9).all()
    assert not found.perturbations[3].any()  # it was a 3 already
    assert found.perturbations[:3].flatten(1).norm(dim=1).amin() > 0.5


@pytest.mark.slow
def test_images_with_the_same_target_share_a_perturbation():
    model, (images, labels) = models.load("mnist"), data.examples("mnist", 40)
    targets = torch.where(labels < 5, 7, 2)
    found = universal_perturbation(model, images, targets, steps=10)
    assert found.classes.tolist() == [2, 7]
    for row, target in enumerate((2, 7)):
        mine = targets == target
        alone = universal_perturbation(model, images[mine], targets[mine], steps=10)
        assert torch.allclose(alone.perturbations[0], found.perturbations[row], atol=1e-3)
        assert torch.equal(found.images[mine], (images[mine] + found.perturbations[row]).clamp(0, 1))
    parts = universal_perturbation(model, images, targets, steps=10, batch_size=7)
    assert torch.allclose(parts.perturbations, found.perturbations, atol=1e-3)


def test_each_step_has_the_length_that_was_asked_for_and_eps_is_kept():
    model, (images, _) = models.load("mnist"), data.examples("mnist", 2)
    targets = torch.tensor([5, 6])
    one_step = universal_perturbation(model, images, targets, steps=1, step_size=0.3).perturbations
    assert torch.allclose(one_step.flatten(1).norm(dim=1), torch.tensor(0.3))
    bounded = universal_perturbation(model, images, targets, steps=20, eps=0.1)
    assert bounded.perturbations.abs().amax() == pytest.approx(0.1)
    assert not universal_perturbation(model, images, targets, steps=3, eps=0).perturbations.any()


def test_in_float16_too_images_without_a_gradient_stay_where_they_are():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).half().eval()
    nn.init.zeros_(model[1].weight)
    images = torch.full((2, 1, 4, 4), 0.5).half()
    assert torch.equal(universal_perturbation(model, images, torch.tensor([0, 1]), steps=2).images, images)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("eps", -0.1, "eps must be a number from 0 up"),
        ("confidence", 0, r"confidence must lie in \(0, 1\], got 0"),
        ("steps", 0, "steps must be a whole number from 1 up, got 0"),
        ("batch_size", 0, "batch_size must be a whole number from 1 up, got 0"),
        ("step_size", 0, "step_size must be a number above 0, got 0"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        universal_perturbation(models.load("mnist"), images, classes, **{option: value})
