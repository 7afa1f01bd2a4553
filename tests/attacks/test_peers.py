"""Our attacks beside torchattacks' and foolbox's: the same images, eps and steps."""

import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from labkit import data, models
from labkit._torchvision import torchvision  # noqa: F401  torchattacks imports torchvision, which may need its help
from labkit.attacks.apgd import apgd
from labkit.attacks.fgsm import fgsm
from labkit.attacks.minimum_norm import minimum_norm
from labkit.attacks.pgd import pgd
from labkit.attacks.square import square
from labkit.training import predict

pytestmark = pytest.mark.slow
torchattacks = pytest.importorskip("torchattacks")
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)  # foolbox.attacks.blur
    foolbox = pytest.importorskip("foolbox")

STEPS = 10
IMAGES = {"mnist": 300, "cifar10": 60}
EPS = {("mnist", "linf"): 0.1, ("mnist", "l2"): 1.5, ("cifar10", "linf"): 2 / 255, ("cifar10", "l2"): 0.25}


def fgsm_of_torchattacks(model, images, classes, eps):
    return torchattacks.FGSM(model, eps=eps)(images, classes)


def fgsm_of_foolbox(model, images, classes, eps):
    return foolbox.attacks.FGSM().run(wrapped(model), images, classes, epsilon=eps)


def pgd_of_torchattacks(model, images, classes, eps):
    return torchattacks.PGD(model, eps=eps, alpha=eps / 4, steps=STEPS)(images, classes)


def pgd_of_foolbox(model, images, classes, eps):
    return foolbox.attacks.LinfPGD(abs_stepsize=eps / 4, steps=STEPS).run(wrapped(model), images, classes, epsilon=eps)


def pgd_l2_of_torchattacks(model, images, classes, eps):
    return torchattacks.PGDL2(model, eps=eps, alpha=eps / 4, steps=STEPS)(images, classes)


def pgd_l2_of_foolbox(model, images, classes, eps):
    return foolbox.attacks.L2PGD(abs_stepsize=eps / 4, steps=STEPS).run(wrapped(model), images, classes, epsilon=eps)


def our_fgsm(model, images, classes, eps):
    return fgsm(model, images, classes, eps=eps)


def our_pgd(model, images, classes, eps):
    return pgd(model, images, classes, eps=eps, steps=STEPS)


def our_pgd_l2(model, images, classes, eps):
    return pgd(model, images, classes, eps=eps, steps=STEPS, norm="l2")


# what each attack's peers are, and the norm that bounds it
PEERS = {
    our_fgsm: ((fgsm_of_torchattacks, fgsm_of_foolbox), "linf"),
    our_pgd: ((pgd_of_torchattacks, pgd_of_foolbox), "linf"),
    our_pgd_l2: ((pgd_l2_of_torchattacks, pgd_l2_of_foolbox), "l2"),
}


def wrapped(model: nn.Module):
    return foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")


