"""Guided backpropagation: the gradient, except that no ReLU passes a negative one back."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_batch, input_gradient


def guided_backprop(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Guided backpropagation: gradient of the class logit, with negative values set to 0 at every ReLU on the way back.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode. Its ReLUs must be modules, nn.ReLU or nn.ReLU6,
            at whatever depth; one that is called as a function is passed as in the plain gradient.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.

    Returns:
        (N, C, H, W), signed: below the first ReLU nothing is cut off. Without any ReLU it is the gradient.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode.

    Source:
        Springenberg et al. 2014, arXiv:1412.6806.
    """
    check_batch(model, images, classes)
    rectifiers = [module for module in model.modules() if isinstance(module, (nn.ReLU, nn.ReLU6))]
    hooks = [module.register_forward_hook(_cut_on_the_way_back) for module in rectifiers]
    try:
        return input_gradient(model, images, classes)
    finally:
        for hook in hooks:
            hook.remove()


def _cut_on_the_way_back(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
    if output.requires_grad:
        output.register_hook(lambda gradient: gradient.clamp(min=0))
