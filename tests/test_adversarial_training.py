"""Adversarial training: the attack on a batch, and TRADES' penalty."""

import pytest
import torch
from torch import nn

from labkit.adversarial_training import attacked, moved_apart
from labkit.attacks.pgd import pgd
from labkit.training import fit, predict
from tests.test_training import digits, small_network  # noqa: F401  a fixture


def test_the_penalty_is_the_divergence_by_its_definition():
    logits, moved = torch.tensor([[1.0, 0, -1], [2, 2, 0]]), torch.tensor([[0.0, 1, -1], [2, 2, 0]])
    p, q = logits.softmax(1), moved.softmax(1)
    expected = (p * (p / q).log()).sum(1)
    assert expected[1] == 0  # nothing has moved
    assert moved_apart(logits, moved).item() == pytest.approx(expected.mean().item(), rel=1e-6)


def test_a_batch_is_attacked_in_eval_mode_and_by_a_part_of_the_strength():
    model = small_network().train()
    images, labels = torch.rand(8, 1, 28, 28), torch.arange(8)
    found = attacked(model, images, labels, {"eps": 0.1, "steps": 2, "step_size": 0.1}, strength=0.5, seed=3)
    assert all(module.training for module in model.modules())
    assert 0.04 < (found - images).abs().amax() <= 0.05 + 1e-6
    assert torch.equal(found, pgd(model.eval(), images, labels, eps=0.05, steps=2, step_size=0.05, seed=3))
    assert attacked(model, images, labels, {"eps": 0.1}, strength=0) is images


@pytest.mark.slow
def test_trades_makes_a_network_harder_to_fool(digits):  # noqa: F811
    train, test = digits
    attack = {"eps": 0.1, "steps": 3, "step_size": 0.05}
    left = []
    for options in ({}, {"attack": attack, "trades": 3.0}):
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        nn.init.zeros_(model[1].weight), nn.init.zeros_(model[1].bias)
        fit(model, train, test, epochs=10, batch_size=20, learning_rate=5e-3, **options)
        hit = predict(model, pgd(model, test.images, test.labels, eps=0.1, steps=10)).argmax(1) == test.labels
        left.append(hit.float().mean().item())
    assert left[1] > left[0] + 0.1
