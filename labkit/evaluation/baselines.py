"""Maps that never look at the network: what every attribution method must beat."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import pad

from labkit.core import check_batch


def random_order(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"], *, seed: int = 0
) -> Float[Tensor, "n h w"]:
    """Random baseline: a map of random numbers, (N, H, W), which knows nothing. Every method must beat it."""
    check_batch(model, images, classes)
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(len(images), *images.shape[2:], generator=rng).to(images.device)


def edges(model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Edge detector as a baseline: the size of the image's own gradient, (N, H, W). It never looks at the network."""
    check_batch(model, images, classes)
    grey = pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")[:, 0]
    across, down = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2], grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    return (across.square() + down.square()).sqrt() / 2
