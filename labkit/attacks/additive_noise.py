"""One noise for each target class, added to any image: does it fool the network there, too?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labkit.core import check_batch, check_eps, odds_against


@dataclass(frozen=True)
class AdditiveNoise:
    """One noise for each class that was asked for.

    Attributes:
        images: (N, C, H, W), in [0, 1]: the images it was learned on, each with the noise of its target class.
        noise: (T, C, H, W), in pixel units; add it and clip to [0, 1].
        classes: (T,) int64, the target class of each noise, ascending.
    """

    images: Tensor
    noise: Tensor
    classes: Tensor


def additive_noise(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    *,
    eps: float | None = None,
    confidence: float = 1.0,
    steps: int = 100,
    step_size: float = 0.1,
    batch_size: int = 100,
    progress: Callable = iter,
) -> AdditiveNoise:
    """For each target class one noise that turns all images which are to become that class into it.

    Every noise starts at 0. Each step moves it against the gradient of the cross-entropy to its class, averaged over
    its images, by a fixed Euclidean length. Learned on one image (the lab's experiment), it need only suit that
    image; to ask how one image's noises do for all K classes, pass the image K times.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class that each image is to become; images with the same class share one noise.
        eps: the most that a noise may change a pixel, in pixel units; by default only [0, 1] limits what it does.
        confidence: a noise is finished when its images have this confidence in its class on average; 1 goes on to
            the last step.
        steps: the most steps that a noise may take.
        step_size: how far a step moves a noise, as the Euclidean length of the change, in pixel units.
        batch_size: images to work on at a time.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Returns:
        The images with their noise, the noises, and the class of each noise.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; confidence not in (0, 1]; steps or
            batch_size < 1; step_size not above 0.

    Source:
        Course EE6132, 2019, assignment 2. On many images: Moosavi-Dezfooli et al. 2016, arXiv:1610.08401.
    """
    check_batch(model, images, classes)
    _check_options(eps, confidence, steps, step_size, batch_size)
    images = images.detach()
    targets, group = classes.unique(return_inverse=True)  # (T,), (N,): which noise each image gets
    counts = group.bincount()
    noise = images.new_zeros(len(targets), *images.shape[1:])
    left = torch.ones_like(targets, dtype=torch.bool)  # the noises that are not finished
    for _ in progress(range(steps)):
        gradient, certainty = torch.zeros_like(noise), torch.zeros_like(counts, dtype=images.dtype)
        for part in left[group].nonzero()[:, 0].split(batch_size):
            mine = group[part]
            found, shares = _gradient(model, images[part], noise, mine, classes[part])
            gradient += found / counts[:, None, None, None]
            certainty.index_add_(0, mine, shares / counts[mine])
        left = left & ((certainty < confidence) | (confidence == 1))
        if not left.any():
            break
        length = gradient.flatten(1).norm(dim=1)[:, None, None, None].clamp_min(1e-30)
        moved = noise - step_size * gradient / length
        moved = moved if eps is None else moved.clamp(-eps, eps)
        noise = torch.where(left[:, None, None, None], moved, noise)
    return AdditiveNoise((images + noise[group]).clamp(0, 1), noise, targets)


def _gradient(model, images: Tensor, noise: Tensor, group: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of the summed cross-entropy for every noise (T, C, H, W), each image's confidence (N,)."""
    with torch.enable_grad():
        noise = noise.detach().requires_grad_()
        logits = model((images + noise[group]).clamp(0, 1))
        certainty = (-odds_against(logits, classes)).sigmoid()
        (gradient,) = torch.autograd.grad(cross_entropy(logits, classes, reduction="sum"), noise)
    return gradient, certainty.detach()


def _check_options(eps: float | None, confidence: float, steps: int, step_size: float, batch_size: int) -> None:
    if eps is not None:
        check_eps(eps)
    if not 0 < confidence <= 1:
        raise ValueError(f"confidence must be above 0 and at most 1, got {confidence!r}")
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not step_size > 0:
        raise ValueError(f"step_size must be above 0, got {step_size!r}")
