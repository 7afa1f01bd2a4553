"""Segmentation without a segmentation network: a map says where the thing is, GrabCut finds its outline."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from labkit.attribution.saliency import saliency
from labkit.core import check_batch, check_counts, check_not_negative, check_positive, importance
from labkit.extras import needs


def segment(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    maps: Float[Tensor, "n ..."] | None = None,
    inside: float = 0.05,
    outside: float = 0.3,
    blur: float = 0.02,
    iterations: int = 5,
    seed: int = 0,
) -> Bool[Tensor, "n h w"]:
    """Segmentation: which pixels belong to the object, by GrabCut, which starts from the extremes of a map.

    The map is smoothed; its highest pixels are taken for certain foreground, its lowest for certain background.
    GrabCut learns their colours, and draws the outline where colours change.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], C is 1 or 3.
        classes: (N,) int64, the class to segment in each image.
        maps: (N, H, W) or (N, C, H, W), from any method, read as in `importance`; by
            default `saliency`.
        inside: share of the pixels, those with the highest values, that are certain foreground.
        outside: share of the pixels, those with the lowest values, that are certain background.
        blur: standard deviation of a Gaussian that smooths the map first, as a share of the images' height.
        iterations: rounds of learning the colours and cutting.
        seed: fixes OpenCV's generator, from which GrabCut draws, in this thread.

    Returns:
        (N, H, W) bool, on the images' device.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; maps that do not fit the images; shares not
            above 0 or together above 1; blur below 0; iterations < 1.
        ModuleNotFoundError: OpenCV is not installed.

    Source:
        Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034; Rother, Kolmogorov and Blake 2004, "GrabCut".
    """
    check_batch(model, images, classes)
    check_positive(inside=inside, outside=outside)
    if inside + outside > 1:
        raise ValueError(f"inside and outside must together be at most 1, got {inside} and {outside}")
    check_not_negative(blur=blur)
    check_counts(iterations=iterations)
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape[1]} in shape {tuple(images.shape)}")
    values = importance(saliency(model, images, classes) if maps is None else maps, images).float().cpu().numpy()
    pixels = (images.expand(-1, 3, -1, -1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    with needs("segment"):
        import cv2
    masks = []
    for picture, heat in zip(np.ascontiguousarray(pixels), values, strict=True):
        if blur:
            heat = cv2.GaussianBlur(heat, (0, 0), blur * len(heat))
        order = heat.argsort(axis=None, kind="stable")
        mask = np.full(heat.size, cv2.GC_PR_BGD, np.uint8)  # in between: probably background
        mask[order[: math.ceil(outside * heat.size)]] = cv2.GC_BGD
        mask[order[-math.ceil(inside * heat.size) :]] = cv2.GC_FGD
        mask = mask.reshape(heat.shape)
        cv2.setRNGSeed(seed)
        colours = np.zeros((2, 1, 65))  # of background and foreground: room for what GrabCut learns
        cv2.grabCut(
            np.ascontiguousarray(picture), mask, (0, 0, 1, 1), colours[0], colours[1], iterations, cv2.GC_INIT_WITH_MASK
        )
        masks.append(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    return torch.from_numpy(np.stack(masks)).to(images.device)
