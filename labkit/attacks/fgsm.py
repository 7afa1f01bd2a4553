"""The fast gradient sign method: one push of every pixel in the direction that hurts most."""

import torch
from torch import Tensor, nn

from labkit.core import check_batch, check_eps, log_odds

CHUNK = 100  # images at a time on a CPU: what a few layers write for them stays in its caches


def fgsm(model: nn.Module, images: Tensor, classes: Tensor, *, eps: float, targeted: bool = False) -> Tensor:
    """Each pixel moved by eps, up or down as the sign of the gradient says.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to leave or, if targeted, the class to reach.
        eps: how far each pixel moves, in pixel units.
        targeted: go towards the class instead of away from it.

    Returns:
        (N, C, H, W), in [0, 1].

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0.

    Source:
        Goodfellow, Shlens and Szegedy 2014, arXiv:1412.6572.
    """
    check_batch(model, images, classes)
    check_eps(eps)
    size = CHUNK if images.device.type == "cpu" else len(images)
    parts = zip(images.split(size), classes.split(size), strict=True)
    gradient = torch.cat([_gradient(model, *part) for part in parts])
    return (images.detach() + (eps if targeted else -eps) * gradient.sign()).clamp(0, 1)


def _gradient(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """The gradient of each image's log-odds with respect to its pixels."""
    with torch.enable_grad():
        images = images.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
        (gradient,) = torch.autograd.grad(log_odds(model(images), classes).sum(), images)
    return gradient
