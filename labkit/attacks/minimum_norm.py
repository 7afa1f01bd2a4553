"""Minimum-norm adversarial examples: the smallest change with which an attack succeeds, for each image on its own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks._gradient import logits_of
from labkit.attacks._norms import NORMS
from labkit.attacks.pgd import pgd_loop
from labkit.core import check_batch, check_choice, check_counts, check_positive, check_within

ATTACKS = ("fgsm", "pgd")


@dataclass(frozen=True)
class MinimumNorm:
    """The nearest images that fooled the network, and how far away they are.

    Attributes:
        images: (N, C, H, W), in [0, 1]; where nothing was found, the image that was given.
        distances: (N,), in pixel units, by the norm: 0 where there was nothing to do, infinite where nothing was found.
    """

    images: Float[Tensor, "n c h w"]
    distances: Float[Tensor, " n"]


def minimum_norm(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    attack: str = "pgd",
    norm: str = "linf",
    steps: int = 40,
    largest: float | None = None,
    tolerance: float = 0.01,
    targeted: bool = False,
    batch_size: int = 100,
) -> MinimumNorm:
    """The nearest adversarial example that an attack finds for each image, by bisection over eps.

    eps is doubled until the attack succeeds, then the gap between the largest failure and the smallest success is
    halved. What an attack finds is an upper bound: another attack may need less.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to leave or, if targeted, the class to reach.
        attack: "fgsm", a single step along the gradient, or "pgd"; both begin at the image.
        norm: "linf", the largest change of a pixel, or "l2", the Euclidean length of the whole change.
        steps: steps of each run of pgd.
        largest: where to give up; by default the largest distance within the box, 1 or the root of C x H x W.
        tolerance: the width of the gap at which to stop, as a fraction of eps.
        targeted: go towards the class instead of away from it.
        batch_size: images to attack at a time.

    Returns:
        The images found and their distances.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; an unknown attack or norm; an option out of its
            range.

    Source:
        The attacks of Goodfellow et al. 2014, arXiv:1412.6572, and Madry et al. 2017, arXiv:1706.06083. To measure
        robustness by the smallest change: Moosavi-Dezfooli, Fawzi and Frossard 2015, arXiv:1511.04599.
    """
    check_batch(model, images, classes)
    check_choice(ATTACKS, attack=attack)
    check_choice(NORMS, norm=norm)
    check_counts(steps=steps, batch_size=batch_size)
    check_within(0, 1, ends="()", tolerance=tolerance)
    if largest is None:
        largest = NORMS[norm].diameter(images[0].numel())
    check_positive(largest=largest)
    steps = 1 if attack == "fgsm" else steps
    run = partial(pgd_loop, model, steps=steps, norm=norm, targeted=targeted, early_stop=steps > 1)

    def attacked(some: Tensor, labels: Tensor, eps: Tensor) -> Tensor:
        """The images at the end of an attack; eps is (n, 1, 1, 1)."""
        step_size = eps if attack == "fgsm" else 2.5 * eps / steps
        *_, found = run(some, some, labels, eps=eps, step_size=step_size)
        return found

    succeeded = partial(_succeeded, model, targeted=targeted)
    parts = zip(images.detach().split(batch_size), classes.split(batch_size), strict=True)
    found = [_search(attacked, succeeded, NORMS[norm].length, *part, largest, tolerance) for part in parts]
    return MinimumNorm(*(torch.cat(each) for each in zip(*found, strict=True)))


def _search(
    attacked: Callable[[Tensor, Tensor, Tensor], Tensor],
    succeeded: Callable[[Tensor, Tensor], Tensor],
    length: Callable[[Tensor], Tensor],
    images: Tensor,
    classes: Tensor,
    largest: float,
    tolerance: float,
) -> tuple[Tensor, Tensor]:
    """The nearest images found and their distances, (n, C, H, W) and (n,), by bisection."""
    best = images.clone()
    failed = torch.zeros_like(images[:, 0, 0, 0])  # (n,): an eps that was not enough
    enough = torch.where(succeeded(images, classes), failed, torch.inf)
    while True:
        middle = (failed + enough) / 2
        rounded = (middle == failed) | (middle == enough)  # no number lies between the two
        narrow = (enough - failed <= tolerance * enough) | (enough < 1e-6 * largest) | rounded
        (left,) = (~torch.where(enough.isinf(), failed >= largest, narrow)).nonzero(as_tuple=True)
        if not len(left):
            return best, enough
        low, high = failed[left], enough[left]
        eps = torch.where(high.isinf(), (2 * low).clamp(largest / 256, largest), middle[left])
        found = attacked(images[left], classes[left], eps[:, None, None, None])
        distance = length(found - images[left])[:, 0, 0, 0]
        success = succeeded(found, classes[left])
        failed[left] = torch.where(success, low, eps)
        enough[left] = torch.where(success, distance.minimum(eps), high)
        best[left[success]] = found[success]


def _succeeded(model: nn.Module, images: Tensor, classes: Tensor, *, targeted: bool) -> Tensor:
    return (logits_of(model, images, classes).argmax(1) == classes) == targeted
