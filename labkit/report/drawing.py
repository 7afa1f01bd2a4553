"""Images and maps as pixels, numbers as text."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from labkit.evaluation.intervals import mean_interval, wilson_interval
from labkit.plot import palette, percent

CLIP = 0.99  # of a map's pixels lie within its scale


def pixels_of(image: Float[Tensor, "c h w"]) -> UInt8[Tensor, "h w 3"]:
    """An image as it is shown: three channels of 0 to 255; of other than 1 or 3 channels, their mean."""
    image = image.detach().cpu().float()
    image = image if len(image) == 3 else image.mean(0, keepdim=True).expand(3, -1, -1)
    return (image.clamp(0, 1) * 255).round().byte().movedim(0, -1)


def heat_of(values: Float[Tensor, "h w"]) -> UInt8[Tensor, "h w 3"]:
    """A map of amounts in colours, from zero to its 99th percentile, so that all maps share one relative scale."""
    top = values.flatten().float().quantile(CLIP).item()
    top = top if top > 0 else max(values.max().item(), 1e-30)
    return palette(signed=False)[(values / top).clamp(0, 1).mul(255).round().long()]


def mean_of(values: Float[Tensor, " n"]) -> tuple[float, str]:
    """The mean of fractions, and the ends of its 95% interval over images, as text; "" for fewer than two."""
    if len(values) < 2:
        return values.mean().item(), ""
    mean, low, high = mean_interval(values.tolist())
    return mean, f"{max(low, 0):.2f} to {min(high, 1):.2f}"


def median_of(values: Float[Tensor, " n"]) -> tuple[float, tuple[float, float]]:
    """The median, and the ends of its 95% interval over images: two of the values, by the sign test."""
    from scipy.stats import binom  # here: it takes half a second

    ordered = values.sort().values
    first = int(binom.ppf(0.025, len(values), 0.5))
    low, high = ordered[max(first - 1, 0)].item(), ordered[min(len(values) - first, len(values) - 1)].item()
    return ordered[(len(values) - 1) // 2].item(), (low, high)


def rate_of(hits: int, count: int) -> tuple[str, str]:
    """A rate that was counted and the ends of its 95% interval, as text."""
    low, high = wilson_interval(torch.tensor(hits), torch.tensor(count))
    rate = {0: "0%", count: "100%"}.get(hits) or percent(hits / count)  # what is counted may be certain
    return rate, f"{percent(low.item())} to {percent(high.item())}"
