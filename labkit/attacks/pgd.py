"""Projected gradient descent: many small pushes, never farther from the image than eps."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from labkit.core import check_batch, check_eps, odds_against


def pgd(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    *,
    eps: float,
    steps: int = 40,
    step_size: float | None = None,
    norm: str = "linf",
    restarts: int = 1,
    random_start: bool = True,
    targeted: bool = False,
    until_fooled: bool = False,
    seed: int = 0,
    progress: Callable = iter,
) -> Tensor:
    """Images within eps of the given ones whose class the network is least likely to name.

    Each step follows the gradient of the odds against the class (that of the cross-entropy, see `odds_against`), then
    returns to the nearest point within eps and within [0, 1].

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to leave or, if targeted, the class to reach.
        eps: the farthest an image may move, in pixel units: every pixel under "linf", the Euclidean length of the
            whole change under "l2".
        steps: gradient steps of each restart; one forward and one backward pass each.
        step_size: the length of a step, in the same norm; by default 2.5 eps / steps.
        norm: "linf" or "l2".
        restarts: how many random starts to try; images that one has fooled are left out of the next.
        random_start: begin anywhere within eps instead of at the image.
        targeted: go towards the class instead of away from it.
        until_fooled: be content with each image's first success instead of the strongest.
        seed: fixes the random starts.
        progress: wraps the loop over the restarts, e.g. ``tqdm``; silent by default.

    Returns:
        (N, C, H, W), in [0, 1]: for each image the end of the first restart that fooled the network, or else of the
        one that came nearest to it.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; steps or restarts < 1; step_size not
            above 0; an unknown norm.

    Source:
        Madry et al. 2017, arXiv:1706.06083.
    """
    if restarts < 1:
        raise ValueError(f"restarts must be at least 1, got {restarts}")
    options = {"eps": eps, "steps": steps, "step_size": step_size, "norm": norm, "random_start": random_start}
    options |= {"targeted": targeted, "until_fooled": until_fooled}
    for restart in progress(range(restarts)):
        if restart == 0:
            *_, best = pgd_steps(model, images, classes, **options, seed=seed)
            if restarts > 1:
                odds, fooled = _score(model, best, classes, targeted)
            continue
        left = (~fooled).nonzero()[:, 0]
        if not len(left):
            break
        *_, found = pgd_steps(model, images[left], classes[left], **options, seed=seed + restart)
        found_odds, found_fooled = _score(model, found, classes[left], targeted)
        better = (found_odds > odds[left]) | found_fooled
        best[left[better]], odds[left[better]] = found[better], found_odds[better]
        fooled[left] = found_fooled
    return best


def pgd_steps(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    *,
    eps: float,
    steps: int = 40,
    step_size: float | None = None,
    norm: str = "linf",
    random_start: bool = True,
    targeted: bool = False,
    until_fooled: bool = False,
    seed: int = 0,
) -> Iterator[Tensor]:
    """The images after each step of one restart of `pgd`: `steps` tensors (N, C, H, W), each its own copy."""
    check_batch(model, images, classes)
    check_eps(eps)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if step_size is None:
        step_size = 2.5 * eps / steps
    elif not step_size > 0:
        raise ValueError(f"step_size must be above 0, got {step_size}")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {list(NORMS)}, got {norm!r}")
    unit, project, draw = NORMS[norm]
    original = images = images.detach()
    if random_start:
        rng = torch.Generator(images.device).manual_seed(seed)
        images = (original + draw(original, eps, rng)).clamp(0, 1)
    result, left = images, None  # left: the images still in the batch, once some have been fooled
    for _ in range(steps):
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = model(images)
            odds = odds_against(logits, classes)
            (gradient,) = torch.autograd.grad(odds.sum(), images)
        images = images.detach()
        if until_fooled:
            resists = (logits.argmax(1) == classes) != targeted
            if not resists.all():
                left = resists.nonzero()[:, 0] if left is None else left[resists]
                images, original, gradient = images[resists], original[resists], gradient[resists]
                classes = classes[resists]
        step = unit(gradient) * (-step_size if targeted else step_size)
        images = (original + project(images + step - original, eps)).clamp(0, 1)
        result = images if left is None else result.index_copy(0, left, images)
        yield result if until_fooled else result.clone()
        if not len(images):
            return


def _score(model: nn.Module, images: Tensor, classes: Tensor, targeted: bool) -> tuple[Tensor, Tensor]:
    """How far the attack got with each image, (N,), and whether it succeeded, (N,) bool."""
    with torch.no_grad():
        logits = model(images)
    odds = odds_against(logits, classes)
    return (-odds if targeted else odds), (logits.argmax(1) == classes) == targeted


def _length(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1)[:, None, None, None]


def _anywhere_in_ball(images: Tensor, eps: float, rng: torch.Generator) -> Tensor:
    direction = torch.randn(images.shape, generator=rng, device=images.device, dtype=images.dtype)
    radius = torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device) ** (1 / images[0].numel())
    return eps * radius * direction / _length(direction)


# For each norm: a step of length 1 along the gradient, the nearest change of length eps, a random change.
NORMS = {
    "linf": (
        torch.sign,
        lambda change, eps: change.clamp(-eps, eps),
        lambda images, eps, rng: eps * (2 * torch.rand(images.shape, generator=rng, device=images.device) - 1),
    ),
    "l2": (
        lambda gradient: gradient / _length(gradient).clamp_min(1e-30),
        lambda change, eps: change * (eps / _length(change).clamp_min(1e-30)).clamp_max(1),
        _anywhere_in_ball,
    ),
}
