import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit import data, models
from labkit.attacks._gradient import CHUNK
from labkit.attacks._norms import NORMS
from labkit.attacks.fgsm import fgsm
from labkit.attacks.pgd import pgd, pgd_steps
from labkit.core import log_odds


def length(change, norm):
    return change.flatten(1).norm(dim=1, p=torch.inf if norm == "linf" else 2)


def fooled(model, images, classes):
    return model(images).argmax(1) != classes


@pytest.mark.slow
@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_it_finds_the_closest_point_of_a_linear_model(linear, norm, random_start):
    model, images, classes, closest = linear
    for each in range(len(images)):
        one, label, eps = images[each, None], classes[each, None], closest[norm][each].item()
        options = {"norm": norm, "steps": 100, "step_size": eps / 5, "random_start": random_start}
        assert fooled(model, pgd(model, one, label, eps=1.01 * eps, **options), label)
        assert not fooled(model, pgd(model, one, label, eps=0.99 * eps, **options), label)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    eps=st.floats(0, 2),
    norm=st.sampled_from(list(NORMS)),
    steps=st.integers(1, 3),
    targeted=st.booleans(),
    random_start=st.booleans(),
    early_stop=st.booleans(),
    restarts=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_it_stays_in_the_box_and_within_eps(eps, norm, steps, seed, **options):
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    classes = torch.tensor([1, 2, 3])
    found = pgd(models.load("mnist"), images, classes, eps=eps, norm=norm, steps=steps, seed=seed, **options)
    assert found.shape == images.shape
    assert found.amin() >= 0
    assert found.amax() <= 1
    assert (length(found - images, norm) <= eps + 1e-5).all()
    if eps == 0:
        assert torch.allclose(found, images, atol=1e-7)


def test_one_step_from_the_image_is_fgsm():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 20)
    one = pgd(model, images, classes, eps=0.1, steps=1, step_size=0.1, random_start=False)
    assert torch.allclose(one, fgsm(model, images, classes, eps=0.1), atol=1e-6)


def test_a_batch_and_its_images_one_by_one_come_to_the_same():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", CHUNK + 3)
    options = {"eps": 0.15, "steps": 4, "random_start": False}
    together = pgd(model, images, classes, **options)
    last = torch.cat([pgd(model, images[i, None], classes[i, None], **options) for i in range(CHUNK - 2, CHUNK + 3)])
    # A pixel whose gradient is nearly 0 may go either way, as the last bit of a sum depends on the size of a batch.
    assert ((together[-5:] - last).abs() > 1e-5).float().mean() < 0.01


def test_the_steps_are_those_of_pgd_each_a_copy():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    options = {"eps": 0.2, "steps": 5, "seed": 3}
    steps = list(pgd_steps(model, images, classes, **options))
    assert len(steps) == 5
    again = []
    for step in pgd_steps(model, images, classes, **options):
        again.append(step.clone())
        step.zero_()  # what a caller does to one must not reach the next
    assert all(torch.equal(a, b) for a, b in zip(steps, again, strict=True))
    assert torch.allclose(steps[-1], pgd(model, images, classes, **options), atol=1e-6)
    assert not torch.equal(steps[0], steps[1])


@pytest.mark.slow
def test_early_stop_is_content_with_less():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 100)
    options = {"eps": 0.2, "steps": 15, "random_start": False}
    sizes = []
    counting = model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    early = pgd(model, images, classes, **options, early_stop=True)
    counting.remove()
    full = pgd(model, images, classes, **options)
    assert fooled(model, early, classes).sum() >= fooled(model, full, classes).sum() >= 80
    assert sum(sizes) < 100 * 15 / 2  # images that are fooled leave the batch
    assert sizes == sorted(sizes, reverse=True)
    assert (early - images).abs().mean() < (full - images).abs().mean()


def test_an_image_that_is_wrong_already_stays_when_that_is_enough():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    wrong = (classes + 1) % 10
    found = pgd(model, images, wrong, eps=0.3, random_start=False, early_stop=True)
    assert torch.equal(found, images)
    found = pgd(model, images, classes, eps=0.3, random_start=False, early_stop=True, targeted=True)
    assert torch.equal(found, images)


def test_towards_its_own_class_an_image_stays_what_it_is():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 50)
    right = ~fooled(model, images, classes)
    found = pgd(model, images, classes, eps=0.3, steps=5, targeted=True)
    assert not fooled(model, found, classes)[right].any()


@pytest.mark.slow
def test_restarts_never_do_worse():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 50)
    options = {"eps": 0.08, "steps": 3}
    once = pgd(model, images, classes, **options)
    often = pgd(model, images, classes, **options, restarts=4)
    resisted = ~fooled(model, once, classes)
    assert 10 < resisted.sum() < 50
    assert fooled(model, often, classes)[~resisted].all()
    gain = log_odds(model(once), classes) - log_odds(model(often), classes)
    assert (gain[resisted] > -1e-4).all()
    assert (gain[resisted] > 0.01).sum() > 5


def test_the_seed_decides_the_start():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 5)
    runs = [pgd(model, images, classes, eps=0.1, steps=1, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_keep_their_dtype_and_a_gradient_of_0_moves_nothing(dtype, norm):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).to(dtype).eval()
    images, classes = torch.full((2, 1, 4, 4), 0.5, dtype=dtype), torch.tensor([0, 1])
    assert pgd(model, images, classes, eps=0.1, norm=norm, steps=2, restarts=2).dtype == dtype
    nn.init.zeros_(model[1].weight)
    assert torch.equal(pgd(model, images, classes, eps=0.1, norm=norm, steps=2, random_start=False), images)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("eps", -1, "eps must be a number from 0 up"),
        ("steps", 0, "steps must be a whole number from 1 up, got 0"),
        ("restarts", 0, "restarts must be a whole number from 1 up, got 0"),
        ("step_size", 0.0, "step_size must be a number above 0, got 0.0"),
        ("norm", "l1", r"norm must be one of \['linf', 'l2'\], got 'l1'"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        pgd(models.load("mnist"), images, classes, **({"eps": 0.1} | {option: value}))
