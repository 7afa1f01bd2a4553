"""Auto-PGD: projected gradient descent with momentum that chooses the length of its steps by itself."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks._gradient import lead, logits_of, loss_gradient
from labkit.attacks._norms import NORMS
from labkit.core import Progress, check_batch, check_choice, check_counts, check_eps, last_of, log_odds, score_of

LOSSES = ("cross_entropy", "dlr", "targeted_dlr")
MOMENTUM = 0.25  # of a step, the part that goes on in the direction of the last one
ENOUGH = 0.75  # the fraction of steps that must raise the loss, or else they become half as long


def apgd_steps(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float,
    loss: str = "cross_entropy",
    steps: int = 100,
    norm: str = "linf",
    restarts: int = 1,
    targets: int = 9,
    targeted: bool = False,
    seed: int = 0,
    progress: Progress = iter,
) -> Iterator[Float[Tensor, "n c h w"]]:
    """APGD: projected gradient descent without a step size to choose, the white-box part of AutoAttack.

    A step begins with length 2 eps. At certain steps it is halved, and the search goes back to the best image so far:
    where too few steps raised the loss, or where neither the best loss nor the length has changed since the last of
    these steps. An image that fools the network leaves the batch.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to leave or, if targeted, the class to reach.
        eps: the farthest an image may move, in pixel units: every pixel under "linf", the Euclidean length of the
            whole change under "l2".
        loss: what the steps raise. "cross_entropy" (by way of the log-odds, which rise and fall with it and do not
            vanish where the network is certain); "dlr", the difference of logits ratio, the lead of the class over the
            next, divided by that of the first over the third, which no factor on the logits changes; "targeted_dlr",
            the same towards each of several other classes in turn.
        steps: gradient steps of each restart; one forward and one backward pass each.
        norm: "linf" or "l2".
        restarts: how many random starts to try; images that one has fooled are left out of the next.
        targets: how many classes "targeted_dlr" tries, the most likely ones first.
        targeted: go towards the class instead of away from it; not with "targeted_dlr", which chooses its own targets.
        seed: fixes the random starts.
        progress: wraps the loop over the restarts, e.g. ``tqdm``; silent by default.

    Yields:
        (N, C, H, W), in [0, 1], after each step: of each image the first that fooled the network, or else the one with
        the highest loss so far in the first restart. One that the network gets wrong from the start stays as it is.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; steps, restarts or targets < 1; an
            unknown loss or norm; "dlr" with fewer than 3 classes, "targeted_dlr" with fewer than 4 or if targeted.

    From the same start "cross_entropy" fools the very images that torchattacks' fools, if both compute in float64. In
    float32 one image in 200 may differ, because the log-odds are rounded otherwise than the cross-entropy, and whether
    a loss rose decides the length of the steps.

    Source:
        Croce and Hein 2020, arXiv:2003.01690.
    """
    check_batch(model, images, classes)
    check_eps(eps)
    check_choice(LOSSES, loss=loss)
    check_choice(NORMS, norm=norm)
    check_counts(steps=steps, restarts=restarts, targets=targets)
    if targeted and loss == "targeted_dlr":
        raise ValueError("targeted takes loss 'cross_entropy' or 'dlr', got 'targeted_dlr', which chooses its targets")
    images = images.detach()
    logits = logits_of(model, images, classes)
    least = {"cross_entropy": 2, "dlr": 3, "targeted_dlr": 4}[loss]
    if logits.shape[1] < least:
        raise ValueError(f"loss {loss!r} takes at least {least} classes, got {logits.shape[1]}")
    rng = torch.Generator(images.device).manual_seed(seed)
    likely = logits.scatter(1, classes[:, None], -torch.inf).argsort(1, descending=True)[:, :-1]  # the other classes
    runs: list[tuple[Tensor, ...]] = [(classes,)] * restarts
    if loss == "targeted_dlr":
        runs = [(classes, target) for target in likely[:, :targets].unbind(1) for _ in range(restarts)]
    climbed = partial(
        _climb, model, partial(_loss, loss, 1 if targeted else -1), eps=eps, steps=steps, norm=norm, targeted=targeted,
        first_rises=loss == "cross_entropy",  # so the authors' code counts the first step
    )  # fmt: skip

    def images_after() -> Iterator[Tensor]:
        result = images.clone()
        left = ((logits.argmax(1) == classes) != targeted).nonzero()[:, 0]  # the images that no run has fooled
        yielded = False
        for number, labels in enumerate(progress(runs)):
            if not len(left):
                break
            original, resists = images[left], torch.ones_like(left, dtype=torch.bool)
            start = (original + _start(original, eps, norm, rng)).clamp(0, 1)
            for found, resists in climbed(original, start, tuple(each[left] for each in labels)):
                take = ~resists if number else torch.ones_like(resists)
                result[left[take]] = found[take]
                yield result.clone()
                yielded = True
            left = left[resists]
        if not yielded:
            yield result

    return images_after()


apgd = last_of(apgd_steps)


def _climb(
    model: nn.Module,
    loss: Callable[..., Tensor],
    original: Tensor,
    start: Tensor,
    labels: tuple[Tensor, ...],
    *,
    eps: float,
    steps: int,
    norm: str,
    targeted: bool,
    first_rises: bool,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One run: after each step the images found, and which of them have not fooled the network, (N,) bool."""
    measure, checks = NORMS[norm], _checks(steps)
    result, left = start.clone(), torch.arange(len(start), device=start.device)
    lowest = torch.full_like(start[:, 0, 0, 0], -torch.inf)  # (n,)
    at = {
        "original": original, "now": start, "before": start, "best": start, "best_gradient": start,
        "value": lowest, "best_value": lowest, "best_at_check": lowest, "rises": torch.full_like(lowest, first_rises),
        "size": torch.full_like(lowest, 2 * eps), "halved": torch.ones_like(lowest, dtype=torch.bool),
    }  # fmt: skip  # of each image that is left: pixels, (n, C, H, W), then numbers, (n,)
    for step in range(steps + 1):
        value, logits, gradient = loss_gradient(model, loss, at["now"], *labels)
        resists = (logits.argmax(1) == labels[0]) != targeted
        if not resists.all():
            result[left[~resists]] = at["now"][~resists]
            left, value, gradient = left[resists], value[resists], gradient[resists]
            labels = tuple(each[resists] for each in labels)
            at = {name: each[resists] for name, each in at.items()}
            if not len(left):
                yield result, torch.zeros_like(lowest, dtype=torch.bool)
                return
        better = value > at["best_value"]
        at["best"], at["best_gradient"] = _where(better, (at["now"], gradient), (at["best"], at["best_gradient"]))
        at["best_value"] = torch.where(better, value, at["best_value"])
        if step > 1:
            at["rises"] = at["rises"] + (value > at["value"])
        at["value"] = value
        if step:
            result[left] = at["best"]
            yield result, torch.zeros_like(lowest, dtype=torch.bool).index_fill(0, left, True)
        if step == steps:
            return
        if step in checks:
            stalled = ~at["halved"] & (at["best_at_check"] >= at["best_value"])
            at["halved"] = stalled | (at["rises"] <= ENOUGH * checks[step])
            at["size"] = torch.where(at["halved"], at["size"] / 2, at["size"])
            at["now"], gradient = _where(at["halved"], (at["best"], at["best_gradient"]), (at["now"], gradient))
            at["best_at_check"], at["rises"] = at["best_value"], torch.zeros_like(value)
        now = at["now"]
        ahead = now + at["size"][:, None, None, None] * measure.step(gradient, now)
        moved = _within(at["original"], ahead, eps, norm)
        if step:
            mixed = now + (1 - MOMENTUM) * (moved - now) + MOMENTUM * (now - at["before"])
            moved = _within(at["original"], mixed, eps, norm)
        at["before"], at["now"] = now, moved


