"""SmoothGrad: average the gradient over noisy copies of an image."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attribution._versions import gradients
from labkit.core import Progress, check_batch, check_counts, check_not_negative


def smoothgrad(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    noise: float = 0.15,
    samples: int = 25,
    squared: bool = False,
    seed: int = 0,
    batch_size: int = 25,
    progress: Progress = iter,
) -> Float[Tensor, "n c h w"]:
    """Mean gradient of each image's class logit over noisy copies of it.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.
        noise: standard deviation, as a fraction of each image's max - min.
        samples: noisy copies to average; one backward pass each.
        squared: average the squares of the gradients, which keeps what changes sign from copy to copy.
        seed: fixes the noise; it does not depend on batch_size.
        batch_size: noisy copies, of whatever image, that are in memory at once.
        progress: wraps the loop over the samples, e.g. ``tqdm``; silent by default.

    Returns:
        (N, C, H, W), signed, in logits per unit of pixel value; if squared, the square of that.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; noise below 0; samples or batch_size < 1.

    Source:
        Smilkov et al. 2017, arXiv:1706.03825; squared: Hooker et al. 2019, arXiv:1806.10758.
    """
    check_batch(model, images, classes)
    check_counts(samples=samples, batch_size=batch_size)
    check_not_negative(noise=noise)
    rng = torch.Generator(images.device).manual_seed(seed)
    spread = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    noisy = (
        images + spread * torch.randn(images.shape, generator=rng, device=images.device, dtype=images.dtype)
        for _ in progress(range(samples))
    )
    total = torch.zeros_like(images)
    for gradient in gradients(model, noisy, classes, batch_size):
        total += gradient.square() if squared else gradient
    return total / samples
