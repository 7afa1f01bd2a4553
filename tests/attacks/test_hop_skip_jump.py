import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks._norms import NORMS
from labkit.attacks.hop_skip_jump import hop_skip_jump, hop_skip_jump_steps


class Answers(nn.Module):
    """Tells its answer and nothing else: 1 for the class, 0 for the others, without a gradient."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        logits = self.model(images.detach()).detach()
        return torch.zeros_like(logits).scatter(1, logits.argmax(1, keepdim=True), 1.0)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_answers_alone_lead_near_the_closest_point_of_a_linear_model(linear, norm, targeted):
    model, images, classes, closest = linear
    wanted = 1 - classes if targeted else classes
    found = hop_skip_jump(Answers(model).eval(), images, wanted, norm=norm, targeted=targeted, steps=15)
    assert (model(found.images).argmax(1) != classes).all()
    assert (found.distances > 0.9999 * closest[norm]).all()  # nothing nearer exists
    assert (found.distances < 1.25 * closest[norm]).all()


@pytest.mark.slow
def test_more_steps_come_nearer():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 4)
    options = {"samples": 30}
    few = hop_skip_jump(model, images, classes, steps=1, **options)
    more = hop_skip_jump(model, images, classes, steps=5, **options)
    assert (more.distances <= few.distances).all()
    assert more.distances.mean() < 0.8 * few.distances.mean()
    assert (model(more.images).argmax(1) != classes).all()
    assert torch.allclose((more.images - images).flatten(1).norm(dim=1), more.distances, atol=1e-5)
    assert torch.equal(more.images, more.images.clamp(0, 1))


def test_its_steps_only_come_nearer_and_end_with_its_result(linear):
    model, images, classes, _ = linear
    states = list(hop_skip_jump_steps(model, images, classes, steps=4))
    assert len(states) == 4
    distances = torch.stack([state.distances for state in states])
    assert (distances.diff(dim=0) <= 0).all()
    for state in states:
        assert (model(state.images).argmax(1) != classes).all()
    assert torch.equal(states[-1].images, hop_skip_jump(model, images, classes, steps=4).images)


def test_the_seed_decides(linear):
    model, images, classes, _ = linear
    runs = [hop_skip_jump(model, images, classes, steps=2, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(runs[0].images, runs[1].images)
    assert not torch.equal(runs[0].images, runs[2].images)


@pytest.mark.slow
def test_how_many_points_are_in_memory_at_once_changes_little(linear):
    model, images, classes, closest = linear
    found = hop_skip_jump(model, images, classes, steps=10, batch_size=3)
    assert (found.distances < 1.25 * closest["l2"]).all()


def test_nothing_to_do_and_nothing_to_be_done():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 3)
    assert hop_skip_jump(model, images, (classes + 1) % 10).distances.tolist() == [0, 0, 0]
    blind = nn.Sequential(nn.Flatten(), nn.Linear(784, 3)).eval()
    with torch.no_grad():
        blind[1].weight.zero_()
        blind[1].bias.copy_(torch.tensor([1.0, 0, 0]))
    found = hop_skip_jump(blind, images, torch.zeros(3, dtype=torch.int64))
    assert found.distances.isinf().all()
    assert torch.equal(found.images, images)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("norm", "l1", r"norm must be one of \['linf', 'l2'\], got 'l1'"),
        ("steps", 0, "steps must be a whole number from 1 up, got 0"),
        ("samples", 0, "samples must be a whole number from 1 up, got 0"),
        ("batch_size", 0, "batch_size must be a whole number from 1 up, got 0"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        hop_skip_jump(models.load("mnist"), images, classes, **{option: value})
