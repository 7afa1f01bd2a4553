import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.data import ImageSet
from labkit.layers import layer_values
from labkit.synthesis.fooling import costs, fooling, fooling_steps


def samples(n: int = 300) -> ImageSet:
    images, labels = data.examples("mnist", n)
    return ImageSet(images, labels, data.CLASSES["mnist"], "samples")


def ten_by(n: int) -> torch.Tensor:
    return torch.arange(10).repeat_interleave(n)


def slow_search(model, label, n, reference, layers, *, per_neuron, saturating, steps, noise):
    """One label's search as one would write it down: every distance in a loop, Adam from torch."""
    images = noise.clone().requires_grad_()
    adam = torch.optim.Adam([images], lr=0.01)
    for _ in range(steps):
        known, _ = layer_values(model, reference.images[reference.labels == label], layers)
        found, logits = layer_values(model, images, layers)
        p = logits.softmax(1)[:, label]
        total = 10 * ((1 - p) if saturating else (1 / p - 1).log()).mean()
        for name, coefficient in layers.items():
            to_reference, to_others = [], []
            for i in range(n):
                differences = [(found[name][i] - other.detach()).square() for other in known[name]]
                if per_neuron and found[name].ndim == 2:
                    to_reference.append(torch.stack(differences).amin(0).mean())
                else:
                    to_reference.append(min(d.mean() for d in differences))
                to_others += [(found[name][i] - found[name][j]).square().mean() for j in range(n) if j != i]
            reference_cost = 1 / (sum(to_reference) / len(to_reference))
            batch_cost = 1 / (sum(to_others) / len(to_others))
            total = total + coefficient * 0.5 * (reference_cost + batch_cost)
        adam.zero_grad()
        total.backward()
        adam.step()
    return images.detach()


@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.parametrize("saturating", [False, True])
def test_the_search_is_the_slow_and_obvious_one(per_neuron, saturating):
    model, reference = models.load("mnist"), samples(40)
    layers = {"input": 0.5, "pool1": 2.0, "pool2": 2.0, "fc1": 30.0}  # large, so that each one matters
    classes = torch.tensor([3, 8, 3, 8, 3])
    options = {"layers": layers, "per_neuron": per_neuron, "saturating": saturating, "steps": 4, "confidence": 1 - 1e-9}
    start, *_, end = fooling_steps(model, classes, reference=reference, **options)
    for label in (3, 8):
        noise = start.images[classes == label]
        slow = slow_search(model, label, len(noise), reference, layers, **{k: options[k] for k in
                           ("per_neuron", "saturating", "steps")}, noise=noise)  # fmt: skip
        torch.testing.assert_close(end.images[classes == label], slow, atol=2e-4, rtol=0)
        assert (slow - noise).abs().max() > 0.03, "the search did not move"


def test_costs_on_numbers_one_can_follow():
    values = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]])
    nearest = torch.tensor([[1.0, 1.0], [2.0, 2.0], [0.0, 4.0]])
    reference_cost, batch_cost = costs(values, nearest)
    assert reference_cost == pytest.approx(1 / ((1 + 2 + 0) / 3))
    assert batch_cost == pytest.approx(1 / ((2 + 8 + 10) / 3))  # the three pairs, each averaged over two values
    assert costs(values[:1], nearest[:1])[1] == 0


def test_a_minimum_per_neuron_is_nearer_than_any_image():
    model, reference, layers = models.load("mnist"), samples(100), {"fc1": 1.0}
    classes = torch.tensor([5] * 4)
    whole, each = (
        list(fooling_steps(model, classes, reference=reference, layers=layers, class_weight=0, batch_weight=0,
                           per_neuron=per_neuron, steps=1, seed=2))[-1]
        for per_neuron in (False, True)
    )  # fmt: skip
    assert not torch.equal(whole.images, each.images)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "mnist-bn", "mnist-best"])
@pytest.mark.parametrize("clip", [False, True])
def test_all_eighty_images_are_certain(name, clip):
    found = fooling(models.load(name), ten_by(8), reference=samples(), clip=clip)
    assert found.confidence.min() >= 0.999
    assert found.steps.min() >= 0  # noise itself may be certain already
    assert found.steps.max() < 100
    logits = models.load(name)(found.images)
    assert torch.equal(logits.argmax(1), ten_by(8))
    torch.testing.assert_close(logits.softmax(1).amax(1), found.confidence, atol=1e-4, rtol=0)
    inside = bool((found.images >= 0).all() and (found.images <= 1).all())
    assert inside == clip


