import pytest
import torch

from labkit import data, models
from labkit.attacks.logit_attack import logit_attack


def cost(model, images, given, classes, beta):
    return model(images).gather(1, classes[:, None])[:, 0] - beta * (images - given).square().mean((1, 2, 3))


@pytest.mark.parametrize("start", ["image", "noise"])
@pytest.mark.parametrize("beta", [0, 100])
def test_the_cost_is_the_labs_and_rises(start, beta):
    model, (images, _) = models.load("mnist"), data.examples("mnist", 10)
    targets = torch.arange(10).roll(1)
    found = logit_attack(model, images, targets, penalty_weight=beta, start=start, steps=30)
    assert found.costs.shape == (31, 10)
    assert (found.costs.diff(dim=0) >= 0).all()
    assert (found.costs[-1] > found.costs[0] + 5).all()
    assert torch.allclose(found.costs[-1], cost(model, found.images, images, targets, beta), atol=1e-3)
    assert (model(found.images).argmax(1) == targets).all()


def test_it_begins_where_it_should():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    started = logit_attack(model, images, classes, steps=1).costs[0]
    assert torch.allclose(started, cost(model, images, images, classes, 0), atol=1e-4)
    noisy = logit_attack(model, images, classes, start="noise", noise=0.1, penalty_weight=0, steps=1, step_size=1e-12)
    assert noisy.images.mean().item() == pytest.approx(0.5, abs=0.01)
    assert noisy.images.std().item() == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
def test_a_linear_model_and_a_penalty_have_a_known_best_image(linear):
    model, images, classes, _ = linear
    given, targets, beta = images[1::2], 1 - classes[1::2], 5000.0
    best = given + (model[1].weight[targets].detach() / (2 * beta / 48)).view(given.shape)
    assert torch.equal(best, best.clamp(0, 1))
    for start in ("image", "noise"):
        found = logit_attack(model, given, targets, penalty_weight=beta, start=start, steps=300)
        assert torch.allclose(found.images, best, atol=1e-4)


@pytest.mark.slow
def test_a_sweep_over_beta_trades_the_logit_for_likeness():
    model, (images, _) = models.load("mnist"), data.examples("mnist", 1)
    betas = torch.tensor([10.0, 100.0, 1000.0, 10000.0])
    found = logit_attack(model, images.expand(4, -1, -1, -1), torch.full((4,), 3), penalty_weight=betas)
    change = (found.images - images).square().mean((1, 2, 3))
    assert change.tolist() == sorted(change.tolist(), reverse=True)
    logits = model(found.images)[:, 3]
    assert logits.tolist() == sorted(logits.tolist(), reverse=True)
    alone = logit_attack(model, images, torch.tensor([3]), penalty_weight=1000)
    assert torch.allclose(alone.images[0], found.images[2], atol=1e-3)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("penalty_weight", -1.0, "penalty_weight must be a number from 0 up, or 2 of them, got -1.0"),
        ("penalty_weight", torch.ones(3), "penalty_weight must be a number from 0 up, or 2 of them"),
        ("start", "zero", r"start must be one of \['image', 'noise'\], got 'zero'"),
        ("noise", -0.1, "noise must be a number from 0 up, got -0.1"),
        ("steps", 0, "steps must be a whole number from 1 up, got 0"),
        ("step_size", 0, "step_size must be a number above 0, got 0"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        logit_attack(models.load("mnist"), images, classes, **{option: value})
