"""Which map to trust: two tests that every method of labkit.attribution can take.

Deletion and insertion ask whether the pixels that a map calls important are the ones that the network needs. Cascading
randomisation asks whether a map notices when the network forgets, layer by layer, what it has learnt. Both are to be
read beside two maps that never look at the network: `random_order` and `edges`.

`labkit study attribution_quality` measures every method on MNIST and CIFAR-10 and writes
labkit/studies/results/attribution_quality.json.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
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

RESULTS = Path(__file__).parent / "results" / "attribution_quality.json"
AT_ONCE = 20  # images a method gets in one call, so that the first of them can be measured again on their own
FILLS = {"mnist": 0.0, "cifar10": 0.5}  # what replaces a pixel: black, which is no ink; grey
WINDOWS = {"mnist": (6, 2), "cifar10": (8, 2)}  # occlusion's window and stride


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
        drop = found.clean[:, None, None] - found.probability
        return average_over_windows(drop, tuple(images.shape[2:]), window=window, stride=stride)

    return {
        "saliency": saliency,
        "SmoothGrad": smoothgrad,
        "SmoothGrad, squared": partial(smoothgrad, squared=True),
        "integrated gradients": partial(integrated_gradients, baseline=fill, steps=25),
        "integrated gradients, signed": signed,
        "Grad-CAM": grad_cam,
        "guided backprop": guided_backprop,
        "occlusion": occluded,
        "edges": edges,
        "random order": random_order,
    }


def measure(name: str, images: Tensor, classes: Tensor, *, steps: int = 10, progress=iter) -> dict[str, dict]:
    """Areas of the deletion and the insertion curve of every method on its data set's network.

    Args:
        name: "mnist" or "cifar10".
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.
        steps: chunks of pixels.
        progress: wraps the loop over the methods.

    Returns:
        title -> {"deletion": (N,), "insertion": (N,)}.
    """
    model, found = models.load(name), {}
    batches = list(zip(images.split(AT_ONCE), classes.split(AT_ONCE), strict=True))
    for title, method in progress(methods(name).items()):
        areas = {"deletion": [], "insertion": []}
        for some, labels in batches:
            maps = method(model, some, labels)
            for test in (deletion, insertion):
                areas[test.__name__].append(test(model, some, labels, maps, steps=steps, fill=FILLS[name]).area)
        found[title] = {test: torch.cat(parts) for test, parts in areas.items()}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Write labkit/studies/results/attribution_quality.json."""
    parser = argparse.ArgumentParser(prog="labkit study attribution_quality", description=main.__doc__)
    parser.add_argument("--images", type=int, default=200, help="of each data set's bundled test images")
    parser.add_argument("--steps", type=int, default=10, help="chunks of pixels")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    card = {
        "command": f"labkit study attribution_quality --images {options.images} --steps {options.steps}",
        "seed": 0,
        "versions": {package: version(package) for package in ("labkit", "torch")},
        "images": options.images,
        "steps": options.steps,
        "unit": "area under the curve, the mean probability of the true class; one entry an image",
        "areas": {},
    }
    for name in FILLS:
        found = measure(name, *data.examples(name, options.images), steps=options.steps)
        card["areas"][name] = {
            title: {test: [round(area, 4) for area in areas.tolist()] for test, areas in both.items()}
            for title, both in found.items()
        }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(card) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
