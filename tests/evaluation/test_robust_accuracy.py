from functools import partial

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.fgsm import fgsm
from labkit.attacks.pgd import pgd
from labkit.evaluation.robust_accuracy import RobustAccuracy, robust_accuracy


def test_counts_what_was_wrong_before_apart_from_what_was_fooled():
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2)).eval()  # says 1 above 0.5, else 0
    model[1].weight.data, model[1].bias.data = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.5, -0.5])
    images, labels = torch.tensor([0.1, 0.45, 0.55, 0.9]).view(4, 1, 1, 1), torch.tensor([0, 0, 1, 0])
    found = robust_accuracy(model, images, labels, partial(fgsm, eps=0.1), batch_size=2)
    assert found == RobustAccuracy(images=4, already_wrong=1, fooled=2)
    assert found.accuracy == 0.25
    low, high = found.interval
    assert low == pytest.approx(0.0456, abs=1e-4)  # Wilson's interval for 1 of 4
    assert high == pytest.approx(0.6994, abs=1e-4)


def test_images_made_on_one_network_are_shown_to_another():
    images, labels = data.examples("mnist", 40)
    one, other = models.load("mnist"), models.load("mnist-robust")
    attack = partial(pgd, eps=0.2, steps=10)
    itself, moved = (
        robust_accuracy(one, images, labels, attack),
        robust_accuracy(other, images, labels, attack, source=one),
    )
    assert itself.accuracy < 0.2
    assert moved.accuracy > 0.9


def test_a_network_that_is_always_wrong_leaves_nothing_to_attack():
    images, labels = data.examples("mnist", 4)
    found = robust_accuracy(models.load("mnist"), images, (labels + 1) % 10, partial(fgsm, eps=0.1))
    assert found == RobustAccuracy(images=4, already_wrong=4, fooled=0)


def test_a_label_that_the_network_does_not_have_is_refused():
    images, labels = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=r"classes must lie in 0\.\.9, got 99"):
        robust_accuracy(models.load("mnist"), images, labels + 99, partial(fgsm, eps=0.1))


def test_an_attack_that_leaves_the_box_is_refused():
    images, labels = data.examples("mnist", 2)
    with pytest.raises(ValueError, match="pixels must lie in"):
        robust_accuracy(models.load("mnist"), images, labels, lambda model, images, labels: images + 1)
    with pytest.raises(ValueError, match="the attack must return images"):
        robust_accuracy(models.load("mnist"), images, labels, lambda model, images, labels: images[:, :, 1:])
