import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit import data, models
from labkit.attacks.square import L2, Linf, square, square_steps


def length(change, norm):
    return change.flatten(1).norm(dim=1, p=torch.inf if norm == "linf" else 2)


def fooled(model, images, classes):
    return model(images).argmax(1) != classes


class NoGradient(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images.detach()).detach()


def test_it_needs_no_gradient():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 6)
    found = square(NoGradient(model).eval(), images, classes, eps=0.3, queries=60)
    assert fooled(model, found, classes).sum() >= 4


@settings(max_examples=6, deadline=None)
@given(eps=st.floats(0, 2), norm=st.sampled_from(["linf", "l2"]), targeted=st.booleans(), seed=st.integers(0, 99))
def test_it_stays_in_the_box_and_within_eps(eps, norm, targeted, seed):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)).eval()
    options = {"norm": norm, "queries": 12, "targeted": targeted, "seed": seed}
    found = square(model, images, torch.tensor([1, 2]), eps=eps, **options)
    assert (length(found - images, norm) <= eps + 1e-5).all()
    assert torch.equal(found, found.clamp(0, 1))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_lead_never_grows_and_fooled_images_stay(norm):
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 8)
    eps = 0.3 if norm == "linf" else 3.0
    leads, done = [], torch.zeros(8, dtype=torch.bool)
    before = images
    for step in square_steps(model, images, classes, eps=eps, norm=norm, queries=30):
        assert torch.equal(step[done], before[done])
        logits = model(step).detach()
        others = logits.scatter(1, classes[:, None], -torch.inf).amax(1)
        leads.append((logits.gather(1, classes[:, None])[:, 0] - others).where(~done, torch.inf))
        done, before = fooled(model, step, classes), step
    leads = torch.stack(leads)
    assert (leads[1:] <= leads[:-1] + 1e-4)[leads[1:].isfinite()].all()
    assert done.any()


def test_a_change_is_one_square_at_eps():
    rng = torch.Generator().manual_seed(0)
    images = torch.full((2, 3, 20, 20), 0.5)
    change = Linf.change(images, images, 0.1, 0.16, rng) - images  # 0.4 of each side: 8 x 8
    assert change.abs().amax(1).gt(0).sum((1, 2)).tolist() == [64, 64]
    assert torch.allclose(change.abs().amax((2, 3)), torch.tensor(0.1))
    assert (change.flatten(2).amax(2) * change.flatten(2).amin(2) == 0).all()  # one sign a colour


def test_under_l2_the_whole_length_is_spent():
    rng = torch.Generator().manual_seed(0)
    images = torch.full((2, 1, 28, 28), 0.5)
    best = images + L2.begin(images, 1.0, rng)
    assert torch.allclose(length(best - images, "l2"), torch.tensor(1.0))
    for area in (0.8, 0.05, 0.001):
        best = L2.change(images, best, 1.0, area, rng)
        assert torch.allclose(length(best - images, "l2"), torch.tensor(1.0), atol=1e-5)


def test_what_is_wrong_already_stays():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 5)
    assert torch.equal(square(model, images, (classes + 1) % 10, eps=0.3, queries=2), images)
    assert torch.equal(square(model, images, classes, eps=0.3, queries=2, targeted=True), images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -1}, "eps must be a number from 0 up"),
        ({"queries": 0}, "queries must be a whole number from 1 up, got 0"),
        ({"area": 0}, r"area must lie in \(0, 1\], got 0"),
        ({"norm": "l1"}, r"norm must be one of \['linf', 'l2'\], got 'l1'"),
    ],
)
def test_it_says_what_it_would_accept(options, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        square(models.load("mnist"), images, classes, **{"eps": 0.1} | options)


def test_images_too_small_for_bumps_are_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    with pytest.raises(ValueError, match=r"at least 5 x 5 pixels, got \(4, 4\)"):
        square(model, torch.rand(1, 1, 4, 4), torch.tensor([0]), eps=0.1, norm="l2")
