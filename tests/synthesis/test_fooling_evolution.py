import math

import pytest
import torch
from torch import nn

from labkit import models
from labkit.synthesis.fooling_evolution import (
    ENCODINGS,
    FUNCTIONS,
    INPUTS,
    UNITS,
    fooling_evolution,
    fooling_evolution_steps,
)

SHAPE = (1, 28, 28)


@pytest.fixture(scope="module")
def network():
    return models.load("mnist")


def confidences(model, images):
    with torch.no_grad():
        return model(images).softmax(1)


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "steps"), [("direct", 300), ("smooth", 60)])
def test_every_digit_is_found_with_a_confidence_of_four_nines(network, encoding, steps):
    """Each champion of one population; the study takes the median of five."""
    images = fooling_evolution(network, torch.arange(10), encoding=encoding, steps=steps)
    found = confidences(network, images).diagonal()
    assert (found >= 0.9999).all(), found


@pytest.mark.parametrize("encoding", ["direct", "smooth"])
def test_the_network_is_never_less_sure_than_a_generation_before(network, encoding):
    classes = torch.tensor([3, 7, 3])
    generations = list(fooling_evolution_steps(network, classes, encoding=encoding, steps=8, samples=20))
    sure = torch.stack([confidences(network, images)[[0, 1, 2], classes] for images in generations])
    assert (sure.diff(dim=0) >= -1e-6).all()
    assert (sure[-1] > sure[0]).all()
    assert generations[0].shape == (3, *SHAPE)
    assert not torch.equal(generations[-1][0], generations[-1][2])
    assert torch.stack(generations).min() >= 0
    assert torch.stack(generations).max() <= 1


@pytest.mark.parametrize("encoding", ["direct", "smooth"])
def test_no_champion_of_a_population_would_be_a_better_one_of_another_class(network, encoding):
    images = fooling_evolution(network, torch.arange(10), encoding=encoding, steps=6, samples=20)
    table = confidences(network, images)  # champion by class
    assert (table <= table.diagonal() + 1e-6).all()


def test_classes_may_come_in_any_order_and_number(network):
    options = {"steps": 4, "samples": 10}
    first = fooling_evolution(network, torch.tensor([2, 5, 2]), **options)
    second = fooling_evolution(network, torch.tensor([5, 2, 2]), **options)
    assert torch.equal(first[[1, 0, 2]], second)


def test_the_generator_ends_with_the_result_and_the_seed_decides(network):
    classes, options = torch.tensor([1, 8]), {"encoding": "smooth", "steps": 3, "samples": 8}
    *_, last = fooling_evolution_steps(network, classes, **options)
    assert torch.equal(last, fooling_evolution(network, classes, **options))
    assert not torch.equal(last, fooling_evolution(network, classes, seed=1, **options))


def test_children_are_judged_in_batches(network):
    """How many at a time makes no difference but for rounding, and there is none where each logit is one pixel."""
    linear = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    linear[1].weight = nn.Parameter(4 * torch.eye(3, 16))
    options = {"image_shape": (1, 4, 4), "steps": 5, "samples": 10}
    seen = []
    linear.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    together = fooling_evolution(linear, torch.tensor([0, 1, 1]), **options)
    apart = fooling_evolution(linear, torch.tensor([0, 1, 1]), batch_size=7, **options)
    assert torch.equal(together, apart)
    assert set(seen) == {1, 20, 7, 6}  # one to see whether the model takes such images


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_have_the_dtype_of_the_weights(dtype, encoding):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).to(dtype).eval()
    options = {"encoding": encoding, "image_shape": (1, 4, 4), "steps": 2, "samples": 3}
    assert fooling_evolution(model, torch.tensor([0, 1]), **options).dtype == dtype


@pytest.mark.slow
def test_a_linear_model_gets_bright_pixels_where_its_weights_are_positive():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False)).eval()
    pattern = torch.tensor([1.0, -1.0]).repeat(8)
    linear[1].weight = nn.Parameter(torch.stack([pattern, -pattern]))
    for encoding in ENCODINGS:
        images = fooling_evolution(
            linear, torch.tensor([0, 1]), encoding=encoding, image_shape=(1, 4, 4), steps=150, samples=20
        )
        pixels = images.flatten(1)
        bright, dark = (pixels[0, pattern == sign].mean() for sign in (1, -1))
        assert bright - dark > 0.8, (encoding, pixels)
        assert (pixels[1] - (1 - pixels[0])).abs().mean() < 0.2


