import json
from itertools import pairwise

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from labkit import attribution_quality, data, models
from labkit.attribution.saliency import saliency
from labkit.attribution_quality import (
    AT_ONCE,
    RESULTS,
    cascade,
    deletion,
    edges,
    importance,
    insertion,
    measure,
    random_order,
    randomised,
)
from labkit.attribution_quality import rank_correlation as correlate


class OnePixel(nn.Module):
    """Says class 1 if the pixel at row 1, column 2 is bright, else class 0."""

    def forward(self, images):
        logit = 20 * (images[:, 0, 1, 2] - 0.6)
        return torch.stack([-logit, logit], 1)


WHITE, ONE = torch.ones(1, 1, 4, 4), torch.tensor([1])


def spot(row: int, column: int) -> torch.Tensor:
    values = torch.arange(16.0).view(1, 4, 4) / 100
    values[0, row, column] = 1
    return values


def test_a_map_that_names_the_one_pixel_that_matters():
    curve = deletion(OnePixel().eval(), WHITE, ONE, spot(1, 2), steps=16, fill=0)
    assert curve.shares.tolist() == [step / 16 for step in range(17)]
    assert curve.probabilities[0].round().tolist() == [1] + [0] * 16
    assert curve.area.item() == pytest.approx(1 / 32, abs=1e-4)  # a triangle over the first sixteenth
    curve = insertion(OnePixel().eval(), WHITE, ONE, spot(1, 2), steps=16, fill=0)
    assert curve.probabilities[0].round().tolist() == [0] + [1] * 16
    assert curve.area.item() == pytest.approx(31 / 32, abs=1e-4)


def test_the_order_is_that_of_the_map():
    values = spot(0, 0)
    values[0, 1, 2] = -1  # last
    curve = deletion(OnePixel().eval(), WHITE, ONE, values, steps=4, fill=0.5)
    assert curve.probabilities[0].round().tolist() == [1, 1, 1, 1, 0]
    seen = []

    class Watch(OnePixel):
        def forward(self, images):
            seen.extend(images[:, 0])
            return super().forward(images)

    deletion(Watch().eval(), WHITE, ONE, values, steps=16, fill=0.25)
    order = [(earlier - later).flatten().nonzero().tolist() for earlier, later in pairwise(seen)]
    assert order == [[[index]] for index in values.flatten().argsort(descending=True).tolist()]
    assert torch.equal(seen[-1], torch.full((4, 4), 0.25))


def test_equal_pixels_come_in_random_order():
    flat = torch.zeros(1, 4, 4)
    steps = []
    for seed in range(200):
        curve = deletion(OnePixel().eval(), WHITE, ONE, flat, steps=16, fill=0, seed=seed)
        steps.append(int(curve.probabilities[0].round().sum()))
    mean, error = 8.5, (255 / 12 / 200) ** 0.5  # uniform on 1..16
    assert abs(sum(steps) / 200 - mean) < 4 * error


@pytest.mark.parametrize("curve", [deletion, insertion])
def test_batches_and_fills_make_no_difference(curve):
    model = models.load("mnist")
    images, classes = data.examples("mnist", 7)
    maps = saliency(model, images, classes)
    found = [curve(model, images, classes, maps, steps=5, fill=0.3, batch_size=size) for size in (1, 3, 100)]
    filled = curve(model, images, classes, maps, steps=5, fill=torch.full((1, 28, 28), 0.3))
    for other in [*found[1:], filled]:
        assert torch.allclose(found[0].probabilities, other.probabilities, atol=1e-5)
    assert found[0].area.shape == (7,)
    whole = model(images).softmax(1).gather(1, classes[:, None])[:, 0]
    assert torch.allclose(found[0].probabilities[:, 0 if curve is deletion else -1], whole, atol=1e-5)


def test_both_ends_belong_to_each_other():
    model = models.load("mnist")
    images, classes = data.examples("mnist", 5)
    maps = random_order(model, images, classes)
    away, back = deletion(model, images, classes, maps), insertion(model, images, classes, -maps)
    assert torch.allclose(away.probabilities, back.probabilities.flip(1), atol=1e-5)


def test_importance_of_signed_channels():
    images = torch.rand(1, 3, 1, 2)
    maps = torch.tensor([[1.0, -5.0], [-3.0, 2.0], [2.0, 0.0]]).view(1, 3, 1, 2)
    assert importance(maps, images).tolist() == [[[3, 5]]]
    assert importance(-maps[:, 0], images).tolist() == [[[-1, 5]]]
    with pytest.raises(ValueError, match=r"\(1, 1, 2\) or \(1, 3, 1, 2\).* got \(1, 2, 1, 2\)"):
        importance(maps[:, :2], images)
    maps[0, 1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="1 numbers that are not"):
        importance(maps, images)


