import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from labkit import data, models
from labkit.attribution.saliency import saliency
from labkit.evaluation.randomisation import cascade, randomised, rank_correlation


def test_rank_correlation_is_spearmans():
    rng = torch.Generator().manual_seed(0)
    maps, others = torch.rand(4, 6, 7, generator=rng), torch.randint(0, 4, (4, 6, 7), generator=rng).float()
    others[3] = maps[3] ** 3
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(maps, others, strict=True)]
    assert rank_correlation(maps, others).tolist() == pytest.approx(expected, abs=1e-6)
    assert rank_correlation(maps, maps.exp()).tolist() == pytest.approx([1] * 4)
    assert rank_correlation(maps, -maps).tolist() == pytest.approx([-1] * 4)
    assert rank_correlation(maps, torch.ones(4, 6, 7)).tolist() == [0] * 4
    two = torch.tensor([[[0.0, 1.0]]])
    assert rank_correlation(two, two).tolist() == pytest.approx([1])


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


class Attention(nn.Module):
    """A batch norm first, and weights that no layer has a way to make again."""

    def __init__(self):
        super().__init__()
        self.norm, self.attention, self.fc = nn.BatchNorm2d(1), nn.MultiheadAttention(4, 2), nn.Linear(4, 3)
        self.block = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
        self.token = nn.Parameter(torch.rand(1, 4))
        for weights in self.parameters():
            nn.init.uniform_(weights)


def test_in_the_end_all_weights_are_random():
    model = Attention().eval()
    names, networks = zip(*randomised(model), strict=True)
    assert names == ("block", "fc", "attention", "norm")
    for name, weights in networks[-1].named_parameters():
        assert not torch.equal(weights, model.get_parameter(name)), name
    assert torch.equal(networks[-2].token, model.token)
    assert torch.equal(networks[-1].token.sort().values, model.token.sort().values)  # shuffled


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


def test_networks_without_layers():
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ValueError, match="found none with weights"):
        cascade(nn.Sequential(nn.Flatten()).eval(), images, classes, saliency)
