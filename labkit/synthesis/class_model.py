"""Class models: the image that a network finds most like a class, by gradient ascent from an empty start."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labkit.core import (
    Progress,
    check_batch,
    check_choice,
    check_classes,
    check_counts,
    check_eval,
    check_not_negative,
    check_positive,
    check_takes,
    check_within,
    laid_out,
    last_of,
    value_and_grad,
)
from labkit.images import gaussian_blur, moved, total_variation
from labkit.models import expected_image_shape
from labkit.synthesis._parametrization import PARAMETRIZATIONS

OBJECTIVES = ("logit", "cross_entropy")
STARTS = ("zeros", "mean", "noise", "uniform")


def class_model_steps(
    model: nn.Module,
    classes: Int64[Tensor, " n"],
    *,
    objective: str = "logit",
    parametrization: str = "fourier",
    start: str | Tensor = "mean",
    noise: float = 0.1,
    tv_weight: float = 30.0,
    l2_weight: float = 0.0,
    blur: float = 0.0,
    blur_every: int = 10,
    jitter: float = 0.0625,
    scale: float = 0.1,
    clip: bool = True,
    steps: int = 128,
    step_size: float = 0.1,
    image_shape: tuple[int, int, int] | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Class model (activation maximisation): for each class an image that the network finds very much like it.

    Each step of Adam raises objective - tv_weight * (mean difference of neighbours) - l2_weight * (mean squared
    difference from the data mean), where the network sees the image a little shifted and scaled, another way each
    time. As these are means over all numbers of an image, the weights do not depend on its size.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        classes: (N,) int64. A class may be named several times; from noise, that gives different images.
        objective: "logit", the class's own; or "cross_entropy", the logarithm of its probability, which can also be
            raised by lowering the others.
        parametrization: what the steps change: "pixels", or "fourier", the amplitudes of spatial frequencies in
            uncorrelated colours.
        start: "zeros" is black; "mean" the data's mean, which the model's normalize layer subtracts (mid-grey without
            one); "noise" mid-grey with Gaussian noise; "uniform" every pixel from U[0, 1]; a tensor of pixels in
            [0, 1] that fits (N, C, H, W), any other image.
        noise: standard deviation of the Gaussian noise, in pixel units.
        tv_weight: weight of the total variation: the differences of neighbours, down and across, divided by the number
            of values, so a difference of 1 everywhere costs about twice as many logits.
        l2_weight: weight of the distance from the mean (as under start), in logits for a mean squared difference of 1.
        blur: standard deviation in pixels of a blur every few steps; 0 for none.
        blur_every: how many.
        jitter: the farthest shift of what the network sees, as a fraction of the image's side; up to 0.5.
        scale: by how much that is enlarged or reduced at most: 0.1 is from 0.9 to 1.1 times.
        clip: keep the pixels in [0, 1]: by moving those that leave it onto its edge, or by a sigmoid with "fourier".
        steps: one forward and one backward pass each.
        step_size: the step of Adam; in pixel units, or in amplitudes with "fourier".
        image_shape: (C, H, W); unnecessary for labkit's networks, which know it.
        seed: fixes noise, shifts and scales.
        progress: wraps the loop over the steps, e.g. ``tqdm``; silent by default.

    Yields:
        (N, C, H, W), in [0, 1] if clipped: the images after each step.

    Raises:
        ValueError: bad classes; model in training mode; unknown size of its images, or one that it cannot take;
            unknown objective, parametrization or start; steps or blur_every < 1; any other number out of its range.

    Source:
        Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034. Blur: Yosinski et al. 2015, arXiv:1506.06579. Jitter
        and the Fourier parametrisation: Olah, Mordvintsev and Schubert 2017, *Feature Visualization*, Distill.
    """
    check_choice(OBJECTIVES, objective=objective)
    check_choice(PARAMETRIZATIONS, parametrization=parametrization)
    check_counts(steps=steps, blur_every=blur_every)
    check_positive(step_size=step_size)
    check_not_negative(noise=noise, tv_weight=tv_weight, l2_weight=l2_weight, blur=blur)
    check_within(0, 0.5, jitter=jitter)  # a fraction of the image's side
    check_within(0, 1, ends="[)", scale=scale)
    begun, middle = _begin(model, classes, start, noise, expected_image_shape(model, image_shape), seed)
    written = PARAMETRIZATIONS[parametrization](begun, clip=clip)
    chance = torch.Generator().manual_seed(seed)

    def loss(numbers: Tensor) -> tuple[Tensor, Tensor]:
        images = written.read(numbers)
        seen = laid_out(model, _viewed(images, jitter, scale, chance))
        total = _class_loss(model(seen), classes, objective)
        if tv_weight:
            total = total + tv_weight / images[0].numel() * total_variation(images).sum()
        if l2_weight:
            total = total + l2_weight / images[0].numel() * (images - middle).square().sum()
        return total, images.detach()

    def images_after() -> Iterator[Tensor]:
        numbers = written.write(begun)
        mean, square = torch.zeros_like(numbers), torch.zeros_like(numbers)
        for step in progress(range(steps)):
            (_, images), gradient = value_and_grad(loss, numbers, has_aux=True)
            if step:
                yield images.clone()  # those after the last step, which this one has read already
            t = step + 1
            with torch.no_grad():
                # Adam, with a shorter memory for squares than usual: there are only some hundred steps.
                mean.lerp_(gradient, 0.1)
                square.lerp_(gradient.square_(), 0.01)
                length = square.div(1 - 0.99**t).sqrt_().add_(1e-8)
                numbers.addcdiv_(mean, length, value=-step_size / (1 - 0.9**t))
                written.settle(numbers)
                if blur and t % blur_every == 0:
                    numbers = written.write(gaussian_blur(written.read(numbers), blur))
        yield written.read(numbers).clone()

    return images_after()


