"""Projected gradient descent: many small pushes, never farther from the image than eps."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from labkit.attacks.fgsm import CHUNK
from labkit.core import check_batch, check_eps, log_odds


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
    early_stop: bool = False,
    seed: int = 0,
    progress: Callable = iter,
) -> Tensor:
    """Images within eps of the given ones whose class the network is least likely to name.

    Each step follows the gradient of the log-odds (parallel to that of the cross-entropy, see `log_odds`),
    then returns to the nearest point within eps and within [0, 1].

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
        early_stop: stop at each image's first success instead of looking for the strongest.
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
    step_size = _checked_step(model, images, classes, eps, steps, step_size, norm)
    options = {"eps": eps, "steps": steps, "step_size": step_size, "norm": norm}
    options |= {"targeted": targeted, "early_stop": early_stop}
    best, odds = images.detach().clone(), torch.full_like(images[:, 0, 0, 0], -torch.inf)
    left = torch.arange(len(images), device=images.device)  # the images that no restart has fooled
    on_cpu = images.device.type == "cpu"
    chunk, layout = (CHUNK, torch.channels_last) if on_cpu else (len(images), torch.contiguous_format)
    for restart in progress(range(restarts)):
        starts = _starts(images[left], eps, norm, seed + restart) if random_start else images[left]
        resisted = []
        for part, start in zip(left.split(chunk), starts.split(chunk), strict=True):
            original, start = (each.contiguous(memory_format=layout) for each in (images[part], start))
            *_, found = pgd_loop(model, original, start, classes[part], **options)
            if restarts == 1:
                best[part] = found
                continue
            found_odds, fooled = _score(model, found, classes[part], targeted)
            better = fooled | (found_odds > odds[part])
            best[part[better]], odds[part[better]] = found[better], found_odds[better]
            resisted.append(part[~fooled])
        left = torch.cat(resisted) if resisted else left[:0]
        if not len(left):
            break
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
    early_stop: bool = False,
    seed: int = 0,
) -> Iterator[Tensor]:
    """The images after each step of one restart of `pgd`: up to `steps` tensors (N, C, H, W), each its own copy."""
    step_size = _checked_step(model, images, classes, eps, steps, step_size, norm)
    start = _starts(images, eps, norm, seed) if random_start else images.detach()
    options = {"eps": eps, "steps": steps, "step_size": step_size, "norm": norm}
    options |= {"targeted": targeted, "early_stop": early_stop}
    for images_now in pgd_loop(model, images, start, classes, **options):
        yield images_now.clone()


def pgd_loop(
    model: nn.Module,
    original: Tensor,
    start: Tensor,
    classes: Tensor,
    *,
    eps: float | Tensor,
    step_size: float | Tensor,
    steps: int,
    norm: str,
    targeted: bool,
    early_stop: bool,
) -> Iterator[Tensor]:
    """The PGD loop, without checks: the images after each step, from a start within eps of the original ones.

    Here eps and step_size may differ from image to image: (N, 1, 1, 1).
    """
    unit, project, _ = NORMS[norm]
    result, left = start, None  # left: the images still in the batch, once some have been fooled
    images = start
    for _ in range(steps):
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = model(images)
            (gradient,) = torch.autograd.grad(log_odds(logits, classes).sum(), images)
        images = images.detach()
        if early_stop:
            resists = (logits.argmax(1) == classes) != targeted
            if not resists.all():
                left = resists.nonzero()[:, 0] if left is None else left[resists]
                images, original, gradient, classes = (each[resists] for each in (images, original, gradient, classes))
                eps, step_size = (each[resists] if isinstance(each, Tensor) else each for each in (eps, step_size))
        step = step_size * unit(gradient if targeted else -gradient, images)
        images = (original + project(images + step - original, eps)).clamp(0, 1)
        result = images if left is None else result.index_copy(0, left, images)
        yield result
        if not len(images):
            return


def _checked_step(model: nn.Module, images: Tensor, classes: Tensor, eps, steps, step_size, norm: str) -> float:
    """The length of a step, once everything has been found to be in order."""
    check_batch(model, images, classes)
    check_eps(eps)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if step_size is not None and not step_size > 0:
        raise ValueError(f"step_size must be above 0, got {step_size}")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {list(NORMS)}, got {norm!r}")
    return 2.5 * eps / steps if step_size is None else step_size


def _starts(images: Tensor, eps: float, norm: str, seed: int) -> Tensor:
    """A random point within eps of each image and within [0, 1]."""
    draw = NORMS[norm][2]
    return (images + draw(images, eps, torch.Generator(images.device).manual_seed(seed))).detach().clamp(0, 1)


def _score(model: nn.Module, images: Tensor, classes: Tensor, targeted: bool) -> tuple[Tensor, Tensor]:
    """How far the attack got with each image, (N,), and whether it succeeded, (N,) bool."""
    with torch.no_grad():
        logits = model(images)
    odds = log_odds(logits, classes).to(images.dtype)
    return (odds if targeted else -odds), (logits.argmax(1) == classes) == targeted


def _length(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1)[:, None, None, None]


def _anywhere_in_ball(images: Tensor, eps: float, rng: torch.Generator) -> Tensor:
    direction = torch.randn(images.shape, generator=rng, device=images.device, dtype=images.dtype)
    radius = torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device, dtype=images.dtype) ** (
        1 / images[0].numel()
    )
    return eps * radius * direction / _length(direction)


def _unit_within_box(direction: Tensor, images: Tensor) -> Tensor:
    """Length 1, and none of it spent on pixels that are black and would go down, or white and would go up."""
    blocked = ((images <= 0) & (direction < 0)) | ((images >= 1) & (direction > 0))
    direction = direction.masked_fill(blocked, 0)
    return direction / _length(direction).clamp_min(1e-30)


# For each norm: a step of length 1 in a direction, the nearest change of at most eps, a random one.
NORMS = {
    "linf": (
        lambda direction, images: direction.sign(),
        lambda change, eps: change.clamp(-eps, eps),
        lambda images, eps, rng: eps * (2 * torch.rand(images.shape, generator=rng, device=images.device) - 1),
    ),
    "l2": (
        _unit_within_box,
        lambda change, eps: change * (eps / _length(change).clamp_min(1e-30)).clamp_max(1),
        _anywhere_in_ball,
    ),
}
