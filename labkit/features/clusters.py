"""Clusters: which images look alike to a layer."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor, nn

from labkit.core import check_choice, check_counts
from labkit.data import ImageSet
from labkit.layers import layer_outputs

STARTS = 10  # k-means from as many random beginnings; the best is kept


@dataclass(frozen=True, eq=False)
class Clusters:
    """Images in groups, as a layer sees them.

    Attributes:
        labels: (N,) int64, the cluster of each image, 0..k-1.
        distances: (N,), from each image to the centre of its cluster, in units of activation.
        centres: (k, D), the mean features of each cluster.
        members: k tensors of indices, the nearest to the centre first.
        embedding: (N, 2), the images in the plane.
    """

    labels: Int64[Tensor, " n"]
    distances: Float[Tensor, " n"]
    centres: Float[Tensor, "k d"]
    members: list[Int64[Tensor, " members"]]
    embedding: Float[Tensor, "n 2"]


def clusters(
    model: nn.Module,
    images: Float[Tensor, "n c h w"] | ImageSet,
    layer: str,
    *,
    k: int,
    features: str = "mean",
    embedding: str = "pca",
    seed: int = 0,
    batch_size: int = 100,
) -> Clusters:
    """Images in k groups of similar activations in a layer, by k-means, and their place in a plane.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], or an ImageSet; N at least 2.
        layer: its name, such as "conv1"; inside a block with dots, such as "block2.0.conv_dw".
        k: number of clusters.
        features: what is compared of a layer with maps. "mean" takes each channel's mean over all positions, so that it
            does not matter where something is; "all" takes every neuron. Dense layers are taken as they are.
        embedding: "pca" for the plane in which the features vary most, where distances keep their meaning; "tsne" for
            neighbours that stay together, where distances mean little.
        seed: fixes the beginnings of k-means and of t-SNE.
        batch_size: images that are run at a time.

    Returns:
        A Clusters.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; unknown layer (the message lists the known ones),
            features or embedding; k not in 1..N; fewer than k different activations; batch_size < 1.

    Source:
        Lloyd 1982, doi:10.1109/TIT.1982.1056489; van der Maaten and Hinton 2008 (t-SNE). Both by scikit-learn.
    """
    check_choice(("mean", "all"), features=features)
    check_choice(("pca", "tsne"), embedding=embedding)
    outputs = layer_outputs(model, images, layer, batch_size)
    points = torch.cat([_flat(output, features) for output in outputs]).cpu().double().numpy()
    if len(points) < 2:
        raise ValueError(f"images must be at least 2 to be grouped, got {len(points)}")
    check_counts(most=len(points), k=k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty clusters, which are refused below, and of points that are all equal
        found = KMeans(k, n_init=STARTS, random_state=seed).fit(points)
        plane = _plane(points, embedding, seed)
    if (different := len(np.unique(found.labels_))) < k:
        raise ValueError(f"k must be at most {different}, the number of different activations, got {k}")
    distances = np.linalg.norm(points - found.cluster_centers_[found.labels_], axis=1)
    members = [np.flatnonzero(found.labels_ == cluster) for cluster in range(k)]
    members = [each[distances[each].argsort(kind="stable")] for each in members]
    return Clusters(
        torch.from_numpy(found.labels_).long(),
        torch.from_numpy(distances).float(),
        torch.from_numpy(found.cluster_centers_).float(),
        [torch.from_numpy(each) for each in members],
        torch.from_numpy(plane).float(),
    )


def _flat(output: Tensor, features: str) -> Tensor:
    return output.mean((2, 3)) if output.ndim == 4 and features == "mean" else output.flatten(1)


def _plane(points: np.ndarray, embedding: str, seed: int) -> np.ndarray:
    if embedding == "tsne":
        perplexity = min(30, (len(points) - 1) / 3)
        return TSNE(perplexity=perplexity, init="random", random_state=seed).fit_transform(points)
    width = min(2, *points.shape)  # a layer with a single channel gives a line
    plane = PCA(width, svd_solver="full").fit_transform(points)
    return np.pad(plane, ((0, 0), (0, 2 - width)))
