"""DeepFool: go to the nearest boundary of the network as if it were linear, and look again from there."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks._gradient import logits_of
from labkit.attacks._norms import NORMS
from labkit.attacks.minimum_norm import MinimumNorm
from labkit.core import Progress, check_batch, check_choice, check_counts, check_not_negative, last_of

BISECTIONS = 12  # at the end, on the way from the image to what was found


def deepfool_steps(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    norm: str = "l2",
    steps: int = 50,
    candidates: int = 10,
    overshoot: float = 0.02,
    targeted: bool = False,
    batch_size: int = 100,
    progress: Progress = iter,
) -> Iterator[MinimumNorm]:
    """DeepFool: a minimum-norm attack, the shortest step to the nearest class boundary, again and again.

    For every other class k, the logits of a network that is nearly linear tell how far the boundary is: the lead of the
    image's class over k, divided by the length of that lead's gradient. The attack takes the step to the nearest one.
    An image that fools the network leaves the batch; at the end, bisection brings it as near to the original as the
    straight way between them allows. It is an upper bound of the true distance: another attack may need less.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to leave or, if targeted, the class to reach.
        norm: "l2", the Euclidean length of the whole change, or "linf", the largest change of a pixel.
        steps: the most steps for an image; one forward pass each, and one backward pass for every candidate.
        candidates: how many classes to look at beside the image's own, the most likely ones.
        overshoot: how much farther than the boundary a step goes, as a fraction.
        targeted: go towards the class: over the boundary between it and the class that is most likely at the moment.
        batch_size: images to attack at a time.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Yields:
        After each step where the images have got to, and their distances: 0 where there was nothing to do, infinite
        where the network is not fooled. In the end those that bisection has brought nearer; where nothing was found,
        the image that was given.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; an unknown norm; steps, candidates or batch_size
            < 1; overshoot < 0.

    Source:
        Moosavi-Dezfooli, Fawzi and Frossard 2015, arXiv:1511.04599.
    """
    check_batch(model, images, classes)
    check_choice(NORMS, norm=norm)
    check_counts(steps=steps, candidates=candidates, batch_size=batch_size)
    check_not_negative(overshoot=overshoot)
    measure, images = NORMS[norm], images.detach()

    def resists(some: Tensor, own: Tensor) -> Tensor:
        return (logits_of(model, some, own).argmax(1) == own) != targeted

    at_first = resists(images, classes)

    def found_after() -> Iterator[MinimumNorm]:
        result, left = images.clone(), at_first.nonzero()[:, 0]  # the images that have not fooled the network
        for _ in progress(range(steps)):
            if not len(left):
                break
            parts = zip(result[left].split(batch_size), classes[left].split(batch_size), strict=True)
            step = [_over_the_boundary(model, *part, norm, candidates, overshoot, targeted) for part in parts]
            result[left] = torch.cat(step)
            left = left[resists(result[left], classes[left])]
            yield MinimumNorm(result.clone(), distances(result, left))
        result[left] = images[left]
        low, high = torch.zeros_like(images[:, :1, :1, :1]), torch.ones_like(images[:, :1, :1, :1])
        for _ in range(BISECTIONS):  # high is a part of the way that fools, low one that does not
            middle = (low + high) / 2
            short = resists(images + middle * (result - images), classes)[:, None, None, None]
            low, high = torch.where(short, middle, low), torch.where(short, high, middle)
        result = images + high * (result - images)
        yield MinimumNorm(result, distances(result, left))

    def distances(result: Tensor, left: Tensor) -> Tensor:
        return measure.length(result - images)[:, 0, 0, 0].index_fill(0, left, torch.inf)

    return found_after()


deepfool = last_of(deepfool_steps)


def _over_the_boundary(
    model: nn.Module, images: Tensor, classes: Tensor, norm: str, candidates: int, overshoot: float, targeted: bool
) -> Tensor:
    """One step of all images to the nearest boundary, were the network linear."""
    measure = NORMS[norm]
    with torch.enable_grad():
        pixels = images.detach().requires_grad_()
        logits = model(pixels)
        own = classes[:, None]
        others = logits.detach().scatter(1, own, -torch.inf).argsort(1, descending=True)[:, :-1]
        others = others[:, : 1 if targeted else candidates]
        gaps = logits.gather(1, own) - logits.gather(1, others)  # (n, candidates): what must fall below 0
        if targeted:
            gaps = -gaps
        columns = gaps.unbind(1)
        slopes = [
            torch.autograd.grad(column.sum(), pixels, retain_graph=column is not columns[-1])[0] for column in columns
        ]
    best, shortest = torch.zeros_like(images), torch.full_like(images[:, :1, :1, :1], torch.inf)
    for gap, slope in zip(gaps.detach().unbind(1), slopes, strict=True):
        way = measure.step(-slope, images)  # of length 1, within the box
        fall = -(slope * way).sum((1, 2, 3), keepdim=True)  # of the gap, for each unit of length
        far = (gap[:, None, None, None] + 1e-6).clamp_min(0) / fall.clamp_min(1e-12)
        nearer = (far < shortest) & (fall > 1e-12)
        best, shortest = torch.where(nearer, way, best), torch.where(nearer, far, shortest)
    length = torch.where(shortest.isfinite(), (1 + overshoot) * shortest, 0)
    return (images + length.clamp_max(measure.diameter(images[0].numel())) * best).clamp(0, 1)
