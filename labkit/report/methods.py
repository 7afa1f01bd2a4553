"""The attribution methods that a report compares, each with what it needs and the options that it is called with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.guided_backprop import guided_backprop
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.attribution.occlusion import Occlusion, average_over_windows, occlusion
from labkit.attribution.saliency import saliency
from labkit.attribution.smoothgrad import smoothgrad
from labkit.report.subject import Subject

GRADIENT = 3  # forward passes that a forward and a backward pass take together
SAMPLES = 16  # of SmoothGrad, and steps of integrated gradients
WINDOWS = 6  # an occluded window's side is this part of the image's

Method = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Kind:
    """A method as the page names it.

    Attributes:
        title: its name in words.
        chapter: the slug of the chapter that explains it.
        passes: for one image.
    """

    title: str
    chapter: str
    passes: float


def kinds(subject: Subject) -> dict[str, Kind]:
    """The methods of a report, by name."""
    height, width = subject.image_size
    (down, across), (step_down, step_across) = windows(subject)
    positions = ((height - down) // step_down + 1) * ((width - across) // step_across + 1)
    known = {
        "saliency": Kind("saliency", "09_saliency_and_smoothgrad", GRADIENT),
        "smoothgrad": Kind("SmoothGrad", "09_saliency_and_smoothgrad", SAMPLES * GRADIENT),
        "integrated_gradients": Kind("integrated gradients", "10_beyond_the_gradient", SAMPLES * GRADIENT),
        "grad_cam": Kind("Grad-CAM", "10_beyond_the_gradient", GRADIENT),
        "guided_backprop": Kind("guided backpropagation", "10_beyond_the_gradient", GRADIENT),
        "occlusion": Kind("occlusion", "08_occlusion", positions),
    }
    return {name: known[name] for name in subject.methods}


def method_of(subject: Subject, name: str) -> Method:
    """(model, images, classes) -> maps, with the report's options.

    Raises:
        ValueError: the method does not apply to this network.
    """
    size = subject.batch_size
    if name == "smoothgrad":
        return partial(smoothgrad, samples=SAMPLES, seed=subject.seed, batch_size=size)
    if name == "integrated_gradients":
        return partial(_contributions, baseline=subject.fill, batch_size=size)
    if name == "grad_cam":
        if not subject.layer:
            raise ValueError(f"Grad-CAM does not apply: {subject.no_layer}")
        return partial(grad_cam, layer=subject.layer)
    if name == "guided_backprop":
        if not any(isinstance(module, nn.ReLU | nn.ReLU6) for module in subject.model.modules()):
            raise ValueError("guided backpropagation does not apply: the network has no ReLU as a layer of its own")
        return guided_backprop
    if name == "occlusion":
        return partial(_lost, subject)
    return saliency


def windows(subject: Subject) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size and stride of the occluded window, each down and across."""
    height, width = (max(side // WINDOWS, 1) for side in subject.image_size)
    return (height, width), (max(2 * height // 3, 1), max(2 * width // 3, 1))


def occluded(
    subject: Subject, model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]
) -> Occlusion:
    """Occlusion with the report's window."""
    window, stride = windows(subject)
    options = {"fill": min(max(subject.fill, 0.0), 1.0), "batch_size": subject.batch_size}
    return occlusion(model, images, classes, window=window, stride=stride, **options)  # pyright: ignore[reportArgumentType]


def averaged(subject: Subject, found: Occlusion) -> Float[Tensor, "n h w"]:
    """What hiding each pixel costs the class, in probability."""
    window, stride = windows(subject)
    lost = found.clean[:, None, None] - found.probability
    return average_over_windows(lost, subject.image_size, window=window, stride=stride)


def _lost(subject: Subject, model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    return averaged(subject, occluded(subject, model, images, classes))


def _contributions(
    model: nn.Module, images: Tensor, classes: Tensor, *, baseline: float, batch_size: int
) -> torch.Tensor:
    options = {"steps": SAMPLES, "batch_size": batch_size}
    return integrated_gradients(model, images, classes, baseline=baseline, **options).sum(1)  # pyright: ignore[reportArgumentType]
