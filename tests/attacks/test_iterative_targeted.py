import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.iterative_targeted import iterative_targeted, iterative_targeted_steps


@pytest.mark.slow
def test_everything_becomes_a_truck():
    model, (images, classes) = models.load("cifar10"), data.examples("cifar10", 10)
    truck = torch.full_like(classes, data.CLASSES["cifar10"].index("truck"))
    found = iterative_targeted(model, images, truck, confidence=0.8)
    confidences = model(found.images).softmax(1)[:, truck[0]]
    assert (confidences >= 0.8).all()
    assert torch.allclose(confidences, found.confidence, atol=1e-3)
    assert torch.equal(found.perturbations, found.images - images)
    assert found.steps[9] == 0  # the truck was one already
    assert torch.equal(found.images[9], images[9])
    assert (found.steps[:9] > 0).all()
    assert (found.perturbations.flatten(1).norm(dim=1) <= 0.05 * found.steps + 1e-5).all()
    assert found.perturbations.flatten(1).norm(dim=1).amax() < 1.5  # of 55, the largest distance in the box


def test_on_a_linear_model_it_goes_straight_to_the_plane(linear):
    model, images, classes, closest = linear
    inside = slice(1, None, 2)  # images that the box does not stop
    step = 0.001
    found = iterative_targeted(model, images[inside], 1 - classes[inside], confidence=0.5, step_size=step, steps=5000)
    assert torch.allclose(found.perturbations.flatten(1).norm(dim=1), closest["l2"][inside], atol=1.01 * step)
    assert torch.equal(found.steps, (closest["l2"][inside] / step).ceil().long())


@pytest.mark.slow
def test_the_states_on_the_way_end_in_the_result():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 6)
    targets = (classes + 1) % 10
    states = list(iterative_targeted_steps(model, images, targets, confidence=0.6))
    result = iterative_targeted(model, images, targets, confidence=0.6)
    assert torch.equal(states[0].images, images)
    assert torch.equal(states[-1].images, result.images)
    assert len(states) == result.steps.amax() + 1
    assert len(set(result.steps.tolist())) > 1
    for state in states:  # who has arrived stays
        done = state.confidence >= 0.6
        assert torch.equal(state.images[done], result.images[done])
        assert torch.equal(state.steps[done], result.steps[done])


@pytest.mark.slow
def test_images_that_have_arrived_leave_the_batch():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 6)
    sizes = []
    counting = model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    found = iterative_targeted(model, images, (classes + 1) % 10, confidence=0.6)
    counting.remove()
    assert sum(sizes) == found.steps.sum() + len(images)


def test_it_gives_up_after_the_last_step():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 3)
    found = iterative_targeted(model, images, (classes + 1) % 10, steps=2)
    assert found.steps.tolist() == [2, 2, 2]
    assert (found.confidence < 0.9).all()
    assert (found.perturbations.flatten(1).norm(dim=1) <= 0.1 + 1e-6).all()


def test_in_float16_too_an_image_without_a_gradient_stays_where_it_is():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).half().eval()
    nn.init.zeros_(model[1].weight)
    images = torch.full((2, 1, 4, 4), 0.5).half()
    assert torch.equal(iterative_targeted(model, images, torch.tensor([0, 1]), steps=2).images, images)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("confidence", 1, r"confidence must lie in \(0, 1\), got 1"),
        ("step_size", 0, "step_size must be a number above 0, got 0"),
        ("steps", 0, "steps must be a whole number from 1 up, got 0"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        iterative_targeted(models.load("mnist"), images, classes, **{option: value})
