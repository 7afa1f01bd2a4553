"""Universality: how often a targeted universal perturbation moves other images into its class."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.attacks.additive_noise import AdditiveNoise
from labkit.core import check_batch, odds_against
from labkit.evaluation.intervals import wilson_interval


@dataclass(frozen=True)
class Universality:
    """How often each noise turned images of each class into its target class.

    Attributes:
        successes: (K, T) int64, images of true class k that the network took for target t with the noise.
        trials: (K, T) int64, images that were tried.
        excluded: (K, T) int64, images that were not: of the target class, or taken for it without any noise.
    """

    successes: Tensor
    trials: Tensor
    excluded: Tensor

    @property
    def rates(self) -> Tensor:
        """(K, T), NaN where nothing was tried."""
        return self.successes / self.trials

    @property
    def intervals(self) -> tuple[Tensor, Tensor]:
        """The ends of each rate's 95% interval, (K, T) each."""
        return wilson_interval(self.successes, self.trials)


def universality(
    model: nn.Module, images: Tensor, labels: Tensor, noises: AdditiveNoise, *, strength: float = 1.0, batch_size=500
) -> Universality:
    """Every noise on every image: how often does it lead where it should?

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], none of which the noises were learned on.
        labels: (N,) int64, their true classes.
        noises: what `additive_noise` returned.
        strength: multiplies the noises.
        batch_size: images to show the network at a time.

    Returns:
        The table: true class by target class.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; noises of another shape than the images.
    """
    check_batch(model, images, labels)
    if noises.noise.shape[1:] != images.shape[1:]:
        raise ValueError(f"images must have the noises' shape {tuple(noises.noise.shape[1:])}, got {images.shape[1:]}")
    clean = _predict(model, images, batch_size)
    odds_against(clean, labels)  # refuses labels that the network does not know
    tables = torch.zeros(3, clean.shape[1], len(noises.classes), dtype=torch.int64, device=images.device)
    for column, (noise, target) in enumerate(zip(noises.noise, noises.classes, strict=True)):
        already = (labels == target) | (clean.argmax(1) == target)
        noisy = (images[~already] + strength * noise).clamp(0, 1)
        became = _predict(model, noisy, batch_size).argmax(1) == target
        for table, rows in zip(tables, (labels[~already][became], labels[~already], labels[already]), strict=True):
            table[:, column] = rows.bincount(minlength=clean.shape[1])
    return Universality(*tables)


def _predict(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(batch) for batch in images.split(batch_size)])
