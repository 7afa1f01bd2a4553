"""Interval bounds: exact for a linear network, by hand on three pixels, never above what any image does."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit import data, models
from labkit.attacks.pgd import pgd
from labkit.certification._network import interval_margins, steps_of
from labkit.certification._steps import Box, Dense
from labkit.certification.crown import crown
from labkit.certification.interval_bounds import interval_bounds, layer_bounds
from labkit.layers import run
from labkit.models import Normalize, ResidualBlock
from tests.certification.conftest import margins, of_every_layer, residual, within


def test_by_hand_on_three_pixels():
    """ReLU(x1 - x2) and ReLU(x2 + x3), then their difference; pixels 0.5, 0.2, 0.4 and eps 0.1."""
    first, last = nn.Linear(3, 2), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -1, 0], [0, 1, 1]]))
        first.bias.zero_()
        last.weight.copy_(torch.eye(2))
    model = nn.Sequential(nn.Flatten(), first, nn.ReLU(), last).eval()
    image = torch.tensor([0.5, 0.2, 0.4]).view(1, 1, 1, 3)
    # x1 - x2 lies in [0.1, 0.5], x2 + x3 in [0.4, 0.8]: the second leads the first by -0.1 at the least.
    found = interval_bounds(model, image, torch.tensor([1]), eps=0.1)
    assert found[0].tolist() == pytest.approx([-0.1, torch.inf], abs=1e-6)


@pytest.mark.parametrize("bounds", [interval_bounds, crown])
def test_exact_for_a_linear_network(bounds, batch):
    images, classes = batch
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 15 * 13, 4)).eval()
    found = bounds(model, images, classes, eps=0.05)
    weights = model[1].weight.double()
    for place, own in enumerate(classes.tolist()):
        for other in set(range(4)) - {own}:
            row = (weights[own] - weights[other]).view(images.shape[1:])
            worst = (images[place] - 0.05 * row.sign()).clamp(0, 1)[None].float()
            assert found[place, other] == pytest.approx(
                margins(model, worst, classes[[place]])[0, other].item(), abs=1e-5
            )


@pytest.mark.parametrize("bounds", [interval_bounds, crown])
def test_at_eps_0_they_are_the_margins(bounds, batch):
    images, classes = batch
    model = of_every_layer()
    torch.testing.assert_close(
        bounds(model, images, classes, eps=0), margins(model, images, classes), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("bounds", [interval_bounds, crown])
def test_a_layer_that_stands_at_several_places_counts_at_each(bounds, batch):
    torch.manual_seed(0)
    relu, dense = nn.ReLU(), nn.Linear(16, 16)
    block = nn.Sequential(dense, relu)
    model = nn.Sequential(nn.Flatten(), nn.Linear(390, 16), relu, dense, relu, block, block, nn.Linear(16, 4)).eval()
    expected = margins(model, *batch)
    torch.testing.assert_close(bounds(model, *batch, eps=0), expected, atol=1e-6, rtol=0)
    assert list(layer_bounds(model, batch[0], eps=0)) == [
        *("input", "0", "1", "2", "3", "4", "5.0", "5.1", "6.0", "6.1", "7")
    ]


@pytest.mark.parametrize("bias", [True, False])
def test_a_batch_norm_is_one_step_with_the_layer_before_it(bias):
    """The bounds are those of the same network whose layers are bounded one by one."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, affine=bias)
    hidden = nn.Conv2d(1, 4, 3, bias=bias), Normalize((0.3,), (0.5,)), norm, nn.ReLU(), nn.Flatten()
    model = nn.Sequential(*hidden, nn.Linear(144, 5, bias=bias), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    for _ in range(20):
        model(torch.rand(8, 1, 8, 8))
    model.eval()
    images, classes = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    assert len(steps_of(model)) == len(steps_of(model, merged=False)) - 3
    boxes = list(layer_bounds(model, images, eps=0.05).values())
    last = Dense(copy.deepcopy(model[-1]).double())
    expected = interval_margins(last, Box(lower=boxes[-2][0], upper=boxes[-2][1]), classes)
    for precision, tolerance in (("float64", 1e-6), ("float32", 1e-3)):
        found = interval_bounds(model, images, classes, eps=0.05, precision=precision)
        own = torch.arange(3) == classes[:, None]
        torch.testing.assert_close(found[~own], expected[~own].detach(), atol=tolerance, rtol=0)
        assert (found[~own] <= expected[~own]).all()


@pytest.mark.slow
@pytest.mark.parametrize("build", [of_every_layer, residual])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), eps=st.floats(0, 0.3))
def test_never_above_what_an_image_within_eps_does(build, seed, eps):
    rng = torch.Generator().manual_seed(seed)
    images, classes = torch.rand(2, 2, 15, 13, generator=rng), torch.randint(4, (2,), generator=rng)
    model = build(seed)
    found = [interval_bounds(model, images, classes, eps=eps), crown(model, images, classes, eps=eps)]
    found.append(crown(model, images, classes, eps=eps, intermediate="crown"))
    assert (found[0] <= found[1] + 1e-9).all()
    attacked = pgd(model, images, classes, eps=eps, steps=5) if eps else images
    for changed in [attacked, *within(images, eps, 20, seed)]:
        true = margins(model, changed, classes)
        for lower in found:
            assert (lower <= true + 1e-6).all()


