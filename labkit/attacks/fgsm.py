"""The fast gradient sign method: one push of every pixel in the direction that hurts most."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks._gradient import log_odds_gradient
from labkit.core import check_batch, check_eps


def fgsm(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float,
    targeted: bool = False,
) -> Float[Tensor, "n c h w"]:
    """Fast gradient sign method (FGSM): each pixel moved by eps, up or down as the sign of the gradient says.

    The gradient is that of the log-odds, which is parallel to that of the cross-entropy (see `log_odds`).

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
    *_, gradient = log_odds_gradient(model, images, classes)
    return (images.detach() + (eps if targeted else -eps) * gradient.sign()).clamp(0, 1)
