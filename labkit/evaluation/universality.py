"""Universality: does a perturbation that was learned on some images fool the network on others?"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks.universal_perturbation import UniversalPerturbations
from labkit.core import check_batch, check_counts, check_logits, laid_out
from labkit.evaluation.intervals import wilson_interval


@dataclass(frozen=True)
class Universality:
    """How often each perturbation turned images of each class into its target class (the targeted fooling rate).

    Attributes:
        successes: (K, T) int64, images of true class k that the network took for target t once perturbed.
        trials: (K, T) int64, images that were tried.
        excluded: (K, T) int64, images that were not: of the target class, or taken for it unperturbed.
    """

    successes: Int64[Tensor, "k t"]
    trials: Int64[Tensor, "k t"]
    excluded: Int64[Tensor, "k t"]

    @property
    def rates(self) -> Float[Tensor, "k t"]:
        """(K, T), NaN where nothing was tried."""
        return self.successes / self.trials

    @property
    def intervals(self) -> tuple[Float[Tensor, "k t"], Float[Tensor, "k t"]]:
        """The ends of each rate's 95% interval, (K, T) each."""
        return wilson_interval(self.successes, self.trials)


def universality(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    found: UniversalPerturbations,
    *,
    strength: float = 1.0,
    batch_size: int = 500,
) -> Universality:
    """Targeted fooling rate: how often the network sees the target class when each perturbation is added to each image.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], none of which the perturbations were learned on.
        labels: (N,) int64, their true classes.
        found: what `universal_perturbation` returned.
        strength: multiplies the perturbations.
        batch_size: images to show the network at a time.

    Returns:
        The table: true class by target class.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; perturbations of another shape than the images.

    Source:
        Moosavi-Dezfooli et al. 2016, arXiv:1610.08401.
    """
    check_batch(model, images, labels)
    check_counts(batch_size=batch_size)
    wanted, got = tuple(found.perturbations.shape[1:]), tuple(images.shape[1:])
    if wanted != got:
        raise ValueError(f"images must have the perturbations' shape {wanted}, got {got}")
    clean = _predict(model, images, batch_size)
    check_logits(clean, labels)
    tables = torch.zeros(3, clean.shape[1], len(found.classes), dtype=torch.int64, device=images.device)
    for column, (perturbation, target) in enumerate(zip(found.perturbations, found.classes, strict=True)):
        already = (labels == target) | (clean.argmax(1) == target)
        perturbed = (images[~already] + strength * perturbation).clamp(0, 1)
        became = _predict(model, perturbed, batch_size).argmax(1) == target
        for table, rows in zip(tables, (labels[~already][became], labels[~already], labels[already]), strict=True):
            table[:, column] = rows.bincount(minlength=clean.shape[1])
    return Universality(*tables)


def _predict(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(laid_out(model, batch)) for batch in images.split(batch_size)])