def test_a_tenth_of_the_pixels_change_by_the_papers_polynomial():
    rng = torch.Generator().manual_seed(0)
    grey = torch.full((400, 1, 16, 16), 0.5)
    (changed,) = ENCODINGS["direct"].mutate((grey,), rng)
    steps = (changed - grey)[changed != grey]
    assert 0.095 < steps.numel() / grey.numel() < 0.105
    assert abs(steps.mean()) < 0.003
    for size in (0.02, 0.05, 0.1):  # the distribution is 1 - (1 - |d|)^16, from the density 8 (1 - |d|)^15 on (-1, 1)
        fraction = (steps.abs() <= size).float().mean().item()
        assert math.isclose(fraction, 1 - (1 - size) ** 16, abs_tol=0.01)


def test_a_smooth_image_is_what_its_network_says_pixel_by_pixel():
    encoding, shape = ENCODINGS["smooth"], (3, 5, 4)
    weights, functions = encoding.draw(4, shape, torch.Generator().manual_seed(0))
    images = encoding.paint((weights, functions), shape)
    assert images.shape == (4, *shape)
    for genome, row, column in ((0, 0, 0), (1, 4, 2), (2, 3, 3), (3, 1, 1)):
        x, y = -1 + 2 * column / 3, -1 + 2 * row / 4
        values = [x, y, math.hypot(x, y), 1.0]
        for unit in range(UNITS + 3):
            total = sum(w * value for w, value in zip(weights[genome, unit].tolist(), values, strict=False))
            function = FUNCTIONS[functions[genome, unit]] if unit < UNITS else torch.sigmoid
            values.append(total if unit >= UNITS else function(torch.tensor(total)).item())
        expected = torch.tensor(values[INPUTS + UNITS :]).sigmoid()
        assert torch.allclose(images[genome, :, row, column], expected, atol=1e-4)


def test_a_smooth_genome_is_a_picture_of_any_size():
    encoding = ENCODINGS["smooth"]
    genomes = encoding.draw(10, (1, 28, 28), torch.Generator().manual_seed(0))
    small, large = encoding.paint(genomes, (1, 28, 28)), encoding.paint(genomes, (1, 55, 55))
    assert torch.allclose(small, large[:, :, ::2, ::2], atol=1e-3)


def test_a_mutated_network_never_reads_ahead_and_stays_near_its_parent():
    encoding = ENCODINGS["smooth"]
    genomes = encoding.draw(300, SHAPE, torch.Generator().manual_seed(0))
    ahead = ~torch.ones_like(genomes[0]).tril(INPUTS - 1).bool()
    weights, functions = encoding.mutate(genomes, torch.Generator().manual_seed(1))
    assert (weights[ahead] == 0).all()
    possible = (~ahead).sum()
    assert 0.03 < (weights != genomes[0]).sum() / possible < 0.07  # 10% of the 40% that are there, and 1% of all
    come, gone = ((weights != 0) & (genomes[0] == 0)).sum(), ((weights == 0) & (genomes[0] != 0)).sum()
    assert 0.004 < come / possible < 0.008
    assert 0.002 < gone / possible < 0.006
    assert 0.01 < (functions != genomes[1]).float().mean() < 0.03


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "wavy"}, r"encoding must be one of \['direct', 'smooth'\], got 'wavy'"),
        ({"steps": 0}, "steps must be a whole number from 1 up, got 0"),
        ({"samples": 0}, "samples must be a whole number from 1 up, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 up, got 0"),
        ({"classes": torch.tensor([10])}, r"classes must lie in 0\.\.9, got 10"),
        ({"classes": torch.tensor(3)}, r"classes must be int64 of shape \(N,\)"),
        ({"classes": torch.tensor([], dtype=torch.int64)}, r"of shape \(0,\)"),
        ({"image_shape": (28, 28)}, "image_shape must be"),
        ({"image_shape": (1, 20, 20)}, r"the model cannot take images of shape \(2, 1, 20, 20\)"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()},
            "the size of this model's images is unknown",
        ),
    ],
)
def test_bad_arguments_are_refused(network, change, message):
    good = {"model": network, "classes": torch.tensor([0, 1]), "steps": 1, "samples": 2}
    with pytest.raises(ValueError, match=message):
        fooling_evolution(**good | change)