def quietly(attack: Callable, *arguments) -> Tensor:
    """An attack of a library that draws from the global generator and leaves gradients on the weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = attack(*arguments)
    arguments[0].zero_grad()
    return found


def success(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    return (predict(model, images).argmax(1) != classes).float().mean().item()


def distance(change: Tensor, norm: str) -> Tensor:
    return change.flatten(1).norm(dim=1, p=torch.inf if norm == "linf" else 2)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("ours", PEERS, ids=lambda attack: attack.__name__)
def test_as_strong_as_the_libraries_and_no_farther_away(ours, name):
    peers, norm = PEERS[ours]
    model, (images, classes), eps = models.load(name), data.examples(name, IMAGES[name]), EPS[name, norm]
    found = ours(model, images, classes, eps)
    theirs = [quietly(peer, model, images, classes, eps) for peer in peers]
    rate, rates = success(model, found, classes), [success(model, each, classes) for each in theirs]
    assert 0.1 < max(rates) < 0.99  # an eps at which an attack can be better or worse
    assert rate >= max(rates) - 0.0101, (rate, rates)
    assert (distance(found - images, norm) <= eps + 1e-5).all()
    assert all((distance(each - images, norm) <= eps + 1e-5).all() for each in theirs)  # the same rule for all


def test_fgsm_is_theirs_to_the_last_pixel():
    model, (images, classes) = models.load("cifar10"), data.examples("cifar10", 20)
    theirs = quietly(fgsm_of_torchattacks, model, images, classes, 0.03)
    assert ((our_fgsm(model, images, classes, 0.03) - theirs).abs() > 1e-6).float().mean() < 0.001


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_no_search_of_foolbox_finds_nearer_images(norm):
    """Its LinfPGD and L2PGD, with steps as long as ours, tried with many eps."""
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 24)
    ours = minimum_norm(model, images, classes, norm=norm, steps=20)
    attack = (foolbox.attacks.LinfPGD if norm == "linf" else foolbox.attacks.L2PGD)(
        rel_stepsize=2.5 / 20, steps=20, random_start=False
    )
    grid = [eps * (1.0 if norm == "linf" else 12.0) for eps in (0.04, 0.07, 0.1, 0.13, 0.17, 0.25)]
    _, _, fooled = quietly(lambda model, *rest: attack(wrapped(model), *rest, epsilons=grid), model, images, classes)
    nearest = torch.where(fooled, torch.tensor(grid)[:, None], torch.inf).amin(0)
    assert nearest.isfinite().float().mean() > 2 / 3
    assert (ours.distances <= 1.02 * nearest).float().mean() >= 0.95
    assert ours.distances.median() < nearest.median()


NORM_OF_TORCHATTACKS = {"linf": "Linf", "l2": "L2"}
# loss -> the class of torchattacks and its options. Its DLR counts with the first step as the authors' code does.
APGD = {
    "cross_entropy": ("APGD", {"loss": "ce"}),
    "dlr": ("APGD", {"loss": "dlr"}),
    "targeted_dlr": ("APGDT", {}),
}


@pytest.mark.parametrize(
    ("name", "norm", "loss"),
    [("mnist", "linf", loss) for loss in APGD] + [("mnist", "l2", "dlr"), ("cifar10", "linf", "targeted_dlr")],
)
def test_apgd_fools_those_that_the_one_of_torchattacks_fools(name, norm, loss):
    """The same images, from the same starts: up to one that rounding decides.

    With "cross_entropy" and under "l2" they may be more, since the log-odds go on where the cross-entropy is rounded to
    0, and a step spends nothing on pixels that are black or white already. `benchmarks/attacks.py` takes more images.
    """
    model, eps = models.load(name), EPS[name, norm]
    images, classes = data.examples(name, 100 if name == "mnist" else 50)
    attack, options = APGD[loss]
    steps = 5 if loss == "targeted_dlr" else 20
    peer = getattr(torchattacks, attack)(model, norm=NORM_OF_TORCHATTACKS[norm], eps=eps, steps=steps, **options)
    found = apgd(model, images, classes, eps=eps, norm=norm, loss=loss, steps=steps)
    theirs = quietly(lambda model, *rest: peer(*rest), model, images, classes)
    ours, other = (predict(model, each).argmax(1) != classes for each in (found, theirs))
    assert 0.1 < other.float().mean() < 0.99
    assert (other & ~ours).sum() <= 1
    more = 1 if norm == "linf" and loss != "cross_entropy" else 4
    assert (ours & ~other).sum() <= more


def test_in_float64_apgd_fools_the_very_images_that_the_one_of_torchattacks_fools(monkeypatch):
    model, (images, classes) = models.load("mnist-robust").double(), data.examples("mnist", 40)
    images, eps, steps = images.double(), 0.4, 12
    right = predict(model, images).argmax(1) == classes
    images, classes = images[right], classes[right]
    monkeypatch.setattr(torch, "rand", partial(torch.rand, dtype=torch.float64))  # torchattacks draws its starts so
    peer = torchattacks.APGD(model, eps=eps, steps=steps, seed=0)
    theirs = quietly(lambda model, *rest: peer(*rest), model, images, classes)
    found = apgd(model, images, classes, eps=eps, steps=steps, seed=0)
    ours, other = (predict(model, each).argmax(1) != classes for each in (found, theirs))
    assert 0.1 < other.float().mean() < 0.99
    assert torch.equal(ours, other)


def test_square_fools_as_many_as_that_of_torchattacks():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 60)
    theirs = torchattacks.Square(model, eps=0.25, n_queries=100)
    rate = success(model, square(model, images, classes, eps=0.25, queries=100), classes)
    other = success(model, quietly(lambda model, *rest: theirs(*rest), model, images, classes), classes)
    assert 0.1 < other < 0.99
    assert abs(rate - other) <= 0.1, (rate, other)
