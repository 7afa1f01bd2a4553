"""The passes through a network that the attacks share."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import CHUNK, check_logits, laid_out, log_odds, value_and_grad


def log_odds_gradient(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"], Float[Tensor, "n c h w"]]:
    """Each image's log-odds, its logits, and the gradient of its log-odds with respect to its pixels."""
    return loss_gradient(model, log_odds, images, classes)


def loss_gradient(
    model: nn.Module, loss: Callable[..., Tensor], images: Float[Tensor, "n c h w"], *labels: Int64[Tensor, " n"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"], Float[Tensor, "n c h w"]]:
    """Each image's loss, its logits, and the gradient of its loss with respect to its pixels.

    The loss takes logits (N, K) and the labels, and returns (N,).
    """
    if images.device.type == "cpu" and len(images) > CHUNK:
        chunks = zip(*(each.split(CHUNK) for each in (images, *labels)), strict=True)
        values, logits, gradients = zip(*(loss_gradient(model, loss, *chunk) for chunk in chunks), strict=True)
        return torch.cat(values), torch.cat(logits), torch.cat(gradients)

    def of_pixels(pixels: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(pixels)
        return loss(logits, *labels), logits

    (values, logits), gradient = value_and_grad(of_pixels, laid_out(model, images), has_aux=True)
    return values, logits.detach(), gradient


@torch.no_grad()
def logits_of(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"] | None = None
) -> Float[Tensor, "n k"]:
    """The logits, without a gradient; classes that are not among the K are refused."""
    at_once = CHUNK if images.device.type == "cpu" else len(images)
    logits = torch.cat([model(laid_out(model, part)) for part in images.split(at_once)])
    if classes is not None:
        check_logits(logits, classes)
    return logits


def lead(logits: Float[Tensor, "n k"], classes: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """How far the logit of each row's class is above the largest other one."""
    own = classes[:, None]
    return logits.gather(1, own)[:, 0] - logits.scatter(1, own, -torch.inf).amax(1)
