"""CROWN: bound the margins by linear functions of the pixels, found from the last layer back to the first."""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from labkit.certification._network import (
    check_certificate,
    finished,
    input_box,
    interval_margins,
    least,
    margin_rows,
    steps_of,
)
from labkit.certification._steps import NONLINEAR, Box, Relu, Step, backward, through
from labkit.core import Progress, check_choice, check_counts


@torch.no_grad()
def crown(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float,
    intermediate: str = "interval",
    batch_size: int = 50,
    progress: Progress = iter,
) -> Float64[Tensor, "n k"]:
    """CROWN: lower bounds of the margins of each image's class over the others, for any change of pixels within eps.

    Every nonlinear layer is enclosed by two linear functions, as close as the bounds of its inputs allow. What is left
    is a linear function of the pixels that never lies above the margin, and whose least value within eps is known
    exactly. It knows which terms cancel, and interval arithmetic does not. Where `interval_bounds` are better all the
    same, they are returned; for a linear network the bounds are exact.

    Computed in float64 for the network with exactly its weights; 1e-9 of the largest bound is taken off for rounding.
    What float32 rounds when the network itself runs is not covered.

    Args:
        model: an `nn.Sequential`: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to be certified for each image.
        eps: the largest change of any pixel, in pixel units.
        intermediate: how the inputs of each ReLU are bounded: "interval" (CROWN-IBP), or "crown", again by linear
            functions wherever intervals leave the sign open, which is much tighter and takes seconds an image.
        batch_size: images that are in memory at once; and, of one image, the rows of 20 units at once for each of them.
        progress: wraps the loop over the batches, e.g. ``tqdm``; silent by default.

    Returns:
        (N, K) float64, in logits: lower bounds of logit[class] - logit[k]; infinity at the class itself.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps < 0; an unknown `intermediate`; a network
            that is not sequential or has a layer that no bounds are known for.

    Source:
        Zhang et al. 2018, arXiv:1811.00866; with intermediate intervals: Zhang et al. 2019, arXiv:1906.06316.
    """
    check_certificate(model, images, classes, eps)
    check_choice(("crown", "interval"), intermediate=intermediate)
    check_counts(batch_size=batch_size)
    steps, found = steps_of(model), []
    parts = list(zip(images.split(batch_size), classes.split(batch_size), strict=True))
    for part, own in progress(parts):
        boxes = _boxes(steps, input_box(part, eps), rows=20 * batch_size if intermediate == "crown" else 0)
        by_interval = interval_margins(steps[-1], boxes[-2], own)
        by_lines = _below(steps, boxes, margin_rows(own, by_interval.shape[1]))
        found.append(finished(torch.maximum(by_interval, by_lines), own))
    return torch.cat(found)


def _boxes(steps: list[Step], box: Box, *, rows: int) -> list[Box]:
    """The bounds before each step, and those of the logits; so many rows at once, or by intervals alone where 0."""
    boxes = [box]
    for place, step in enumerate(steps):
        if rows and isinstance(step, Relu) and any(isinstance(earlier, NONLINEAR) for earlier in steps[:place]):
            boxes[-1] = _refined(steps[:place], boxes, rows)
        boxes.append(through(step, boxes[-1]))
    return boxes


def _refined(steps: list[Step], boxes: list[Box], rows: int) -> Box:
    """The bounds before a ReLU, made tighter wherever they leave the sign open; image by image, since that differs."""
    lower, upper = (each.clone(memory_format=torch.contiguous_format) for each in (boxes[-1].lower, boxes[-1].upper))
    for image in range(len(lower)):
        own = [Box(lower=box.lower[image : image + 1], upper=box.upper[image : image + 1]) for box in boxes]
        flat_lower, flat_upper = lower[image].view(-1), upper[image].view(-1)
        unsure = ((flat_lower < 0) & (flat_upper > 0)).nonzero()[:, 0]
        for units in unsure.split(rows):
            chosen = torch.zeros(len(units), flat_lower.numel(), dtype=torch.float64, device=lower.device)
            chosen = chosen.scatter_(1, units[:, None], 1.0).view(1, len(units), *lower.shape[1:])
            flat_lower[units] = torch.maximum(flat_lower[units], _below(steps, own, chosen)[0])
            flat_upper[units] = torch.minimum(flat_upper[units], -_below(steps, own, -chosen)[0])
    return Box(lower=lower, upper=upper)


def _below(steps: list[Step], boxes: list[Box], rows: Tensor) -> Tensor:
    """Lower bounds (N, R) of rows (N, R, ...) that weigh the outputs of the last step."""
    rows, constant = backward(steps, boxes, rows)
    return least(rows, boxes[0]) + constant
