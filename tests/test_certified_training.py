import copy
import re

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.pgd import pgd
from labkit.certification.interval_bounds import interval_bounds
from labkit.certified_training import Bounded, bounded_loss, check_bounds, eps_and_kappa, interval_init
from labkit.training import fit, predict

BOUNDS = {"eps": 0.1, "ramp": 0.5, "kappa": 0.5}


@pytest.fixture(scope="module")
def digits() -> tuple[data.ImageSet, data.ImageSet]:
    sample = data.sample("mnist", "train")
    return sample.subset(slice(400)), sample.subset(slice(400, 600))


def small_network(seed: int = 0) -> nn.Sequential:
    """Each kind of layer that training with bounds treats in its own way."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(392, 20),
            nn.BatchNorm1d(20),
            nn.ReLU(),
            nn.Linear(20, 10),
        )
        interval_init(model)
    return model


@pytest.fixture(scope="module")
def trained(digits) -> nn.Sequential:
    model = small_network()
    fit(model, *digits, epochs=10, batch_size=20, learning_rate=5e-3, bounds=BOUNDS, clip=10.0)
    return model


def proved(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float) -> torch.Tensor:
    return (interval_bounds(model, images, labels, eps=eps) > 0).all(1)


@pytest.mark.slow
def test_what_training_sees_are_the_interval_bounds(digits, trained):
    images, labels = digits[1].images, digits[1].labels
    logits, margins = Bounded(trained)(images, labels, 0.07)
    assert torch.allclose(logits, trained(images), atol=1e-5)
    expected = interval_bounds(trained, images, labels, eps=0.07)
    expected[torch.arange(len(labels)), labels] = 0
    assert torch.allclose(margins.double(), expected, atol=1e-4)


def test_attacked_images_may_go_through_while_the_bounds_are_those_around_the_images_themselves(digits):
    """The margins as without an attack, the logits those of the attacked images."""
    images, labels = digits[1].images[:50], digits[1].labels[:50]
    model = small_network().eval()
    attacked = pgd(model, images, labels, eps=0.1, steps=3)
    logits, margins = Bounded(model)(attacked, labels, 0.1, images)
    assert torch.allclose(logits, model(attacked), atol=1e-5)
    assert torch.allclose(margins, Bounded(model)(images, labels, 0.1)[1], atol=1e-5)


@pytest.mark.slow
def test_with_an_attack_less_is_proved_and_more_withstands(digits, trained):
    """Trained on for both, mostly with attacked images."""
    many = data.sample("mnist", "train").subset(slice(400, 1400))
    both = copy.deepcopy(trained)
    options = {"attack": {"eps": 0.1, "steps": 3, "step_size": 0.05}, "bounds": BOUNDS | {"ramp": 0.1, "kappa": 0.95}}
    fit(both, *digits, epochs=10, batch_size=20, learning_rate=5e-3, clip=10.0, **options)
    withstands, held = [], []
    for model in (trained, both):
        found = pgd(model, many.images, many.labels, eps=0.1, steps=20)
        withstands.append((predict(model, found).argmax(1) == many.labels).float().mean())
        held.append(proved(model, many.images, many.labels, 0.1).float().mean())
    assert withstands[1] > withstands[0] + 0.02
    assert 0.1 < held[1] < held[0] - 0.05


def test_in_training_batch_norm_is_that_of_the_images(digits):
    """The very logits of the network in training mode, and running figures that move as its own do."""
    images, labels = digits[0].images[:100], digits[0].labels[:100]
    model, own = small_network().train(), small_network().train()
    logits, _ = Bounded(model)(images, labels, 0.1)
    assert torch.allclose(logits, own(images), atol=1e-4)
    for name, buffer in own.named_buffers():
        assert torch.allclose(model.get_buffer(name), buffer, atol=1e-5), name


def test_at_eps_0_the_worst_case_is_the_image_itself(digits):
    images, labels = digits[0].images[:50], digits[0].labels[:50]
    logits, margins = Bounded(small_network().train())(images, labels, 0.0)
    assert torch.allclose(margins, logits.gather(1, labels[:, None]) - logits, atol=1e-5)
    losses = [bounded_loss(logits, margins, labels, kappa) for kappa in (0.0, 1.0)]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-5)


@pytest.mark.slow
def test_a_network_that_learned_with_bounds_is_proved_and_no_attack_beats_the_proof(digits, trained):
    images, labels = digits[1].images, digits[1].labels
    plain = small_network()
    fit(plain, *digits, epochs=10, batch_size=20, learning_rate=5e-3)
    held = proved(trained, images, labels, 0.1)
    assert held.float().mean() > 0.4
    assert proved(plain, images, labels, 0.1).float().mean() < 0.1
    logits = predict(trained, pgd(trained, images, labels, eps=0.1, steps=20))
    margins = logits.gather(1, labels[:, None]) - logits
    bounds = interval_bounds(trained, images, labels, eps=0.1)
    others = bounds.isfinite()  # all but the class itself
    assert (bounds[others] <= margins[others] + 1e-4).all()


def test_eps_rises_and_kappa_falls_until_the_ramp_ends():
    steps = [eps_and_kappa(done, {"eps": 0.4, "ramp": 0.5, "kappa": 0.5}) for done in (0, 0.25, 0.5, 1)]
    assert [eps for eps, _ in steps] == pytest.approx([0, 0.2, 0.4, 0.4])
    assert [kappa for _, kappa in steps] == pytest.approx([1, 0.75, 0.5, 0.5])


def test_intervals_keep_their_width_at_the_start():
    """A layer doubles the width, and a ReLU takes half of what it is given."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(1000, 1000), nn.Conv2d(20, 300, 5))
    interval_init(layers)
    assert layers[0].weight.abs().sum(1).mean().item() == pytest.approx(2, rel=0.02)
    assert layers[1].weight.abs().sum((1, 2, 3)).mean().item() == pytest.approx(2, rel=0.02)
    assert layers[0].bias.abs().max() == 0


