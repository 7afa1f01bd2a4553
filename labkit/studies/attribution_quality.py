"""Which map to trust: deletion and insertion of every method of labkit.attribution, beside maps that see no network.

`labkit study attribution_quality` measures every method on MNIST and CIFAR-10. It takes some minutes.
"""

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit import data, models
from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.guided_backprop import guided_backprop
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.attribution.occlusion import average_over_windows, occlusion
from labkit.attribution.saliency import saliency
from labkit.attribution.smoothgrad import smoothgrad
from labkit.evaluation.baselines import edges, random_order
from labkit.evaluation.deletion import deletion, insertion
from labkit.studies._study import Option, Part, Plan, Run, Study

AT_ONCE = 20  # images a method gets in one call, so that the first of them can be measured again on their own
FILLS = {"mnist": 0.0, "cifar10": 0.5}  # what replaces a pixel: black, the digits' background; grey
WINDOWS = {"mnist": (6, 2), "cifar10": (8, 2)}  # occlusion's window and stride
UNIT = "area under the curve, the mean probability of the true class; one entry an image"


def methods(name: str) -> dict[str, Callable[..., Tensor]]:
    """What is compared on a data set: title -> (model, images, classes) -> maps.

    Args:
        name: "mnist" or "cifar10".
    """
    fill, (window, stride) = FILLS[name], WINDOWS[name]

    def signed(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
        return integrated_gradients(model, images, classes, baseline=fill, steps=25).sum(1)

    def occluded(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
        found = occlusion(model, images, classes, window=window, stride=stride, fill=fill)
        drop, (height, width) = found.clean[:, None, None] - found.probability, images.shape[2:]
        return average_over_windows(drop, (height, width), window=window, stride=stride)

    return {
        "saliency": saliency,
        "SmoothGrad": smoothgrad,
        "SmoothGrad, squared": partial(smoothgrad, squared=True),
        "integrated gradients": partial(integrated_gradients, baseline=fill, steps=25),
        "integrated gradients, signed": signed,
        "Grad-CAM": grad_cam,
        "guided backpropagation": guided_backprop,
        "occlusion": occluded,
        "edges": edges,
        "random order": random_order,
    }


def areas(
    name: str, title: str, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"], *, steps: int
) -> dict[str, Float[Tensor, " n"]]:
    """Areas under the deletion and the insertion curve of one method on its data set's network.

    Args:
        name: "mnist" or "cifar10".
        title: of the method, a key of `methods`.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.
        steps: chunks of pixels.

    Returns:
        {"deletion": (N,), "insertion": (N,)}.
    """
    model, method = models.load(name), methods(name)[title]
    found: dict[str, list[Tensor]] = {"deletion": [], "insertion": []}
    for some, labels in zip(images.split(AT_ONCE), classes.split(AT_ONCE), strict=True):
        maps = method(model, some, labels)
        for test in (deletion, insertion):
            found[test.__name__].append(test(model, some, labels, maps, steps=steps, fill=FILLS[name]).area)
    return {test: torch.cat(parts) for test, parts in found.items()}


def plan(options: Namespace) -> Plan:
    """A part a data set and method."""
    parts = {
        f"{name}: {title}": Part({"data": name, "method": title}, (name,)) for name in FILLS for title in methods(name)
    }
    return Plan(parts, {"images": options.images, "steps": options.steps, "seed": 0, "unit": UNIT})


def measure(run: Run) -> dict[str, Any]:
    """The areas of one method on the first images of the bundled sample."""
    name, title = run.part.settings["data"], run.part.settings["method"]
    found = areas(name, title, *data.examples(name, run.shared["images"]), steps=run.shared["steps"])
    return {test: [round(area, 4) for area in each.tolist()] for test, each in found.items()}


def line(name: str, found: dict[str, Any]) -> str:
    """A method's means as they are printed."""
    means = (f"{test} {sum(each) / len(each):.3f}" for test, each in found.items())
    return f"{name:40}" + "  ".join(means)


STUDY = Study(
    "attribution_quality",
    "Which attribution maps name the pixels that the network needs?",
    plan,
    measure,
    options=(
        Option("images", 200, "of each data set's bundled test images"),
        Option("steps", 10, "chunks of pixels"),
    ),
    line=line,
)


def results(path: Path | None = None) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Data set -> method -> {"deletion": areas, "insertion": areas}, an entry an image."""
    found: dict[str, dict[str, Any]] = {}
    for part in STUDY.card(path)["parts"].values():
        found.setdefault(part["settings"]["data"], {})[part["settings"]["method"]] = part["found"]
    return found


if __name__ == "__main__":
    STUDY.main()
