"""Targeted universal perturbations: one change for each target class, to be added to any image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labkit.attacks._norms import length_or_one
from labkit.core import (
    Progress,
    check_batch,
    check_counts,
    check_eps,
    check_positive,
    check_within,
    log_odds,
    value_and_grad,
)


@dataclass(frozen=True)
class UniversalPerturbations:
    """One perturbation for each target class.

    Attributes:
        images: (N, C, H, W), in [0, 1]: the images it was learned on, each with the perturbation of its target class.
        perturbations: (T, C, H, W), in pixel units; add one and clip to [0, 1].
        classes: (T,) int64, the target class of each perturbation, ascending.
    """

    images: Float[Tensor, "n c h w"]
    perturbations: Float[Tensor, "t c h w"]
    classes: Int64[Tensor, " t"]


def universal_perturbation(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float | None = None,
    confidence: float = 1.0,
    steps: int = 100,
    step_size: float = 0.1,
    batch_size: int = 100,
    progress: Progress = iter,
) -> UniversalPerturbations:
    """For each target class one perturbation that turns all images which are to become that class into it.

    Every perturbation starts at 0. Each step moves it down the gradient of the cross-entropy to its class, averaged
    over its images, by a fixed Euclidean length. Learned on one image (the lab's experiment), it need only suit that
    image; to ask how one image's perturbations do for all K classes, pass the image K times.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the target class of each image; images with the same target share one perturbation.
        eps: the most that a perturbation may change a pixel, in pixel units; by default only [0, 1] limits it.
        confidence: a perturbation is finished when its images have this confidence in its class on average; 1 goes on
            to the last step.
        steps: the most steps that a perturbation may take.
        step_size: the Euclidean length of a step, in pixel units.
        batch_size: images to work on at a time.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Returns:
        The perturbed images, the perturbations, and the target class of each.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; confidence not in (0, 1]; steps or
            batch_size < 1; step_size not above 0.

    Source:
        Moosavi-Dezfooli et al. 2016, arXiv:1610.08401, towards a target class. On one image: course EE6132, 2019,
        assignment 2.
    """
    check_batch(model, images, classes)
    if eps is not None:
        check_eps(eps)
    check_within(0, 1, ends="(]", confidence=confidence)
    check_counts(steps=steps, batch_size=batch_size)
    check_positive(step_size=step_size)
    images = images.detach()
    targets, group = classes.unique(return_inverse=True)  # (T,), (N,): which perturbation each image gets
    counts = group.bincount()
    found = images.new_zeros(len(targets), *images.shape[1:])
    left = torch.ones_like(targets, dtype=torch.bool)  # the perturbations that are not finished
    for _ in progress(range(steps)):
        gradient, reached = torch.zeros_like(found), torch.zeros_like(counts, dtype=images.dtype)
        for part in left[group].nonzero()[:, 0].split(batch_size):
            mine = group[part]
            summed, confidences = _gradient(model, images[part], found, mine, classes[part])
            gradient += summed / counts[:, None, None, None]
            reached.index_add_(0, mine, confidences / counts[mine])
        left = left & ((reached < confidence) | (confidence == 1))
        if not left.any():
            break
        moved = found - step_size * gradient / length_or_one(gradient)
        moved = moved if eps is None else moved.clamp(-eps, eps)
        found = torch.where(left[:, None, None, None], moved, found)
    return UniversalPerturbations((images + found[group]).clamp(0, 1), found, targets)


def _gradient(
    model: nn.Module, images: Tensor, perturbations: Tensor, group: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradient of the summed cross-entropy for every perturbation (T, C, H, W), each image's confidence (N,)."""

    def loss(found: Tensor) -> tuple[Tensor, Tensor]:
        logits = model((images + found[group]).clamp(0, 1))
        confidences = log_odds(logits, classes).sigmoid().detach()
        return cross_entropy(logits, classes, reduction="sum"), confidences

    (_, confidences), gradient = value_and_grad(loss, perturbations, has_aux=True)
    return gradient, confidences
