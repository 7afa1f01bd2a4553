"""Confidence intervals: of a rate that was counted, of a mean over independent runs."""

import torch
from jaxtyping import Float, Num
from torch import Tensor


def wilson_interval(
    successes: Num[Tensor, "..."], trials: Num[Tensor, "..."], *, z: float = 1.96
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """The ends of Wilson's interval for a rate, z standard errors wide to each side; NaN where nothing was tried.

    Source:
        Wilson 1927, Journal of the American Statistical Association 22, 209-212.
    """
    rate, weight = successes / trials, z * z / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = z * (rate * (1 - rate) / trials + weight / (4 * trials)).sqrt() / (1 + weight)
    return (centre - half).clamp(min=0), (centre + half).clamp(max=1)


def difference_interval(
    successes: Num[Tensor, "..."],
    trials: Num[Tensor, "..."],
    other_successes: Num[Tensor, "..."],
    other_trials: Num[Tensor, "..."],
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """The ends of the 95% interval for a rate less another one, counted independently, from Wilson's interval of each.

    Source:
        Newcombe 1998, Statistics in Medicine 17, 873-890, method 10.
    """
    rate, other = successes / trials, other_successes / other_trials
    low, high = wilson_interval(successes, trials)
    other_low, other_high = wilson_interval(other_successes, other_trials)
    below = ((rate - low).square() + (other_high - other).square()).sqrt()
    above = ((high - rate).square() + (other - other_low).square()).sqrt()
    return rate - other - below, rate - other + above


def mean_interval(values: list[float]) -> tuple[float, float, float]:
    """The mean and the ends of its 95% interval (Student's t), over independent runs.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs at least two values, got {values}")
    from scipy.stats import t as students_t  # here: it takes half a second

    numbers = torch.tensor(values, dtype=torch.float64)
    half = students_t.ppf(0.975, len(values) - 1) * (numbers.std() / len(values) ** 0.5).item()
    mean = numbers.mean().item()
    return mean, mean - float(half), mean + float(half)