def _checks(steps: int) -> dict[int, int]:
    """The steps at which the length of a step is looked at, and how many steps after the one before."""
    gap, shorter, least = (max(int(part * steps), 1) for part in (0.22, 0.03, 0.06))
    found, step = {}, gap
    while step <= steps:
        found[step] = gap
        gap = max(gap - shorter, least)
        step += gap
    return found


def _where(chosen: Tensor, these: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> list[Tensor]:
    """Of each pair of images one or the other, by the image."""
    wide = chosen[:, None, None, None]
    return [torch.where(wide, this, other) for this, other in zip(these, others, strict=True)]


def _within(original: Tensor, images: Tensor, eps: float, norm: str) -> Tensor:
    return (original + NORMS[norm].project(images - original, eps)).clamp(0, 1)


def _start(images: Tensor, eps: float, norm: str, rng: torch.Generator) -> Tensor:
    """A random change that reaches eps."""
    if norm == "linf":
        change = 2 * torch.rand(images.shape, generator=rng, device=images.device, dtype=images.dtype) - 1
    else:
        change = torch.randn(images.shape, generator=rng, device=images.device, dtype=images.dtype)
    return eps * change / NORMS[norm].length(change).clamp_min(1e-12)


def _loss(name: str, sign: int, logits: Tensor, classes: Tensor, target: Tensor | None = None) -> Tensor:
    """What a run raises, (N,)."""
    if name == "cross_entropy":
        return sign * log_odds(logits, classes)
    ranked = logits.sort(1, descending=True).values
    if target is None:
        return sign * lead(logits, classes) / (ranked[:, 0] - ranked[:, 2] + 1e-12)
    ahead = score_of(logits, target) - score_of(logits, classes)
    return ahead / (ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2 + 1e-12)
