"""HopSkipJump: walk along the boundary of a class by its decisions alone, nearer and nearer to the image."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks._gradient import logits_of
from labkit.attacks._norms import NORMS, l2_length
from labkit.attacks.minimum_norm import MinimumNorm
from labkit.core import Progress, check_batch, check_choice, check_counts, last_of

RANDOM = 100  # pictures of random pixels, to begin the walk at
Fools = Callable[[Tensor, Tensor], Tensor]  # images (n, C, H, W) and their classes (n,) -> which fool the network


def hop_skip_jump_steps(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    norm: str = "l2",
    steps: int = 20,
    samples: int = 100,
    targeted: bool = False,
    batch_size: int = 500,
    seed: int = 0,
    progress: Progress = iter,
) -> Iterator[MinimumNorm]:
    """HopSkipJump: a decision-based black-box attack, which learns of the network nothing but the class that it names.

    It begins at the nearest picture that the network takes for another class, of the other images and of random ones.
    A step bisects the way from there to the image, which ends just beyond the class's boundary; asks about random
    points around that place, whose mean is a direction that leads into the other class; and goes as far in this
    direction as the class stays another one. It is an upper bound of the true distance.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode. Only the largest logit is looked at.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to leave or, if targeted, the class to reach.
        norm: "l2", the Euclidean length of the whole change, or "linf", the largest change of a pixel.
        steps: how often to walk along the boundary.
        samples: random points for the first direction; the number grows with the root of the step.
        targeted: go towards the class instead of away from it. The images should then hold some that the network takes
            for this class.
        batch_size: random points that are in memory at once.
        seed: fixes the random points.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Yields:
        After each step the nearest images so far and their distances: 0 where there was nothing to do, infinite where
        nothing was found.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; an unknown norm; steps, samples or batch_size
            < 1.

    Source:
        Chen, Jordan and Wainwright 2019, arXiv:1904.02144.
    """
    check_batch(model, images, classes)
    check_choice(NORMS, norm=norm)
    check_counts(steps=steps, samples=samples, batch_size=batch_size)
    images = images.detach()
    rng = torch.Generator(images.device).manual_seed(seed)
    answers = logits_of(model, images, classes).argmax(1)

    def fools(some: Tensor, own: Tensor) -> Tensor:
        return (logits_of(model, some).argmax(1) == own) == targeted

    def found_after() -> Iterator[MinimumNorm]:
        best, distances = _begin(model, images, classes, answers, norm, targeted, rng)
        left = (distances.isfinite() & (distances > 0)).nonzero()[:, 0]
        if not len(left):
            yield MinimumNorm(best, distances)
            return
        original, own = images[left], classes[left]

        def to_the_boundary(some: Tensor) -> tuple[Tensor, Tensor]:
            some = _to_the_boundary(fools, original, some, own, norm)
            far = NORMS[norm].length(some - original)
            nearer = far[:, 0, 0, 0] < distances[left]
            best[left[nearer]], distances[left[nearer]] = some[nearer], far[nearer, 0, 0, 0]
            return some, far

        now, far = to_the_boundary(best[left])
        for step in progress(range(1, steps + 1)):
            ask = partial(_direction, fools, now, own, _reach(far, original, norm, step), rng)
            direction = NORMS[norm].step(ask(round(samples * math.sqrt(step)), batch_size), now)
            now, far = to_the_boundary(_hop(fools, now, own, direction, far / math.sqrt(step)))
            yield MinimumNorm(best.clone(), distances.clone())

    return found_after()


hop_skip_jump = last_of(hop_skip_jump_steps)


def _begin(
    model: nn.Module, images: Tensor, classes: Tensor, answers: Tensor, norm: str, targeted: bool, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """For each image the nearest picture that will do, and its distance, (N,); infinite where there is none."""
    shape = (RANDOM, *images.shape[1:])
    random = torch.rand(shape, generator=rng, device=images.device, dtype=images.dtype)
    pool = torch.cat([images, random])
    said = torch.cat([answers, logits_of(model, random).argmax(1)])
    best = images.clone()
    distances = torch.full_like(images[:, 0, 0, 0], torch.inf)
    for place, (image, own) in enumerate(zip(images, classes, strict=True)):
        fit = pool[(said == own) == targeted]
        if (answers[place] == own) == targeted:
            distances[place] = 0
        elif len(fit):
            far = NORMS[norm].length(fit - image)[:, 0, 0, 0]
            best[place], distances[place] = fit[far.argmin()], far.amin()
    return best, distances


def _threshold(images: Tensor, norm: str) -> float:
    """How near to the boundary bisection comes, as a fraction of the way."""
    numbers = images[0].numel()
    return numbers ** (-1.5 if norm == "l2" else -2.0)


def _to_the_boundary(fools: Fools, original: Tensor, now: Tensor, classes: Tensor, norm: str) -> Tensor:
    """The nearest images on the way to the originals that fool the network, up to a small part of the way."""
    far = NORMS[norm].length(now - original)
    low, high = torch.zeros_like(far), torch.ones_like(far)

    def between(part: Tensor) -> Tensor:
        if norm == "l2":
            return original + part * (now - original)
        return original + NORMS[norm].project(now - original, part * far)

    for _ in range(math.ceil(-math.log2(_threshold(original, norm)))):
        middle = (low + high) / 2
        enough = fools(between(middle), classes)[:, None, None, None]
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return between(high)


def _reach(far: Tensor, images: Tensor, norm: str, step: int) -> Tensor:
    """How far from the boundary the random points lie: their Euclidean length."""
    if step == 1:
        return torch.full_like(far, 0.1)
    numbers = images[0].numel()
    return far * _threshold(images, norm) * (numbers**0.5 if norm == "l2" else numbers)


def _direction(
    fools: Fools, now: Tensor, classes: Tensor, reach: Tensor, rng: torch.Generator, count: int, batch_size: int
) -> Tensor:
    """The mean of random directions, each with the sign of what the network says of it: an estimate of the gradient."""
    total, signed, sum_of_signs = torch.zeros_like(now), torch.zeros_like(now), torch.zeros_like(now[:, 0, 0, 0])
    at_once = max(1, batch_size // len(now))
    for first in range(0, count, at_once):
        shape = (min(at_once, count - first), *now.shape)
        ways = torch.randn(shape, generator=rng, device=now.device, dtype=now.dtype)
        ways = ways / ways.flatten(2).norm(dim=2)[..., None, None, None]
        tried = (now + reach * ways).clamp(0, 1)
        ways = (tried - now) / reach  # what the box [0, 1] has left of them
        sign = 2.0 * fools(tried.flatten(0, 1), classes.repeat(len(ways))).view(shape[:2]) - 1
        total += ways.sum(0)
        signed += (sign[..., None, None, None] * ways).sum(0)
        sum_of_signs += sign.sum(0)
    mean = (sum_of_signs / count)[:, None, None, None]
    one_sided = mean.abs() == 1  # all said the same: then their mean is what there is
    estimate = torch.where(one_sided, mean * total, signed - mean * total)
    return estimate / l2_length(estimate).clamp_min(1e-12)


def _hop(fools: Fools, now: Tensor, classes: Tensor, direction: Tensor, size: Tensor) -> Tensor:
    """As far in the direction as the network stays fooled: the size, or half, or a quarter of it, and so on."""
    result, left = now.clone(), torch.arange(len(now), device=now.device)
    for _ in range(30):
        tried = (now[left] + size[left] * direction[left]).clamp(0, 1)
        done = fools(tried, classes[left])
        result[left[done]] = tried[done]
        left, size = left[~done], size / 2
        if not len(left):
            break
    return result
