"""Saliency: which pixels would change the class score most, if they changed a little."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_batch, input_gradient


def saliency(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Gradient of each image's class logit with respect to its pixels.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.

    Returns:
        (N, C, H, W), signed, in logits per unit of pixel value.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode.

    Source:
        Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034.
    """
    check_batch(model, images, classes)
    return input_gradient(model, images, classes)
