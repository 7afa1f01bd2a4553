"""Integrated gradients: add up the gradient on the way from an empty image, and the shares of the pixels add up too."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attribution._versions import broadcast, gradients
from labkit.core import Progress, check_batch, check_counts


@torch.no_grad()
def integrated_gradients(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    baseline: float | Float[Tensor, "..."] = 0.0,
    steps: int = 50,
    batch_size: int = 25,
    progress: Progress = iter,
) -> Float[Tensor, "n c h w"]:
    """Integrated gradients: what each pixel contributes to the difference of the class logit from that of a baseline.

    The gradient is averaged along the straight line from the baseline to the image, and multiplied by the change
    of the pixel. The steps are the points of Gauss-Legendre quadrature, which needs few gradients for smooth curves.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.
        baseline: the image without anything in it, pixels in [0, 1]: one number for all pixels (0 is black), or a
            tensor that broadcasts to the images.
        steps: points on the line; one backward pass each.
        batch_size: points, of whatever image, that are in memory at once.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Returns:
        (N, C, H, W), signed, in logits. With enough steps an image's map sums to its logit minus that of the baseline.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; a baseline that does not fit; steps or
            batch_size < 1.

    Source:
        Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
    """
    check_batch(model, images, classes)
    check_counts(steps=steps, batch_size=batch_size)
    start = broadcast(baseline, images, "baseline")
    way = images - start
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on the line from -1 to 1, of length 2
    between = (start + (1 + node) / 2 * way for node in progress(nodes.tolist()))
    total = torch.zeros_like(images)
    for weight, gradient in zip(weights.tolist(), gradients(model, between, classes, batch_size), strict=True):
        total += weight / 2 * gradient
    return total * way
