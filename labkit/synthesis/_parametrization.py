"""What gradient ascent changes: pixels, or a Fourier parametrisation of the images in uncorrelated colours."""

import torch
from torch import Tensor
from torch.fft import fftfreq, irfft2, rfft2, rfftfreq

# How red, green and blue go together in photographs: a square root of the covariance of CIFAR-10's training pixels,
# scaled so that its longest column has length 1. The columns: brightness, red against blue, green against both.
COLORS = (
    (0.5580, 0.2011, 0.0566),
    (0.5775, 0.0132, -0.1058),
    (0.5960, -0.2011, 0.0496),
)
STEEPNESS = 1.5  # with 1, as in photographs, there is grain left in large images
EDGE = 0.02  # a clipped Fourier image starts no nearer than this to black or white, where a sigmoid is flat


class Pixels:
    """Each number is a pixel. If clipped, those that leave [0, 1] are put back onto its edge after each step."""

    def __init__(self, images: Tensor, *, clip: bool):
        self.clip = clip

    def read(self, numbers: Tensor) -> Tensor:
        """The images that the numbers stand for."""
        return numbers

    def write(self, images: Tensor) -> Tensor:
        """Numbers that stand for these images."""
        return images.clone()

    def settle(self, numbers: Tensor) -> None:
        """Put numbers right, in place, after a step."""
        if self.clip:
            numbers.clamp_(0, 1)


class Fourier:
    """Fourier parametrisation: each number is the amplitude of one spatial frequency, in uncorrelated colours.

    If clipped, a sigmoid squeezes the image into [0, 1]. Low frequencies weigh more than high ones, as in photographs
    but steeper, so that steps of equal length change shapes rather than grain. Colours are mixed so that what
    photographs mostly change together, brightness, is one number, not three.
    """

    def __init__(self, images: Tensor, *, clip: bool):
        self.clip, self.size = clip, images.shape[2:]
        frequency = (fftfreq(self.size[0])[:, None] ** 2 + rfftfreq(self.size[1]) ** 2).sqrt()
        weight = frequency.clamp_min(1 / max(self.size)) ** -STEEPNESS
        self.weight = (weight / weight.square().mean().sqrt()).to(images)  # (H, W // 2 + 1)
        self.colors = torch.tensor(COLORS).to(images) if images.shape[1] == 3 else None

    def read(self, numbers: Tensor) -> Tensor:
        """The images of numbers (N, C, H, W // 2 + 1, 2), the real and imaginary parts of the amplitudes."""
        images = irfft2(torch.view_as_complex(numbers) * self.weight, s=self.size, norm="ortho")
        images = images if self.colors is None else _mixed(images, self.colors)
        return images.sigmoid() if self.clip else images

    def write(self, images: Tensor) -> Tensor:
        """The numbers of images (N, C, H, W)."""
        images = images.clamp(EDGE, 1 - EDGE).logit() if self.clip else images
        images = images if self.colors is None else _mixed(images, torch.linalg.inv(self.colors))
        return torch.view_as_real(rfft2(images, norm="ortho") / self.weight).clone()

    def settle(self, numbers: Tensor) -> None:
        """Nothing to put right: a sigmoid keeps the pixels in [0, 1]."""


def _mixed(images: Tensor, colors: Tensor) -> Tensor:
    return (colors @ images.flatten(2)).view(images.shape)


PARAMETRIZATIONS: dict[str, type[Pixels | Fourier]] = {"pixels": Pixels, "fourier": Fourier}