def obvious(model, image, own, eps):
    """The bounds of one image by their definition: each affine layer as a whole matrix, weight by weight."""
    low, high = (image.double() - eps).clamp(0, 1), (image.double() + eps).clamp(0, 1)
    layers = [layer for layer in model.double().modules() if not isinstance(layer, nn.Sequential)]
    with torch.no_grad():
        for layer in layers[:-1]:
            if isinstance(layer, nn.ReLU | nn.MaxPool2d):  # neither ever falls where an input rises
                low, high = layer(low), layer(high)
                continue
            shift = layer(torch.zeros_like(low))
            units = torch.eye(low.numel(), dtype=torch.float64).view(-1, *low.shape[1:])
            matrix = (layer(units) - shift).flatten(1).T  # (outputs, inputs)
            rising, falling = matrix.clamp_min(0), matrix.clamp_max(0)
            ends = low.flatten(), high.flatten()
            low = (rising @ ends[0] + falling @ ends[1]).view_as(shift) + shift
            high = (rising @ ends[1] + falling @ ends[0]).view_as(shift) + shift
        weight, bias = layers[-1].weight, layers[-1].bias
        rows, shift = weight[own] - weight, bias[own] - bias
        found = rows.clamp_min(0) @ low[0] + rows.clamp_max(0) @ high[0] + shift
    model.float()
    return found.index_fill(0, torch.tensor(own), torch.inf)


@pytest.mark.parametrize("eps", [0.01, 0.1, 0.5])
def test_equal_to_their_definition(eps, batch):
    images, classes = batch
    model = of_every_layer()
    found = interval_bounds(model, images, classes, eps=eps)
    for place, own in enumerate(classes.tolist()):
        torch.testing.assert_close(found[place], obvious(model, images[[place]], own, eps), atol=1e-6, rtol=1e-8)


@pytest.mark.parametrize("bounds", [interval_bounds, crown])
def test_a_residual_block_with_one_way_only_is_layers_in_turn(bounds, batch):
    images, classes = batch
    model = residual()
    first, second, *rest = model
    second.body.bn2.weight.data.zero_()  # nothing comes from the body of the second, nor from the first's shortcut
    second.body.bn2.bias.data.zero_()
    first.shortcut[1].weight.data.zero_()
    first.shortcut[1].bias.data.zero_()
    in_turn = nn.Sequential(*first.body, nn.ReLU(), nn.ReLU(), *rest).eval()
    for eps in (0.0, 0.01, 0.2):
        expected = bounds(in_turn, images, classes, eps=eps)
        torch.testing.assert_close(bounds(model, images, classes, eps=eps), expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("bounds", [interval_bounds, crown])
def test_at_eps_0_both_ways_are_added_up(bounds, batch):
    images, classes = batch
    expected = margins(residual(), images, classes)
    torch.testing.assert_close(bounds(residual(), images, classes, eps=0.0), expected, atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("build", [of_every_layer, residual])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), eps=st.floats(0, 0.3))
def test_in_float32_they_are_never_above_those_in_float64_and_hardly_below(build, seed, eps):
    rng = torch.Generator().manual_seed(seed)
    images, classes = torch.rand(2, 2, 15, 13, generator=rng), torch.tensor([0, 3])
    model = build(seed)
    exact = interval_bounds(model, images, classes, eps=eps)
    fast = interval_bounds(model, images, classes, eps=eps, precision="float32")
    finite = exact.isfinite()
    assert (fast <= exact + 1e-12).all()  # where they saturate, a last bit of float64; 1e-9 is taken off both
    assert (exact - fast)[finite].amax() < 1e-3 * (1 + exact[finite].abs().amax())


def test_in_float32_the_certified_network_loses_next_to_nothing():
    images, classes = data.examples("mnist", 200)
    model = models.load("mnist-certified")
    exact, fast = (
        (interval_bounds(model, images, classes, eps=0.3, precision=precision) > 0).all(1)
        for precision in ("float64", "float32")
    )
    assert not (fast & ~exact).any()
    assert 170 < exact.sum() <= fast.sum() + 1


def test_a_larger_eps_proves_less(batch):
    images, classes = batch
    bounds = torch.stack([interval_bounds(of_every_layer(), images, classes, eps=eps) for eps in (0, 0.01, 0.1, 1)])
    assert (bounds.diff(dim=0)[bounds[1:].isfinite()] <= 0).all()


