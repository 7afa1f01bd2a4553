"""CROWN against its definition, written down slowly with whole matrices for one image."""

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.certification.crown import crown
from labkit.certification.interval_bounds import interval_bounds
from tests.certification.conftest import margins, of_every_layer


def obvious(weights, biases, image, own, eps):
    """Lower bounds of the margins of a dense ReLU network: intervals before each ReLU, then one way back."""
    low, high = (image - eps).clamp(0, 1), (image + eps).clamp(0, 1)
    before, box = [], (low, high)
    for weight, bias in zip(weights, biases, strict=True):
        positive, negative = weight.clamp_min(0), weight.clamp_max(0)
        box = (positive @ box[0] + negative @ box[1] + bias, positive @ box[1] + negative @ box[0] + bias)
        before.append(box)
        box = (box[0].clamp_min(0), box[1].clamp_min(0))
    found = []
    for other in range(len(biases[-1])):
        row, constant = weights[-1][own] - weights[-1][other], biases[-1][own] - biases[-1][other]
        for layer in reversed(range(len(weights) - 1)):
            new = torch.zeros_like(row)
            for unit, (a, lower, upper) in enumerate(zip(row, *before[layer], strict=True)):
                if lower >= 0:
                    new[unit] = a
                elif upper > 0 and a > 0:
                    new[unit] = a if upper > -lower else 0
                elif upper > 0:
                    new[unit] = a * upper / (upper - lower)
                    constant = constant - a * lower * upper / (upper - lower)
            constant = constant + new @ biases[layer]
            row = new @ weights[layer]
        found.append(row.clamp_min(0) @ low + row.clamp_max(0) @ high + constant)
    return torch.stack(found)


@pytest.mark.parametrize("eps", [0.01, 0.1, 0.5])
def test_equal_to_its_definition(eps):
    torch.manual_seed(1)
    dense = [nn.Linear(12, 9), nn.Linear(9, 7), nn.Linear(7, 5)]
    model = nn.Sequential(nn.Flatten(), dense[0], nn.ReLU(), dense[1], nn.ReLU(), dense[2]).eval()
    images, classes = torch.rand(4, 1, 3, 4), torch.tensor([0, 4, 2, 2])
    weights, biases = (
        [layer.weight.detach().double() for layer in dense],
        [layer.bias.detach().double() for layer in dense],
    )
    found = crown(model, images, classes, eps=eps)
    interval = interval_bounds(model, images, classes, eps=eps)
    for place, own in enumerate(classes.tolist()):
        expected = obvious(weights, biases, images[place].flatten().double(), own, eps)
        expected = torch.maximum(expected, interval[place]).index_fill(0, classes[place], torch.inf)
        torch.testing.assert_close(found[place], expected, atol=1e-6, rtol=0)


def test_tighter_before_each_relu_is_tighter_at_the_end(batch):
    images, classes = batch
    model = of_every_layer()
    by_interval = crown(model, images, classes, eps=0.05)
    by_lines = crown(model, images, classes, eps=0.05, intermediate="crown")
    finite = by_lines.isfinite()
    assert (by_lines - by_interval)[finite].mean() > 0
    assert (by_lines[finite] <= margins(model, images, classes)[finite]).all()


def test_it_proves_more_of_a_shipped_network_than_intervals_do():
    images, classes = data.examples("mnist", 20)
    model = models.load("mnist-robust")
    proved = [(bounds(model, images, classes, eps=0.005).amin(1) > 0).sum() for bounds in (interval_bounds, crown)]
    assert proved[0] < proved[1]


def test_neither_batch_nor_rows_at_once_change_anything(batch):
    images, classes = batch
    model = of_every_layer()
    for before in ("interval", "crown"):
        one = crown(model, images, classes, eps=0.05, intermediate=before, batch_size=1)
        torch.testing.assert_close(crown(model, images, classes, eps=0.05, intermediate=before), one)


def test_an_unknown_way_is_refused(batch):
    with pytest.raises(ValueError, match="intermediate must be one of"):
        crown(of_every_layer(), *batch, eps=0.1, intermediate="guess")


def test_overlapping_windows_of_a_max_pooling():
    """The larger of x1 and x2 is either: x2 is surely the largest of the window behind, but not of their own."""
    last = nn.Linear(3, 2)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]))  # x1, and the larger of x1 and x2
        last.bias.copy_(torch.tensor([0.2, 0]))
    model = nn.Sequential(nn.MaxPool2d((1, 2), stride=1), nn.Flatten(), last).eval()
    images = torch.tensor([0, 0.5, 0.45, 0]).view(1, 1, 1, 4)
    worst = torch.tensor([0, 0.3, 0.65, 0]).view(1, 1, 1, 4)
    classes = torch.zeros(1, dtype=torch.int64)
    logits = model(worst)[0]
    assert crown(model, images, classes, eps=0.2)[0, 1] <= logits[0] - logits[1] + 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 1, "padding": 1},
        {"kernel_size": 2, "stride": 1, "dilation": 2},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
        {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    ],
)
def test_no_image_within_eps_is_below_the_bound_of_a_max_pooling(options):
    rng = torch.Generator().manual_seed(0)
    pooling = nn.MaxPool2d(**options)
    units = pooling(torch.zeros(1, 1, 6, 7)).numel()
    for _ in range(20):
        last = nn.Linear(units, 3)
        with torch.no_grad():
            last.weight.copy_(torch.randn(3, units, generator=rng))
        model = nn.Sequential(pooling, nn.Flatten(), last).eval()
        image, classes = torch.rand(1, 1, 6, 7, generator=rng), torch.zeros(1, dtype=torch.int64)
        found = crown(model, image, classes, eps=0.2)[0]
        corners = image + 0.2 * torch.randint(-1, 2, (2_000, 1, 6, 7), generator=rng)
        logits = model(corners.clamp(0, 1)).detach()
        assert ((logits[:, :1] - logits)[:, 1:] >= found[1:] - 1e-5).all()


def test_the_order_in_memory_changes_nothing(batch):
    images, classes = batch
    model = of_every_layer()
    expected = crown(model, images, classes, eps=0.05, intermediate="crown")
    images, model = (each.to(memory_format=torch.channels_last) for each in (images, model))
    torch.testing.assert_close(crown(model, images, classes, eps=0.05, intermediate="crown"), expected)
