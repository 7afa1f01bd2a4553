"""Deletion and insertion: are the pixels that a map calls important the ones that the network needs?"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attribution._versions import broadcast, over_versions
from labkit.core import check_batch, check_counts, importance, laid_out, log_odds


@dataclass(frozen=True)
class Curve:
    """What becomes of each image's class as more and more of its pixels are replaced.

    Attributes:
        fractions: (steps + 1,), of the pixels that have been replaced or put in, from 0 to 1.
        probabilities: (N, steps + 1), of each image's class.
        area: (N,), the mean of each curve: low is good for deletion, high for insertion.
    """

    fractions: Float[Tensor, " k"]
    probabilities: Float[Tensor, "n k"]

    @property
    def area(self) -> Float[Tensor, " n"]:
        return torch.trapezoid(self.probabilities, self.fractions, dim=1)


def deletion(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    maps: Float[Tensor, "n ..."],
    *,
    steps: int = 20,
    fill: float | Tensor = 0.5,
    seed: int = 0,
    batch_size: int = 100,
) -> Curve:
    """Deletion: the probability of each image's class as its pixels are replaced, the most important ones first.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class that the maps explain.
        maps: (N, H, W) or (N, C, H, W), read as in `importance`.
        steps: chunks of equally many pixels.
        fill: what replaces a pixel: a number (0.5 is grey), or a tensor that broadcasts to the images, such as
            blurred copies of them.
        seed: fixes the order of pixels that are equally important.
        batch_size: images that are in memory at once.

    Returns:
        The curves, from the whole image to the one without any of its pixels.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; maps or fill that do not fit; steps not from 1
            to the number of pixels; batch_size < 1.

    Source:
        Petsiuk, Das and Saenko 2018, arXiv:1806.07421.
    """
    return _curve(model, images, classes, maps, steps, fill, seed, batch_size, insert=False)


def insertion(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    maps: Float[Tensor, "n ..."],
    *,
    steps: int = 20,
    fill: float | Tensor = 0.5,
    seed: int = 0,
    batch_size: int = 100,
) -> Curve:
    """Insertion: the probability of each image's class as its pixels enter an empty image, the most important first.

    Arguments, errors and source as for `deletion`; fill is the empty image.
    """
    return _curve(model, images, classes, maps, steps, fill, seed, batch_size, insert=True)


@torch.no_grad()
def _curve(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    maps: Tensor,
    steps: int,
    fill: float | Tensor,
    seed: int,
    batch_size: int,
    *,
    insert: bool,
) -> Curve:
    check_batch(model, images, classes)
    check_counts(batch_size=batch_size)
    ranks = _ranks(importance(maps, images), seed)[:, None]
    pixels = ranks[0].numel()
    check_counts(most=pixels, steps=steps)
    counts = [round(pixels * step / steps) for step in range(steps + 1)]
    blanks = broadcast(fill, images, "fill")

    def probability(some: Tensor, labels: Tensor) -> Tensor:
        return log_odds(model(laid_out(model, some)), labels).sigmoid()

    rows = []
    for chosen in torch.arange(len(images), device=images.device).split(batch_size):
        before, after, order = images[chosen], blanks[chosen], ranks[chosen]
        if insert:
            before, after = after, before
        versions = (torch.where(order < count, after, before) for count in counts)
        rows.append(torch.stack([*over_versions(probability, versions, classes[chosen], batch_size)], dim=1))
    return Curve(torch.tensor(counts, device=images.device) / pixels, torch.cat(rows))


def _ranks(values: Tensor, seed: int) -> Tensor:
    """The place of each pixel (N, H, W) in its map's order, 0 for the highest value; equal values in random order."""
    flat = values.flatten(1)
    shuffled = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed)).to(flat.device)
    order = shuffled[flat[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
    return torch.empty_like(order).scatter_(1, order, places).view_as(values)