def test_the_bounds_of_each_layer_hold_its_outputs(batch):
    images, _ = batch
    model = of_every_layer()
    found = layer_bounds(model, images, eps=0.05)
    assert list(found) == ["input", "0", "1", "2", "3", "4.0", "4.1", "5", "6", "7", "8", "9"]
    for changed in within(images, 0.05, 10):
        for name, output in run(model, changed, [layer for layer in found if layer != "input"]).items():
            low, high = found[name]
            assert (low <= output.double() + 1e-5).all(), name
            assert (output.double() <= high + 1e-5).all(), name
    with pytest.raises(ValueError, match="eps must be a number from 0 up"):
        layer_bounds(model, images, eps=-1)


def test_the_batch_changes_nothing(batch):
    images, classes = batch
    model = of_every_layer()
    one = interval_bounds(model, images, classes, eps=0.1, batch_size=1)
    torch.testing.assert_close(interval_bounds(model, images, classes, eps=0.1), one)


def test_for_the_shipped_digits_networks_they_explode():
    """What chapter *What can be proved* starts from: at 0.01 the interval proves nothing of an ordinary network."""
    images, classes = data.examples("mnist", 20)
    model = models.load("mnist")
    assert (interval_bounds(model, images, classes, eps=0.01).amin(1) < 0).all()
    assert (interval_bounds(model, images, classes, eps=0.0005).amin(1) > 0).float().mean() > 0.9


class FirstPixels(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :4]


class Leaky(nn.ReLU):
    def forward(self, x):
        return nn.functional.leaky_relu(x, -0.5)


class Doubled(nn.Identity):
    def forward(self, x):
        return 2 * x


def with_other_relu():
    block = ResidualBlock(2, 2)
    block.relu = nn.Tanh()
    return block


def with_hook(layer):
    layer.register_forward_hook(lambda _module, _inputs, output: output / 2)
    return layer


def with_norm(weight_norm):
    return nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(390, 4)), nn.BatchNorm1d(4))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(390, 4), nn.Tanh()).eval(), "no bounds are known for layer '2'"),
        (
            nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), nn.Flatten(), nn.Linear(390, 4)).eval(),
            "no bounds are known for layer '0', BatchNorm2d.*known: .*BatchNorm with running statistics",
        ),
        (FirstPixels().eval(), "bounds are known for sequential networks"),
        (nn.Sequential(Leaky(), nn.Flatten(), nn.Linear(390, 4)).eval(), "no bounds are known for layer '0', Leaky"),
        (
            nn.Sequential(Doubled(), nn.Flatten(), nn.Linear(390, 4)).eval(),
            "no bounds are known for layer '0', Doubled",
        ),
        (nn.Sequential(with_other_relu(), nn.Flatten(), nn.Linear(390, 4)).eval(), "no bounds are known for layer '0'"),
        (nn.Sequential(nn.Sequential(with_hook(nn.ReLU())), nn.Flatten()).eval(), "without hooks .*'0.0' has some"),
        (with_hook(nn.Sequential(nn.Flatten(), nn.Linear(390, 4))).eval(), "without hooks .* Sequential has some"),
        (with_norm(nn.utils.parametrizations.weight_norm).eval(), "without hooks and parametrizations, '1' has some"),
        (with_norm(nn.utils.spectral_norm).eval(), "without hooks and parametrizations, '1' has some"),
        (of_every_layer().train(), "eval mode"),
    ],
)
def test_what_it_refuses(model, message, batch):
    with pytest.raises((ValueError, TypeError), match=message):
        interval_bounds(model, *batch, eps=0.1)


def test_a_negative_eps_and_an_unknown_class_are_refused(batch):
    images, classes = batch
    with pytest.raises(ValueError, match="eps"):
        interval_bounds(of_every_layer(), images, classes, eps=-0.1)
    with pytest.raises(ValueError, match="classes"):
        interval_bounds(of_every_layer(), images, classes + 9, eps=0.1)
    with pytest.raises(ValueError, match=r"cannot take images of shape \(3, 1, 15, 13\), torch.float32: .* 2 channels"):
        interval_bounds(of_every_layer(), images[:, :1], classes, eps=0.1)
    with pytest.raises(ValueError, match=r"cannot take images of shape \(3, 2, 15, 13\), torch.float64"):
        interval_bounds(of_every_layer(), images.double(), classes, eps=0.1)
    with pytest.raises(ValueError, match=r"precision must be one of \['float64', 'float32'\], got 'bfloat16'"):
        interval_bounds(of_every_layer(), images, classes, eps=0.1, precision="bfloat16")


def test_a_model_without_a_row_of_logits_is_refused():
    images, classes = data.examples("mnist", 2)
    model = nn.Sequential(nn.Conv2d(1, 10, 28)).eval()
    with pytest.raises(ValueError, match=r"must return logits \(N, K\) for 2 images, got \(2, 10, 1, 1\)"):
        interval_bounds(model, images, classes, eps=0.1)
