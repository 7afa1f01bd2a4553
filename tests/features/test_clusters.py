import warnings

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.features.activations import activations
from labkit.features.clusters import clusters

COLOURS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])


def blobs() -> tuple[torch.Tensor, torch.Tensor]:
    """30 images in three colours, nearly uniform, and which colour each has."""
    truth = torch.arange(30) % 3
    noise = torch.rand(30, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return (0.8 * COLOURS[truth][:, :, None, None] + 0.2 * noise), truth


@pytest.fixture
def identity():
    return nn.Sequential(nn.Identity(), nn.Flatten()).eval()


@pytest.mark.parametrize("features", ["mean", "all"])
@pytest.mark.parametrize("embedding", ["pca", "tsne"])
def test_groups_that_are_there_are_found(identity, features, embedding):
    images, truth = blobs()
    found = clusters(identity, images, "0", k=3, features=features, embedding=embedding)
    assert sorted(tuple(sorted(each.tolist())) for each in found.members) == [
        tuple((truth == colour).nonzero()[:, 0].tolist()) for colour in range(3)
    ]
    assert found.embedding.shape == (30, 2)
    middles = torch.stack([found.embedding[truth == colour].mean(0) for colour in range(3)])
    nearest = torch.cdist(found.embedding, middles).argmin(1)
    assert torch.equal(nearest, truth)


def test_centres_are_means_and_members_are_sorted_by_distance(identity):
    images, _ = blobs()
    found = clusters(identity, images, "0", k=3)
    features = images.mean((2, 3))
    for cluster, members in enumerate(found.members):
        assert torch.equal(found.labels[members], torch.full((10,), cluster))
        assert torch.allclose(found.centres[cluster], features[members].mean(0), atol=1e-6)
        distances = (features[members] - found.centres[cluster]).norm(dim=1)
        assert torch.allclose(found.distances[members], distances, atol=1e-6)
        assert (distances.diff() >= -1e-6).all()


def test_means_forget_where_and_all_neurons_do_not(identity):
    left, right = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    left[:, :, :2], right[:, :, 2:] = 1, 1
    images = torch.stack([left, right, left, right])
    assert clusters(identity, images, "0", k=2, features="all").labels.unique().tolist() == [0, 1]
    with pytest.raises(ValueError, match="at most 1, the number of different activations, got 2"):
        clusters(identity, images, "0", k=2)


def test_the_plane_keeps_what_pca_keeps():
    network, images = models.load("mnist"), data.examples("mnist", 40)[0]
    found = clusters(network, images, "fc1", k=4)
    features = activations(network, images, "fc1")
    features = features - features.mean(0)
    left, scales, _ = torch.linalg.svd(features, full_matrices=False)
    expected = left[:, :2] * scales[:2]
    assert torch.allclose(found.embedding.abs(), expected.abs(), atol=1e-3)


def test_the_seed_decides_and_nothing_warns():
    network, images = models.load("mnist"), data.examples("mnist", 40)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, again, other = (clusters(network, images, "relu2", k=5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.labels, again.labels)
    assert torch.equal(first.embedding, again.embedding)
    assert other.labels.shape == (40,)
    assert sum(map(len, first.members)) == 40


def test_a_layer_with_one_channel_is_a_line(identity):
    images = torch.linspace(0, 1, 6)[:, None, None, None].expand(6, 1, 2, 2)
    found = clusters(identity, images, "0", k=2)
    assert found.embedding[:, 1].tolist() == [0] * 6
    assert [sorted(each.tolist()) for each in sorted(found.members, key=min)] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 31}, "k must be a whole number from 1 to 30, got 31"),
        ({"k": 0}, "got 0"),
        ({"features": "max"}, r"features must be one of \['mean', 'all'\], got 'max'"),
        ({"embedding": "umap"}, r"embedding must be one of \['pca', 'tsne'\], got 'umap'"),
        ({"layer": "relu1"}, "unknown layer 'relu1'; the network has 0, 1"),
        ({"images": blobs()[0][:1], "k": 1}, "at least 2 to be grouped, got 1"),
        ({"images": torch.zeros(5, 1, 2, 2), "k": 2}, "at most 1, the number of different activations, got 2"),
    ],
)
def test_bad_arguments_are_refused(identity, options, message):
    arguments = {"images": blobs()[0], "layer": "0", "k": 3} | options
    with pytest.raises(ValueError, match=message):
        clusters(identity, **arguments)