@pytest.mark.slow
def test_memory_decides_how_many_classes_at_once_and_not_what_is_found():
    model, reference, classes = models.load("mnist"), samples(100), ten_by(2)
    at_once, one_by_one = (fooling(model, classes, reference=reference, steps=8, memory=m) for m in (2**31, 1))
    torch.testing.assert_close(at_once.images, one_by_one.images, atol=1e-3, rtol=0)
    states = list(fooling_steps(model, classes, reference=reference, steps=8, memory=1))
    assert (states[0].confidence > 0).tolist() == [True, True] + [False] * 18


def test_the_seed_decides_the_images():
    model, reference = models.load("mnist"), samples(100)
    first, again, other = (fooling(model, ten_by(1), reference=reference, steps=3, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


def test_a_stuck_image_is_drawn_anew_and_forgets_its_past():
    model, classes = models.load("mnist"), torch.tensor([1, 1, 1, 8])
    options = {"saturating": True, "patience": 3, "steps": 30}
    states = list(fooling_steps(model, classes, reference=samples(100), **options))
    assert states[-1].restarts[:3].sum() > 0
    assert states[-1].restarts[3] == 0
    for before, after in pairwise(states):
        for one in (after.restarts > before.restarts).nonzero()[:, 0].tolist():
            assert before.confidence[one] < 0.99
            assert (after.images[one] - before.images[one]).abs().max() > 0.5  # new noise, not a step
            assert 0 <= after.images[one].min() <= after.images[one].max() <= 1


def test_a_class_rests_once_all_its_images_are_certain():
    states = list(fooling_steps(models.load("mnist"), torch.tensor([2, 2, 1, 1]), reference=samples(100)))
    done = next(i for i, state in enumerate(states) if (state.confidence[:2] >= 0.999).all())
    assert done < len(states) - 1
    assert torch.equal(states[done].images[:2], states[-1].images[:2])
    assert not torch.equal(states[done].images[2:], states[-1].images[2:])


@pytest.mark.slow
def test_the_batch_cost_pushes_the_images_of_a_class_apart():
    model, reference, classes = models.load("mnist"), samples(100), ten_by(4)
    options = {"layers": {"fc1": 1.0}, "class_weight": 0, "reference_weight": 0, "steps": 20}
    start, *_, end = fooling_steps(model, classes, reference=reference, **options)
    for label in range(10):
        before, after = (
            layer_values(model, state.images[classes == label], ["fc1"])[0]["fc1"].var(0).mean()
            for state in (start, end)
        )
        assert after > 1.2 * before


def test_what_cannot_be_searched():
    model, reference, classes = models.load("mnist"), samples(40), torch.tensor([3])
    nothing = reference.subset(torch.tensor([], dtype=torch.int64))
    for words, change in {
        "0..9, got 11": {"classes": torch.tensor([11])},
        r"int64 of shape \(N,\)": {"classes": [3]},
        "it holds 0": {"reference": nothing},
        "no image of class 3": {"reference": reference.subset(reference.labels != 3)},
        "steps must be a whole number from 1 up, got 0": {"steps": 0},
        "patience must be a whole number from 1 up, got 0": {"patience": 0},
        "memory must be a whole number from 1 up, got -1": {"memory": -1},
        r"lie in \(0, 1\), got 1.5": {"confidence": 1.5},
        "above 0, got 0": {"learning_rate": 0},
        "unknown layer 'conv9'; the network has normalize": {"layers": {"conv9": 1.0}},
        "eval mode": {"model": models.mnist()},
        "must be an nn.Sequential": {"model": nn.Flatten().eval()},
    }.items():
        arguments = {"model": model, "classes": classes, "reference": reference} | change
        with pytest.raises(ValueError, match=words):
            fooling(**arguments)


@pytest.mark.slow
def test_twenty_thousand_reference_images_in_bounded_memory():
    script = (
        "import resource, torch; from labkit import data, models; from labkit.synthesis.fooling import fooling\n"
        "known = data.load('mnist', 'train').subset(slice(20_000)); classes = torch.arange(10).repeat_interleave(2)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak()\n"
        "found = fooling(models.load('mnist'), classes, reference=known, memory=2**26)\n"
        "print(found.confidence.min().item(), (peak() - before) / 2**20)"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    confidence, gigabytes = map(float, output.split())
    assert confidence >= 0.999
    assert gigabytes < 0.4  # the values of the layers that are compared would be 0.7
