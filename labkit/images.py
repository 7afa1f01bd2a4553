"""What can be said of images, and done to them, without a network: total variation, blur, shifted and scaled views."""

from math import inf

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

from labkit.core import check_positive, check_within


def total_variation(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Total variation, the anisotropic one: the sum of absolute differences between neighbouring pixels.

    Args:
        images: (N, C, H, W), any real numbers.

    Returns:
        (N,), over all channels; 0 for an image of one colour.

    Source:
        Rudin, Osher and Fatemi 1992; in this form, Mahendran and Vedaldi 2015, arXiv:1412.0035.
    """
    down, right = images.diff(dim=2), images.diff(dim=3)
    return down.abs().flatten(1).sum(1) + right.abs().flatten(1).sum(1)


def gaussian_blur(images: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """Gaussian blur; beyond the edge, the pixels of the edge go on.

    Args:
        images: (N, C, H, W), any real numbers.
        sigma: the standard deviation in pixels, above 0; the kernel reaches to three of them.

    Returns:
        (N, C, H, W).

    Raises:
        ValueError: sigma is not above 0.
    """
    check_positive(sigma=sigma)
    reach = max(1, round(3 * sigma))
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = (-(steps**2) / (2 * sigma**2)).exp()
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
    padded = pad(images, [reach] * 4, mode="replicate")
    return conv2d(conv2d(padded, kernel, groups=len(kernel)), kernel.mT, groups=len(kernel))


def moved(
    images: Float[Tensor, "n c h w"], *, down: float = 0, right: float = 0, scale: float = 1
) -> Float[Tensor, "n c h w"]:
    """Images enlarged around their centre, then shifted; what comes in from outside mirrors what is inside.

    Args:
        images: (N, C, H, W).
        down, right: the shift in pixels; may be negative.
        scale: 1.1 for a tenth larger; above 0.

    Returns:
        (N, C, H, W). By whole pixels and without a scale nothing is interpolated, and the mirror stands on the
        outermost pixels, which are not repeated; otherwise on the edge of the image, half a pixel further out.

    Raises:
        ValueError: scale is not above 0; a shift that is not finite.
    """
    check_positive(scale=scale)
    check_within(-inf, inf, ends="()", down=down, right=right)
    if scale == 1 and down == int(down) and right == int(right):
        return _shifted(images, int(down), int(right))
    height, width = images.shape[2:]
    if height == width:
        rows, columns = _resampling(height, [down, right], scale).to(images)
    else:
        rows, columns = (_resampling(*each, scale).to(images)[0] for each in ((height, [down]), (width, [right])))
    return rows @ images @ columns.mT


def _resampling(size: int, shifts: list[float], scale: float) -> Tensor:
    """For each shift (size, size): how a pixel of a line is mixed from two neighbours before; a row adds up to 1."""
    middle = (size - 1) / 2
    places = torch.arange(size, dtype=torch.float64)
    source = (places - middle - torch.tensor(shifts, dtype=torch.float64)[:, None]) / scale + middle
    folded = (source + 0.5).remainder(2 * size)  # what comes in mirrors what is inside
    source = (torch.minimum(folded, 2 * size - folded) - 0.5).clamp(0, size - 1)
    return (1 - (source[..., None] - places).abs()).clamp_min(0)


def _shifted(images: Tensor, down: int, right: int) -> Tensor:
    """By whole pixels, in one copy."""
    if not down and not right:
        return images
    height, width = images.shape[2:]
    down, right = _folded(down, height), _folded(right, width)
    top, left = max(down, 0), max(right, 0)
    padded = pad(images, (left, max(-right, 0), top, max(-down, 0)), mode="reflect")
    return padded[:, :, top - down : top - down + height, left - right : left - right + width]


def _folded(shift: int, size: int) -> int:
    """The shift by less than a line's size that shows the same of the line between two mirrors."""
    period = 2 * (size - 1)
    return (shift + size - 1) % period - (size - 1) if period else 0
