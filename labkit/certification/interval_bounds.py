"""Interval bound propagation (IBP): send an interval for every pixel through the network, layer by layer."""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from labkit.certification._network import (
    bounded_layers,
    check_certificate,
    finished,
    input_box,
    interval_margins,
    steps_of,
)
from labkit.certification._steps import Box, through
from labkit.core import check_batch, check_choice, check_counts, check_eps

PRECISIONS = {"float64": torch.float64, "float32": torch.float32}


@torch.no_grad()
def interval_bounds(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float,
    precision: str = "float64",
    batch_size: int = 100,
) -> Float64[Tensor, "n k"]:
    """IBP: lower bounds of the margins of each image's class over the others, for any change of the pixels within eps.

    Each layer turns bounds of its inputs into bounds of its outputs. The last layer, if it is dense, is taken together
    with the difference of two logits. Where all bounds of an image are above 0, no change within eps (and within
    [0, 1]) alters the network's answer: that is proved, not tried.

    Computed for the network with exactly its weights, and sound against the rounding of these bounds; what float32
    rounds when the network itself runs is not covered.

    Args:
        model: an `nn.Sequential`: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to be certified for each image.
        eps: the largest change of any pixel, in pixel units.
        precision: "float64", where 1e-9 of the largest bound is taken off for rounding; or "float32", several times as
            fast, where the bounds of every layer but the last are moved outward by as much as its sums can be rounded.
            That is a little less tight, and holds on a CPU; a GPU may round more.
        batch_size: images that are in memory at once.

    Returns:
        (N, K) float64, in logits: lower bounds of logit[class] - logit[k]; infinity at the class itself.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; an unknown precision; batch_size < 1; a
            network that is not sequential or has a layer that no bounds are known for.

    Source:
        Gowal et al. 2018, arXiv:1810.12715.
    """
    check_certificate(model, images, classes, eps)
    check_choice(PRECISIONS, precision=precision)
    check_counts(batch_size=batch_size)
    dtype = PRECISIONS[precision]
    *steps, last = steps_of(model, dtype)
    found = []
    for part, own in zip(images.split(batch_size), classes.split(batch_size), strict=True):
        box = input_box(part, eps, dtype)
        for step in steps:
            box = through(step, box)
        box = Box(lower=box.lower.double(), upper=box.upper.double())
        found.append(finished(interval_margins(last, box, own), own))
    return torch.cat(found)


@torch.no_grad()
def layer_bounds(
    model: nn.Module, images: Float[Tensor, "n c h w"], *, eps: float
) -> dict[str, tuple[Float64[Tensor, "..."], Float64[Tensor, "..."]]]:
    """The bounds that IBP finds for the outputs of each layer, for any change of the pixels within eps.

    Args:
        model: an `nn.Sequential`: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        eps: the largest change of any pixel, in pixel units.

    Returns:
        The name of a layer -> the least and the largest that each of its outputs can be, in order; "input" is the
        pixels. Layers without effect in eval mode are left out. Nothing is taken off for rounding.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; a network that is not sequential or has
            a layer that no bounds are known for.
    """
    check_batch(model, images)
    check_eps(eps)
    box = input_box(images, eps)
    found = {"input": (box.lower, box.upper)}
    for (name, _), step in zip(bounded_layers(model), steps_of(model, merged=False), strict=True):
        box = through(step, box)
        found[name] = (box.lower, box.upper)
    return found