def test_the_network_is_left_as_it_is(digits):
    model = small_network().eval()
    before = copy.deepcopy(model.state_dict())
    Bounded(model)(digits[0].images[:5], digits[0].labels[:5], 0.1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_residual_block_is_refused():
    block = nn.Sequential(models.ResidualBlock(1, 2), nn.Flatten(), nn.Linear(2 * 28 * 28, 10))
    with pytest.raises(ValueError, match="knows no residual blocks, got layer '0'"):
        Bounded(block)(torch.rand(2, 1, 28, 28), torch.tensor([3, 4]), 0.1)


def test_a_layer_without_bounds_is_refused():
    with pytest.raises(ValueError, match="no bounds are known for layer '1'"):
        Bounded(nn.Sequential(nn.Flatten(), nn.Tanh()))


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"eps": 0.1}, "must have eps, ramp and kappa, got {'eps': 0.1}"),
        (BOUNDS | {"steps": 3}, "must have eps, ramp and kappa"),
        (BOUNDS | {"eps": 0}, "eps must be a number above 0, got 0"),
        (BOUNDS | {"ramp": 0}, "ramp must be a number above 0, got 0"),
        (BOUNDS | {"ramp": 1.5}, "ramp must lie in [0, 1], got 1.5"),
        (BOUNDS | {"kappa": -1}, "kappa must lie in [0, 1], got -1"),
    ],
)
def test_bad_bounds_are_refused(bounds, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check_bounds(bounds)


def test_a_layer_that_stands_at_two_places_is_bounded_at_both(digits):
    relu = nn.ReLU()
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), relu, nn.Linear(16, 16), relu, nn.Linear(16, 10))
    images, labels = digits[0].images[:9], digits[0].labels[:9]
    assert torch.allclose(Bounded(model)(images, labels, 0.1)[0], model(images), atol=1e-6)


def test_batch_norm_of_a_single_value_is_refused(digits):
    images, labels = digits[0].images[:1], digits[0].labels[:1]
    with pytest.raises(ValueError, match=r"'6' in training needs more than one value a channel, got \(1, 20\)"):
        Bounded(small_network().train())(images, labels, 0.1)
