"""Calibration: is a network right as often as it is sure?"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from labkit.core import check_classes, check_counts, check_logits
from labkit.evaluation.intervals import wilson_interval


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predictions in bins of equal width by their confidence, as a reliability diagram shows them.

    Attributes:
        confidence: (bins,), the mean confidence in each bin; NaN where there is no prediction.
        accuracy: (bins,), the fraction that is correct.
        low, high: (bins,), the ends of its 95% interval (Wilson's).
        counts: (bins,) int64, the predictions in each bin.
        error: the expected calibration error, the mean distance of a bin's accuracy from its confidence.
        error_interval: the ends of its 95% interval, by the bootstrap over images.
        excess: the mean confidence less the accuracy: above 0, the network is too sure of itself.
        excess_interval: the ends of its 95% interval, likewise.
    """

    confidence: Float[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]
    low: Float[Tensor, " bins"]
    high: Float[Tensor, " bins"]
    counts: Int64[Tensor, " bins"]
    error: float
    error_interval: tuple[float, float]
    excess: float
    excess_interval: tuple[float, float]


def calibration(
    logits: Float[Tensor, "n k"], labels: Int64[Tensor, " n"], *, bins: int = 10, draws: int = 1000, seed: int = 0
) -> Calibration:
    """Reliability diagram and expected calibration error (ECE) of a network's predictions.

    Args:
        logits: (N, K), what it says of N images.
        labels: (N,) int64, their true classes.
        bins: of equal width, from 0 to 1.
        draws: of the bootstrap.
        seed: fixes them.

    Returns:
        A Calibration.

    Raises:
        ValueError: logits and labels that do not fit; bins or draws < 1.

    Source:
        Guo, Pleiss, Sun and Weinberger 2017, arXiv:1706.04599.
    """
    check_classes(labels)
    check_logits(logits, labels)
    check_counts(bins=bins, draws=draws)
    sure, said = logits.detach().softmax(1).cpu().double().max(1)  # not every device has doubles
    right = (said == labels.cpu()).double()
    place = (sure * bins).long().clamp(max=bins - 1)
    counts = place.bincount(minlength=bins)
    hits, total = (place.bincount(each, minlength=bins) for each in (right, sure))
    low, high = wilson_interval(hits, counts)
    rng = torch.Generator().manual_seed(seed)
    gaps, excesses = [], []
    for _ in range(draws):
        some = torch.randint(len(sure), (len(sure),), generator=rng)
        gaps.append(_error(sure[some], right[some], place[some], bins))
        excesses.append((sure[some] - right[some]).mean())
    return Calibration(
        (total / counts).float(),
        (hits / counts).float(),
        low.float(),
        high.float(),
        counts,
        _error(sure, right, place, bins).item(),
        _middle(gaps),
        (sure - right).mean().item(),
        _middle(excesses),
    )


def _error(sure: Tensor, right: Tensor, place: Tensor, bins: int) -> Tensor:
    return place.bincount(sure - right, minlength=bins).abs().sum() / len(sure)


def _middle(drawn: list[Tensor]) -> tuple[float, float]:
    """The ends of the middle 95%."""
    low, high = torch.stack(drawn).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