class_model = last_of(class_model_steps)


def _begin(
    model: nn.Module,
    classes: Tensor,
    start: str | Tensor,
    noise: float,
    image_shape: tuple[int, int, int],
    seed: int,
) -> tuple[Tensor, Tensor]:
    """The images to begin with, and the data mean: (N, C, H, W) each. Everything is checked on them."""
    check_eval(model)
    check_classes(classes)
    weights = next(model.parameters(), torch.empty(0))
    shape = (len(classes), *image_shape)
    middle = torch.full(shape, 0.5, dtype=weights.dtype, device=classes.device)
    mean = getattr(getattr(model, "normalize", None), "mean", None)
    if isinstance(mean, Tensor):
        middle = mean.to(middle).expand(shape)
    rng = torch.Generator(classes.device).manual_seed(seed)
    if isinstance(start, Tensor):
        try:
            begun = start.detach().to(middle).expand(shape)
        except RuntimeError as error:
            raise ValueError(f"start must fit images of shape {shape}, got {tuple(start.shape)}") from error
    elif start == "zeros":
        begun = torch.zeros_like(middle)
    elif start == "mean":
        begun = middle
    elif start == "noise":
        random = torch.randn(shape, generator=rng, dtype=middle.dtype, device=middle.device)
        begun = (0.5 + noise * random).clamp(0, 1)
    elif start == "uniform":
        begun = torch.rand(shape, generator=rng, dtype=middle.dtype, device=middle.device)
    else:
        raise ValueError(f"start must be a tensor or one of {list(STARTS)}, got {start!r}")
    check_batch(model, begun, classes)
    check_takes(model, begun, classes)
    return begun, middle


def _viewed(images: Tensor, jitter: float, scale: float, chance: torch.Generator) -> Tensor:
    """All images shifted and scaled alike, at random."""
    if not jitter and not scale:
        return images
    down, right, larger = (2 * torch.rand(3, generator=chance) - 1).tolist()
    height, width = images.shape[2:]
    return moved(
        images, down=round(down * jitter * height), right=round(right * jitter * width), scale=1 + larger * scale
    )


def _class_loss(logits: Tensor, classes: Tensor, objective: str) -> Tensor:
    if objective == "logit":
        return -logits.gather(1, classes[:, None]).sum()
    return cross_entropy(logits, classes, reduction="sum")