def test_random_order_is_uniform_and_reproducible():
    images, classes = data.examples("mnist", 5)
    model = models.load("mnist")
    found = random_order(model, images, classes)
    assert found.shape == (5, 28, 28)
    assert torch.equal(found, random_order(model, images, classes))
    assert not torch.equal(found, random_order(model, images, classes, seed=1))
    assert correlate(found[:4], found[1:]).abs().max() < 5 / 28


def test_rank_correlation_is_spearmans():
    rng = torch.Generator().manual_seed(0)
    maps, others = torch.rand(4, 6, 7, generator=rng), torch.randint(0, 4, (4, 6, 7), generator=rng).float()
    others[3] = maps[3] ** 3
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(maps, others, strict=True)]
    assert correlate(maps, others).tolist() == pytest.approx(expected, abs=1e-6)
    assert correlate(maps, maps.exp()).tolist() == pytest.approx([1] * 4)
    assert correlate(maps, -maps).tolist() == pytest.approx([-1] * 4)
    assert correlate(maps, torch.ones(4, 6, 7)).tolist() == [0] * 4


def test_ever_more_layers_are_randomised():
    model = models.load("cifar10")
    trained = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    names = []
    for name, network in randomised(model):
        names.append(name)
        children = list(dict(model.named_children()))
        above = children[children.index(name) :]
        for key, tensor in network.state_dict().items():
            fresh = key.partition(".")[0] in above
            assert torch.equal(tensor, trained[key]) != fresh, key
        assert not any(module.training for module in network.modules())
    assert names == ["fc", "conv6", "conv5", "conv4", "conv3", "conv2", "conv1"]
    assert all(torch.equal(tensor, trained[key]) for key, tensor in model.state_dict().items())


def test_randomising_draws_nothing_from_the_global_generator():
    model, state = models.load("mnist"), torch.get_rng_state()
    first, again, other = ([network.fc2.weight for _, network in randomised(model, seed=n)] for n in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(first[0], first[-1])  # once random, a layer stays as it is


def test_a_cascade_on_the_mnist_network():
    model = models.load("mnist")
    images, classes = data.examples("mnist", 10)
    found = cascade(model, images, classes, saliency)
    assert found.layers == ("fc2", "fc1", "conv2", "conv1")
    assert found.maps.shape == (5, 10, 28, 28)
    assert found.correlations.shape == (5, 10)
    assert found.correlations[0].tolist() == pytest.approx([1] * 10)
    assert torch.equal(found.maps[0], saliency(model, images, classes).abs().amax(1))
    blind = cascade(model, images, classes, lambda model, images, classes: images)
    assert torch.allclose(blind.correlations, torch.ones(5, 10))  # a map that never looks at the network
    assert found.correlations[-1].mean() < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, r"steps must lie in 1\.\.784.* got 0"),
        ({"steps": 785}, "got 785"),
        ({"fill": 2.0}, "fill must .* got values from 2 to 2"),
        ({"batch_size": 0}, "batch_size must .* got 0"),
    ],
)
def test_bad_options(options, message):
    model = models.load("mnist")
    images, classes = data.examples("mnist", 1)
    for curve in (deletion, insertion):
        with pytest.raises(ValueError, match=message):
            curve(model, images, classes, images, **options)
        with pytest.raises(ValueError, match=r"0\.\.9, got 10"):
            curve(model, images, classes + 10 - classes, images)


def test_networks_without_layers():
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ValueError, match="found none with weights"):
        cascade(nn.Sequential(nn.Flatten()).eval(), images, classes, saliency)


def test_edges_lie_where_the_image_is_steep():
    images = torch.zeros(1, 3, 6, 6)
    images[:, :, :, 3:] = 0.8
    found = edges(models.load("mnist"), images, torch.tensor([0]))[0]
    assert found[2].tolist() == pytest.approx([0, 0, 0.4, 0.4, 0, 0])
    assert torch.equal(edges(models.load("mnist"), images.mT, torch.tensor([0]))[0], found.T)


def test_the_committed_table_can_be_measured_again():
    card = json.loads(RESULTS.read_text())
    images, classes = data.examples("mnist", AT_ONCE)
    found = measure("mnist", images, classes, steps=card["steps"])
    assert set(found) == set(card["areas"]["mnist"]) == set(card["areas"]["cifar10"])
    for title, both in found.items():
        for test, areas in both.items():
            written = torch.tensor(card["areas"]["mnist"][title][test])
            assert len(written) == card["images"]
            assert (areas - written[:AT_ONCE]).abs().max() < 0.02, f"{title}, {test}"
            assert (areas - written[:AT_ONCE]).abs().mean() < 0.002


def test_the_command_writes_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(attribution_quality, "FILLS", {"mnist": 0.0})
    attribution_quality.main(["--images", "2", "--steps", "2", "--output", str(tmp_path / "new" / "table.json")])
    card = json.loads((tmp_path / "new" / "table.json").read_text())
    assert card["command"].endswith("--images 2 --steps 2")
    assert [len(areas) for both in card["areas"]["mnist"].values() for areas in both.values()] == [2] * 20
