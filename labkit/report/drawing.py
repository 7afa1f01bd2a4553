"""Images and maps as pixels, numbers as text."""

from jaxtyping import Float, UInt8
from torch import Tensor

from labkit.evaluation.intervals import mean_interval
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
    """The mean, and the ends of its 95% interval over images, as text; "" for fewer than two."""
    if len(values) < 2:
        return values.mean().item(), ""
    mean, low, high = mean_interval(values.tolist())
    return mean, f"{low:.2f} to {high:.2f}"


def share(rate: float, ends: tuple[float, float]) -> tuple[str, str]:
    """A rate and the ends of its interval, as text."""
    return percent(rate), f"{percent(ends[0])} to {percent(ends[1])}"
