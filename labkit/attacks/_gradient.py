"""The gradient that the attacks follow."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import log_odds, value_and_grad

CHUNK = 100  # images at a time on a CPU: what a few layers write for them stays in its caches


def log_odds_gradient(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"], Float[Tensor, "n c h w"]]:
    """Each image's log-odds, its logits, and the gradient of its log-odds with respect to its pixels."""
    on_cpu = images.device.type == "cpu"
    if on_cpu and len(images) > CHUNK:
        chunks = zip(images.split(CHUNK), classes.split(CHUNK), strict=True)
        odds, logits, gradients = zip(*(log_odds_gradient(model, *chunk) for chunk in chunks), strict=True)
        return torch.cat(odds), torch.cat(logits), torch.cat(gradients)
    start = images.contiguous(memory_format=torch.channels_last) if on_cpu else images
    (odds, logits), gradient = value_and_grad(lambda pixels: _loss(model, pixels, classes), start, has_aux=True)
    return odds, logits.detach(), gradient


def _loss(model: nn.Module, pixels: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    logits = model(pixels)
    return log_odds(logits, classes), logits
