"""Any image into any class: small steps towards the target until the network is as sure as one likes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.core import check_batch, log_odds


@dataclass(frozen=True)
class Targeted:
    """How far the images have come.

    Attributes:
        images: (N, C, H, W), in [0, 1].
        noise: (N, C, H, W), what was added to the given images.
        steps: (N,) int64, the steps that each image took.
        confidence: (N,), the network's confidence in the target class, in [0, 1].
    """

    images: Tensor
    noise: Tensor
    steps: Tensor
    confidence: Tensor


def iterative_targeted(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    *,
    confidence: float = 0.9,
    step_size: float = 0.05,
    steps: int = 500,
    progress: Callable = iter,
) -> Targeted:
    """Images that the network takes for the target class with the wanted confidence.

    Each step moves an image against the gradient of the cross-entropy to its target class, by a fixed Euclidean
    length, then back into [0, 1]. An image that has the confidence stays as it is and leaves the batch.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class that each image is to become.
        confidence: where to stop, between 0 and 1.
        step_size: how far a step moves an image, as the Euclidean length of the change, in pixel units.
        steps: where to give up.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Returns:
        The images, the noise, the number of steps and the confidence that was reached, for each image.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; confidence not between 0 and 1; step_size not
            above 0; steps < 1.

    Source:
        Kurakin, Goodfellow and Bengio 2016, arXiv:1607.02533; Szegedy et al. 2013, arXiv:1312.6199, for the idea.
    """
    options = {"confidence": confidence, "step_size": step_size, "steps": steps, "progress": progress}
    *_, last = iterative_targeted_steps(model, images, classes, **options)
    return last


def iterative_targeted_steps(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    *,
    confidence: float = 0.9,
    step_size: float = 0.05,
    steps: int = 500,
    progress: Callable = iter,
) -> Iterator[Targeted]:
    """The state of `iterative_targeted` before its first step and after each step; the last one is its result."""
    check_batch(model, images, classes)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    if not step_size > 0:
        raise ValueError(f"step_size must be above 0, got {step_size!r}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    original, images = images.detach(), images.detach()
    taken = torch.zeros_like(classes)
    left = torch.arange(len(images), device=images.device)  # the images that have yet to get there
    odds = torch.full_like(images[:, 0, 0, 0], -torch.inf)
    for step in progress(range(steps + 1)):
        found, gradient = _odds_and_gradient(model, images[left], classes[left])
        odds = odds.index_copy(0, left, found)
        yield Targeted(images, images - original, taken, odds.sigmoid())
        far = found.sigmoid() < confidence
        if step == steps or not far.any():
            return
        left, gradient = left[far], gradient[far]
        length = gradient.flatten(1).norm(dim=1)[:, None, None, None].clamp_min(1e-30)
        moved = (images[left] + step_size * gradient / length).clamp(0, 1)
        images, taken = images.index_copy(0, left, moved), taken.index_add(0, left, torch.ones_like(left))


def _odds_and_gradient(model: nn.Module, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Each image's log-odds (N,), and their gradient, which is parallel to that of the log-probability."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        odds = log_odds(model(images), classes)
        (gradient,) = torch.autograd.grad(odds.sum(), images)
    return odds.detach(), gradient
