"""The largest distance for which an image's class is proved, found by bisection."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from labkit.certification.interval_bounds import interval_bounds
from labkit.core import Progress, check_batch, check_counts, check_positive


def certified_eps(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float = 0.5,
    bounds: Callable[..., Float64[Tensor, "n k"]] = interval_bounds,
    steps: int = 12,
    progress: Progress = iter,
) -> Float64[Tensor, " n"]:
    """Certified radius (Linf): the largest eps tried for which no change of the pixels by up to eps alters the answer.

    It stands beside `labkit.attacks.minimum_norm`, which finds a change that does: proved <= true <= attacked.

    Args:
        model: an `nn.Sequential`: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the true class of each image.
        eps: where to stop looking; more than 0.5 rarely makes sense, since then every image can become plain grey.
        bounds: the certificate, `interval_bounds` or `crown`, or one of them with options of its own.
        steps: halvings; the result is at most eps / 2 ** steps too small for these bounds.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Returns:
        (N,) float64, in pixel units; 0 where nothing is proved, or where the network is wrong to begin with.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps not above 0; steps < 1; a network that the
            bounds refuse.

    Source:
        Gowal et al. 2018, arXiv:1810.12715.
    """
    check_batch(model, images, classes)
    check_positive(eps=eps)
    check_counts(steps=steps)

    def proved(distances: Tensor) -> Tensor:
        """Images of the same distance are asked about together."""
        held = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        for distance in distances.unique().tolist():
            same = distances == distance
            held[same] = (bounds(model, images[same], classes[same], eps=distance) > 0).all(1)
        return held

    low = torch.zeros(len(images), dtype=torch.float64, device=images.device)
    high = torch.full_like(low, eps)
    whole = proved(high)
    low[whole] = eps
    for _ in progress(range(steps)):
        middle = (low + high) / 2
        held = proved(middle)
        low, high = torch.where(held, middle, low), torch.where(held, high, middle)
    return low
