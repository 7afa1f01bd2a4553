"""Minimum-norm adversarial examples: the smallest change with which an attack succeeds, for each image on its own."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.attacks.pgd import NORMS, pgd_loop
from labkit.core import check_batch, log_odds


@dataclass(frozen=True)
class MinimumNorm:
    """The nearest images that fooled the network, and how far away they are.

    Attributes:
        images: (N, C, H, W), in [0, 1]; where nothing was found, the image that was given.
        distances: (N,), in pixel units, by the norm: 0 where there was nothing to do, infinite where nothing was found.
    """

    images: Tensor
    distances: Tensor


def minimum_norm(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
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
    _check_options(attack, norm, steps, largest, tolerance, batch_size)
    if largest is None:
        largest = 1.0 if norm == "linf" else math.sqrt(images[0].numel())
    options = {"attack": attack, "norm": norm, "steps": steps, "targeted": targeted}
    found, eps = images.detach().clone(), torch.full_like(images[:, 0, 0, 0], torch.inf)
    for part in torch.arange(len(images), device=images.device).split(batch_size):
        found[part], eps[part] = _search(model, found[part], classes[part], largest, tolerance, options)
    return MinimumNorm(found, eps)


def _search(model, images: Tensor, classes: Tensor, largest: float, tolerance: float, options: dict):
    best, targeted = images.clone(), options["targeted"]
    failed = torch.zeros_like(images[:, 0, 0, 0])  # (N,): an eps that was not enough
    enough = torch.where(_fooled(model, images, classes, targeted), failed, torch.inf)
    while True:
        narrow = (enough - failed <= tolerance * enough) | (enough < 1e-6 * largest)
        (left,) = (~torch.where(enough.isinf(), failed >= largest, narrow)).nonzero(as_tuple=True)
        if not len(left):
            return best, enough
        low, high = failed[left], enough[left]
        eps = torch.where(high.isinf(), (2 * low).clamp(largest / 256, largest), (low + high) / 2)
        found = _attacked(model, images[left], classes[left], eps[:, None, None, None], options)
        distance = _distance(found - images[left], options["norm"])
        fooled = _fooled(model, found, classes[left], targeted)
        failed[left] = torch.where(fooled, low, eps)
        enough[left] = torch.where(fooled, distance.minimum(eps), high)
        best[left[fooled]] = found[fooled]


def _attacked(model, images: Tensor, classes: Tensor, eps: Tensor, options: dict) -> Tensor:
    steps, step_size = (1, eps) if options["attack"] == "fgsm" else (options["steps"], 2.5 * eps / options["steps"])
    run = {"norm": options["norm"], "targeted": options["targeted"], "steps": steps, "step_size": step_size}
    *_, found = pgd_loop(model, images, images, classes, eps=eps, early_stop=steps > 1, **run)
    return found


def _fooled(model, images: Tensor, classes: Tensor, targeted: bool) -> Tensor:
    with torch.no_grad():
        logits = model(images)
    log_odds(logits, classes)  # refuses classes that the network does not know
    return (logits.argmax(1) == classes) == targeted


def _distance(change: Tensor, norm: str) -> Tensor:
    return change.flatten(1).norm(dim=1, p=torch.inf if norm == "linf" else 2)


def _check_options(attack: str, norm: str, steps: int, largest: float | None, tolerance: float, batch_size: int):
    if attack not in ("fgsm", "pgd"):
        raise ValueError(f"attack must be 'fgsm' or 'pgd', got {attack!r}")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {list(NORMS)}, got {norm!r}")
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if largest is not None and not 0 < largest < math.inf:
        raise ValueError(f"largest must be a number above 0, in pixel units, got {largest!r}")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must lie between 0 and 1, got {tolerance!r}")
