"""Iterative targeted attack: small steps towards a class until the network is as sure of it as one likes."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks._gradient import log_odds_gradient
from labkit.attacks._norms import length_or_one
from labkit.core import Progress, check_batch, check_counts, check_positive, check_within, last_of


@dataclass(frozen=True)
class Targeted:
    """How far the images have come.

    Attributes:
        images: (N, C, H, W), in [0, 1].
        perturbations: (N, C, H, W), what was added to the given images.
        steps: (N,) int64, the steps that each image took.
        confidence: (N,), the network's confidence in the target class, in [0, 1].
    """

    images: Float[Tensor, "n c h w"]
    perturbations: Float[Tensor, "n c h w"]
    steps: Int64[Tensor, " n"]
    confidence: Float[Tensor, " n"]


def iterative_targeted_steps(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    confidence: float = 0.9,
    step_size: float = 0.05,
    steps: int = 500,
    progress: Progress = iter,
) -> Iterator[Targeted]:
    """Iterative targeted attack: images that the network takes for the target class with the wanted confidence.

    Each step moves an image up the gradient of the target's log-odds (parallel to that of its log-probability, see
    `log_odds`), by a fixed Euclidean length, then back into [0, 1]. An image that has the confidence stays as it is
    and leaves the batch.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class that each image is to become.
        confidence: where to stop, between 0 and 1.
        step_size: the Euclidean length of a step, in pixel units.
        steps: where to give up.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Yields:
        The images, the perturbations, the number of steps and the confidence that was reached, for each image; first
        before any step, then after each.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; confidence not between 0 and 1; step_size not
            above 0; steps < 1.

    Source:
        Kurakin, Goodfellow and Bengio 2016, arXiv:1607.02533; Szegedy et al. 2013, arXiv:1312.6199, for the idea.
    """
    check_batch(model, images, classes)
    check_within(0, 1, ends="()", confidence=confidence)
    check_positive(step_size=step_size)
    check_counts(steps=steps)
    original = images.detach()

    def states() -> Iterator[Targeted]:
        current, taken = original, torch.zeros_like(classes)
        odds = torch.full_like(current[:, 0, 0, 0], -torch.inf)
        left = torch.arange(len(current), device=current.device)  # the images that have yet to get there
        for step in progress(range(steps + 1)):
            found, _, gradient = log_odds_gradient(model, current[left], classes[left])
            odds = odds.index_copy(0, left, found)
            yield Targeted(current, current - original, taken, odds.sigmoid())
            far = found.sigmoid() < confidence
            if step == steps or not far.any():
                return
            left, direction = left[far], gradient[far] / length_or_one(gradient[far])
            moved = (current[left] + step_size * direction).clamp(0, 1)
            current, taken = current.index_copy(0, left, moved), taken.index_add(0, left, torch.ones_like(left))

    return states()


iterative_targeted = last_of(iterative_targeted_steps)
