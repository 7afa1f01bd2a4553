"""The lab's attack: raise one logit, with a penalty on every departure from a given image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import (
    Progress,
    check_batch,
    check_choice,
    check_counts,
    check_not_negative,
    check_positive,
    class_score,
    value_and_grad,
)


@dataclass(frozen=True)
class LogitAttack:
    """How far the search came.

    Attributes:
        images: (N, C, H, W), in [0, 1].
        costs: (steps + 1, N), the cost before the first iteration and after each; no column ever falls.
    """

    images: Float[Tensor, "n c h w"]
    costs: Float[Tensor, "steps n"]


def logit_attack(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    penalty_weight: float | Float[Tensor, " n"] = 100.0,
    start: str = "image",
    noise: float = 0.05,
    steps: int = 100,
    step_size: float = 0.01,
    seed: int = 0,
    progress: Progress = iter,
) -> LogitAttack:
    """Penalised logit attack: raise cost = logit[class] - penalty_weight * mean squared difference from the image.

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
    check_choice(("image", "noise"), start=start)
    check_counts(steps=steps)
    check_not_negative(noise=noise)
    check_positive(step_size=step_size)
    weight = torch.as_tensor(penalty_weight, dtype=images.dtype, device=images.device)
    if weight.shape not in ((), (len(images),)) or not weight.isfinite().all() or weight.amin() < 0:
        accepted = f"a number from 0 up, or {len(images)} of them"
        raise ValueError(f"penalty_weight must be {accepted}, got {weight.tolist()}")
    given = current = images.detach()
    if start == "noise":
        rng = torch.Generator(images.device).manual_seed(seed)
        jitter = torch.randn(images.shape, generator=rng, device=images.device, dtype=images.dtype)
        current = (0.5 + noise * jitter).clamp(0, 1)

    def objective(pixels: Tensor) -> Tensor:
        return class_score(model, pixels, classes) - weight * (pixels - given).square().flatten(1).mean(1)

    value, gradient = value_and_grad(objective, current)
    values, length = [value], torch.full_like(given[:, :1, :1, :1], step_size)
    for _ in progress(range(steps)):
        tried = (current + length * gradient).clamp(0, 1)
        tried_value, tried_gradient = value_and_grad(objective, tried)
        better = tried_value > value
        wide = better[:, None, None, None]
        current, gradient = torch.where(wide, tried, current), torch.where(wide, tried_gradient, gradient)
        value, length = torch.where(better, tried_value, value), torch.where(wide, 1.25 * length, 0.5 * length)
        values.append(value)
    return LogitAttack(current, torch.stack(values))
