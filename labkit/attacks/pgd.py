"""Projected gradient descent: many small pushes, never farther from the image than eps."""

from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks._gradient import log_odds_gradient, logits_of
from labkit.attacks._norms import NORMS
from labkit.core import Progress, check_batch, check_choice, check_counts, check_eps, check_positive, last_of, log_odds


def pgd_steps(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
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
    progress: Progress = iter,
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Projected gradient descent (PGD): images within eps whose class the network is least likely to name.

    Each step follows the gradient of the log-odds (parallel to that of the cross-entropy, see `log_odds`), then
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
        early_stop: stop at each image's first success instead of looking for the strongest.
        seed: fixes the random starts.
        progress: wraps the loop over the steps of each restart, e.g. ``tqdm``; silent by default.

    Yields:
        (N, C, H, W), in [0, 1]: the images after each step and, where there are several restarts, after each of them
        the best so far: of each image the end of the first restart that fooled the network, or else of the one that
        came nearest to it.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; steps or restarts < 1; step_size not
            above 0; an unknown norm.

    Source:
        Madry et al. 2017, arXiv:1706.06083.
    """
    check_batch(model, images, classes)
    check_eps(eps)
    check_counts(steps=steps, restarts=restarts)
    check_choice(NORMS, norm=norm)
    if step_size is None:
        step_size = 2.5 * eps / steps
    else:
        check_positive(step_size=step_size)
    images = images.detach()
    loop = partial(
        pgd_loop, model, eps=eps, step_size=step_size, steps=steps, norm=norm, targeted=targeted,
        early_stop=early_stop, progress=progress,
    )  # fmt: skip

    def images_after() -> Iterator[Tensor]:
        best, gain = images.clone(), torch.full_like(images[:, 0, 0, 0], -torch.inf)
        left = torch.arange(len(images), device=images.device)  # the images that no restart has fooled
        for restart in range(restarts):
            original, own = images[left], classes[left]
            found = start = _random_start(original, eps, norm, seed + restart) if random_start else original
            for found in loop(original, start, own):
                yield found.clone() if len(left) == len(images) else best.index_copy(0, left, found)
            if restarts == 1:
                return
            odds, success = _outcome(model, found, own, targeted)
            better = success | (odds > gain[left])
            best[left[better]], gain[left[better]] = found[better], odds[better]
            yield best.clone()
            left = left[~success]
            if not len(left):
                return

    return images_after()


pgd = last_of(pgd_steps)


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
    progress: Progress = iter,
) -> Iterator[Tensor]:
    """The PGD loop, without checks: the images after each step, from a start within eps of the original ones.

    Here eps and step_size may differ from image to image: (N, 1, 1, 1).
    """
    measure = NORMS[norm]
    images, result, left = start, start, None  # left: the images still in the batch, once some have been fooled
    for _ in progress(range(steps)):
        _, logits, gradient = log_odds_gradient(model, images, classes)
        if early_stop:
            resists = (logits.argmax(1) == classes) != targeted
            if not resists.all():
                left = resists.nonzero()[:, 0] if left is None else left[resists]
                images, original, gradient, classes = (each[resists] for each in (images, original, gradient, classes))
                eps, step_size = (each[resists] if isinstance(each, Tensor) else each for each in (eps, step_size))
            if not len(images):
                yield result
                return
        moved = images + step_size * measure.step(gradient if targeted else -gradient, images)
        images = (original + measure.project(moved - original, eps)).clamp(0, 1)
        result = images if left is None else result.index_copy(0, left, images)
        yield result


def _random_start(images: Tensor, eps: float, norm: str, seed: int) -> Tensor:
    """A random point within eps of each image and within [0, 1]."""
    rng = torch.Generator(images.device).manual_seed(seed)
    return (images + NORMS[norm].draw(images, eps, rng)).clamp(0, 1)


def _outcome(model: nn.Module, images: Tensor, classes: Tensor, targeted: bool) -> tuple[Tensor, Tensor]:
    """How far the attack got with each image, (N,) log-odds of what it wants, and whether it succeeded, (N,) bool."""
    logits = logits_of(model, images)
    odds = log_odds(logits, classes).to(images.dtype)
    return (odds if targeted else -odds), (logits.argmax(1) == classes) == targeted
