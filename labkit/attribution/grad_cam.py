"""Grad-CAM: which of a late layer's channels speak for a class, and where they are active."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import interpolate

from labkit.core import check_batch, laid_out, score_of
from labkit.layers import run


def grad_cam(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    layer: str | None = None,
    resize: bool = True,
) -> Float[Tensor, "n height width"]:
    """Grad-CAM: a layer's channels added up, each weighted by the mean gradient of the class logit with respect to it.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.
        layer: name of a layer whose output has the shape (N, channels, h, w); by default the last one with more than
            one position.
        resize: enlarge the maps to the images' size, bilinearly.

    Returns:
        (N, H, W), or (N, h, w) if not resized; from 0 up, since what speaks against the class is cut off. In logits
        per position.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; a layer that is unknown, is not run, or has no
            positions.

    Source:
        Selvaraju et al. 2016, arXiv:1610.02391.
    """
    check_batch(model, images, classes)
    with torch.enable_grad():
        outputs = run(model, laid_out(model, images.detach()).requires_grad_(), None if layer is None else [layer, ""])
        score = score_of(outputs[""], classes)
        watched = list(outputs.values()) if layer is None else [outputs[layer]]
        spatial = [output for output in watched if output.ndim == 4 and output.shape[2:].numel() > 1]
        if not spatial:
            raise ValueError(_complaint(layer, watched[-1]))
        (gradient,) = torch.autograd.grad(score.sum(), spatial[-1])
    weights = gradient.mean((2, 3), keepdim=True)
    maps = (weights * spatial[-1].detach()).sum(1, keepdim=True).relu()
    return (interpolate(maps, images.shape[2:], mode="bilinear") if resize else maps)[:, 0]


def _complaint(layer: str | None, output: Tensor) -> str:
    wanted = "Grad-CAM needs a layer whose output is (N, channels, h, w) with more than one position"
    if layer is None:
        return f"{wanted}; the network has none"
    return f"{wanted}; layer {layer!r} has the output {tuple(output.shape)}"
