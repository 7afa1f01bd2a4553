"""The lab's attack: raise one logit, with a penalty on every departure from a given image."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.core import check_batch, class_score


@dataclass(frozen=True)
class LogitAttack:
    """How far the search came.

    Attributes:
        images: (N, C, H, W), in [0, 1].
        costs: (steps + 1, N), the cost before the first iteration and after each; no column ever falls.
    """

    images: Tensor
    costs: Tensor


def logit_attack(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    *,
    penalty_weight: float | Tensor = 100.0,
    start: str = "image",
    noise: float = 0.05,
    steps: int = 100,
    step_size: float = 0.01,
    seed: int = 0,
    progress: Callable = iter,
) -> LogitAttack:
    """Images that raise cost = logit[class] - penalty_weight * mean squared difference from the given image.

    Gradient ascent, kept in [0, 1], whose step adapts to each image: one that would not raise the cost is not taken,
    and the next is half as long; after one that was taken, the next is a quarter longer.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], what to stay like.
        classes: (N,) int64, the class whose logit is raised.
        penalty_weight: weight of the penalty, in logits for a mean squared difference of 1; one for all or (N,). With
            0 the given images do not matter, which the lab calls a non-targeted attack.
        start: "image" begins at the given images, "noise" at Gaussian noise around mid-grey.
        noise: standard deviation of that noise, in pixel units.
        steps: iterations; one forward and one backward pass each.
        step_size: how far the first step goes, in pixel units per unit of gradient.
        seed: fixes the noise.
        progress: wraps the loop over the iterations, e.g. ``tqdm``; silent by default.

    Returns:
        The images, and the cost of every image before and after each iteration.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; penalty_weight or noise below 0; an unknown
            start; steps < 1; step_size not above 0.

    Source:
        Course EE6132, 2019, assignment 2. Without the second term: Simonyan, Vedaldi and Zisserman 2013,
        arXiv:1312.6034.
    """
    check_batch(model, images, classes)
    weight = torch.as_tensor(penalty_weight, dtype=images.dtype, device=images.device)
    _check_options(weight, len(images), start, noise, steps, step_size)
    given = current = images.detach()
    if start == "noise":
        rng = torch.Generator(images.device).manual_seed(seed)
        jitter = torch.randn(images.shape, generator=rng, device=images.device, dtype=images.dtype)
        current = (0.5 + noise * jitter).clamp(0, 1)
    cost, gradient = _cost_and_gradient(model, current, given, classes, weight)
    costs, length = [cost], torch.full_like(given[:, :1, :1, :1], step_size)
    for _ in progress(range(steps)):
        tried = (current + length * gradient).clamp(0, 1)
        tried_cost, tried_gradient = _cost_and_gradient(model, tried, given, classes, weight)
        better = tried_cost > cost
        wide = better[:, None, None, None]
        current, gradient = torch.where(wide, tried, current), torch.where(wide, tried_gradient, gradient)
        cost, length = torch.where(better, tried_cost, cost), torch.where(wide, 1.25 * length, 0.5 * length)
        costs.append(cost)
    return LogitAttack(current, torch.stack(costs))


def _cost_and_gradient(model, current: Tensor, given: Tensor, classes: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The cost of each image (N,), and its gradient (N, C, H, W)."""
    with torch.enable_grad():
        current = current.detach().requires_grad_()
        likeness = (current - given).square().flatten(1).mean(1)
        cost = class_score(model, current, classes) - weight * likeness
        (gradient,) = torch.autograd.grad(cost.sum(), current)
    return cost.detach(), gradient


def _check_options(weight: Tensor, count: int, start: str, noise: float, steps: int, step_size: float) -> None:
    if weight.shape not in ((), (count,)) or not weight.isfinite().all() or weight.amin() < 0:
        raise ValueError(f"penalty_weight must be a number from 0 up, or {count} of them, got {weight.tolist()}")
    if start not in ("image", "noise"):
        raise ValueError(f"start must be 'image' or 'noise', got {start!r}")
    if not noise >= 0:
        raise ValueError(f"noise must be from 0 up, got {noise!r}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if not step_size > 0:
        raise ValueError(f"step_size must be above 0, got {step_size!r}")
