"""The audit catches five planted defences that only hide their gradients, and lets five honest networks pass."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate, pad

from labkit import data, models
from labkit.evaluation.audit import audit

QUICK = {"steps": 20, "queries": 100, "restarts": 2}

# Five defences that protect from nothing: each around the ordinary network for digits.


class Temperature(nn.Module):
    def forward(self, logits):
        return 1000 * logits


class Quantiser(nn.Module):
    """Eight grey levels; nothing tells the gradient that it could go through."""

    def forward(self, images):
        return (images.detach() * 8).round() / 8


class RandomResize(nn.Module):
    def forward(self, images):
        side = int(torch.randint(24, 29, ()))
        left, top = (int(torch.randint(29 - side, ())) for _ in range(2))
        small = interpolate(images, size=(side, side), mode="bilinear")
        return pad(small, (left, 28 - side - left, top, 28 - side - top))


class Saturating(nn.Module):
    """The probabilities, squeezed so hard that float32 knows no slope any more."""

    def forward(self, logits):
        return (20 * (logits - logits.amax(1, keepdim=True).detach() + 1)).sigmoid()


class RandomMask(nn.Module):
    def forward(self, images):
        return images * (torch.rand_like(images) < 0.9)


def behind(network, layer):
    return nn.Sequential(network, layer).eval()


FAKES = {
    "temperature": lambda mnist: behind(mnist, Temperature()),
    "quantiser": lambda mnist: nn.Sequential(Quantiser(), mnist).eval(),
    "random resize": lambda mnist: nn.Sequential(RandomResize(), mnist).eval(),
    "saturating activation": lambda mnist: behind(mnist, Saturating()),
    "random mask": lambda mnist: nn.Sequential(RandomMask(), mnist).eval(),
}


def trained(*layers):
    """A small network, trained for a moment on the sample of digits that comes with labkit."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(*layers)
        for layer in model:
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        images, labels = data.examples("mnist", 400)
        adam = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(40):
            adam.zero_grad()
            cross_entropy(model(images), labels).backward()
            adam.step()
    return model.eval().requires_grad_(False)


def small_convolutions():
    return trained(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 144, 10))


# network -> how it is made, of which images, and the eps
HONEST = {
    "mnist": (lambda: models.load("mnist"), "mnist", 0.1),
    "mnist-robust": (lambda: models.load("mnist-robust"), "mnist", 0.3),
    "cifar10": (lambda: models.load("cifar10"), "cifar10", 2 / 255),
    "linear": (lambda: trained(nn.Flatten(), nn.Linear(784, 10)), "mnist", 0.05),
    "small": (small_convolutions, "mnist", 0.1),
}


def case(name):
    if name in FAKES:
        return FAKES[name](models.load("mnist")), *data.examples("mnist", 20), {"eps": 0.1}
    make, images, eps = HONEST[name]
    return make(), *data.examples(images, 10 if images == "cifar10" else 20), {"eps": eps}


@pytest.fixture
def own_chance():
    """The randomised defences draw from the global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("name", FAKES)
def test_it_catches_what_only_hides_the_gradient(name, own_chance):
    model, images, classes, options = case(name)
    found = audit(model, images, classes, **options, **QUICK)
    expected = {
        "temperature": "gradient",
        "quantiser": "gradient",
        "random resize": "repeated outputs",
        "saturating activation": "gradient",
        "random mask": "repeated outputs",
    }
    assert not found.passed
    assert expected[name] in found.masked
    assert "loss around the image" in found.masked
    assert str(found).count("MASKED") == len(found.masked)


@pytest.mark.slow
@pytest.mark.parametrize("name", HONEST)
def test_it_lets_an_honest_network_pass(name):
    model, images, classes, options = case(name)
    found = audit(model, images, classes, **options, **QUICK)
    assert found.passed, str(found)
    assert len(found.signs) == 8
    assert str(found).count("ok") == 8


@pytest.mark.slow
def test_the_figures_are_those_of_the_attacks():
    model, images, classes, options = case("mnist")
    found = audit(model, images, classes, **options, **QUICK)
    assert found.images == (model(images).argmax(1) == classes).sum()
    figures = {sign.name: sign.figures for sign in found.signs}
    assert figures["unbounded attack"]["fooled"] == 1
    assert figures["gradient"]["zero"] == 0
    steps = figures["more steps and restarts"]
    assert 0 < steps["few steps"] <= steps["restarts"] < 1


@pytest.mark.slow
def test_under_l2_too():
    model, images, classes, _ = case("mnist")
    assert audit(model, images, classes, eps=1.3, norm="l2", **QUICK).passed
    fake = FAKES["quantiser"](model)
    assert not audit(fake, images, classes, eps=1.3, norm="l2", **QUICK).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0}, "eps must be a number above 0, got 0"),
        ({"steps": 3}, "steps must be a whole number from 4 up, got 3"),
        ({"restarts": 1}, "restarts must be a whole number from 2 up, got 1"),
        ({"norm": "l1"}, r"norm must be one of \['linf', 'l2'\], got 'l1'"),
        ({"tolerance": 1}, r"tolerance must lie in \[0, 1\), got 1"),
    ],
)
def test_it_says_what_it_would_accept(options, message):
    model, images, classes, _ = case("mnist")
    with pytest.raises(ValueError, match=message):
        audit(model, images, classes, **{"eps": 0.1} | options)


def test_a_network_that_gets_all_wrong_cannot_be_audited():
    model, images, classes, _ = case("mnist")
    with pytest.raises(ValueError, match="classifies correctly, got 20 that it does not"):
        audit(model, images, (classes + 1) % 10, eps=0.1)
