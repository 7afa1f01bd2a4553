import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks._norms import NORMS
from labkit.attacks.apgd import LOSSES, _checks, apgd, apgd_steps
from labkit.attacks.pgd import pgd


def length(change, norm):
    return change.flatten(1).norm(dim=1, p=torch.inf if norm == "linf" else 2)


def fooled(model, images, classes):
    return model(images).argmax(1) != classes


@pytest.mark.parametrize("norm", NORMS)
def test_it_finds_the_closest_point_of_a_linear_model(linear, norm):
    model, images, classes, closest = linear
    for each in range(4):
        one, label, eps = images[each, None], classes[each, None], closest[norm][each].item()
        assert fooled(model, apgd(model, one, label, eps=1.01 * eps, norm=norm, steps=50), label)
        assert not fooled(model, apgd(model, one, label, eps=0.99 * eps, norm=norm, steps=50), label)
        assert fooled(model, apgd(model, one, 1 - label, eps=1.01 * eps, norm=norm, steps=50, targeted=True), label)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", LOSSES)
def test_within_eps_and_no_weaker_than_pgd(loss, norm):
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 30)
    eps = 0.1 if norm == "linf" else 1.3
    found = apgd(model, images, classes, eps=eps, norm=norm, loss=loss, steps=10, targets=3)
    assert (length(found - images, norm) <= eps + 1e-5).all()
    assert torch.equal(found, found.clamp(0, 1))
    theirs = pgd(model, images, classes, eps=eps, norm=norm, steps=10)
    assert 3 < fooled(model, theirs, classes).sum() < 30
    assert fooled(model, found, classes).sum() >= fooled(model, theirs, classes).sum() - 2


def test_a_factor_on_the_logits_changes_nothing_that_dlr_finds():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    last = nn.Linear(500, 10)
    with torch.no_grad():
        last.weight.copy_(4096 * model[-1].weight)
        last.bias.copy_(4096 * model[-1].bias)
    hot = nn.Sequential(*list(model)[:-1], last).eval()
    for loss in ("dlr", "targeted_dlr"):
        once, again = (apgd(each, images, classes, eps=0.1, loss=loss, steps=5, targets=2) for each in (model, hot))
        assert ((once - again).abs() > 1e-5).float().mean() < 0.01


def test_more_restarts_fool_more_and_fooled_images_leave_the_batch():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 40)
    sizes = []
    counting = model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    once = apgd(model, images, classes, eps=0.1, steps=4)
    counting.remove()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]
    often = apgd(model, images, classes, eps=0.1, steps=4, restarts=3)
    assert fooled(model, often, classes)[fooled(model, once, classes)].all()


def test_what_is_wrong_already_stays():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 5)
    assert torch.equal(apgd(model, images, (classes + 1) % 10, eps=0.3), images)
    assert torch.equal(apgd(model, images, classes, eps=0.3, targeted=True), images)


def test_the_steps_at_which_the_length_is_looked_at():
    assert list(_checks(100))[:4] == [22, 41, 57, 70]  # table 1 of the paper: 0, 0.22, 0.41, 0.57, 0.70
    assert list(_checks(1)) == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -1}, "eps must be a number from 0 up"),
        ({"loss": "hinge"}, r"loss must be one of \['cross_entropy', 'dlr', 'targeted_dlr'\], got 'hinge'"),
        ({"norm": "l1"}, r"norm must be one of \['linf', 'l2'\], got 'l1'"),
        ({"targets": 0}, "targets must be a whole number from 1 up, got 0"),
        ({"loss": "targeted_dlr", "targeted": True}, "targeted takes loss 'cross_entropy' or 'dlr'"),
    ],
)
def test_it_says_what_it_would_accept(options, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        apgd(models.load("mnist"), images, classes, **{"eps": 0.1} | options)


def test_dlr_needs_classes_to_compare(linear):
    with pytest.raises(ValueError, match="loss 'dlr' takes at least 3 classes, got 2"):
        apgd(linear.model, linear.images, linear.classes, eps=0.1, loss="dlr")


@pytest.mark.slow
def test_its_steps_end_with_its_result_and_images_that_are_fooled_stay():
    model, (images, classes) = models.load("mnist-robust"), data.examples("mnist", 12)
    options = {"eps": 0.35, "steps": 12, "restarts": 2, "seed": 1}
    states = list(apgd_steps(model, images, classes, **options))
    assert torch.equal(states[-1], apgd(model, images, classes, **options))
    assert 12 < len(states) <= 24
    fooled = [model(state).argmax(1) != classes for state in states]
    for now, after, gone in zip(states, states[1:], fooled, strict=False):
        assert torch.equal(now[gone], after[gone])
    assert not fooled[0].all()
    assert fooled[-1].any()


def test_with_nothing_to_do_its_steps_are_the_images():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 2)
    (state,) = apgd_steps(model, images, (classes + 1) % 10, eps=0.1)
    assert torch.equal(state, images)
