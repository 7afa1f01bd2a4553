"""How far are fooling images from everything that the network was trained on? The long answer, with all of MNIST.

`labkit study fooling_images` makes fooling images by gradient and by evolution, measures layer by layer how far they
and real test digits are from the nearest of the 60,000 training images, and finds the training images that the network
does worst on. It takes some five minutes on one core.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labkit import data, models
from labkit.core import check_counts
from labkit.data import ImageSet
from labkit.evaluation.nearest_distances import nearest_distances
from labkit.evaluation.worst_examples import worst_examples
from labkit.studies._study import Option, Part, Plan, Run, Study
from labkit.synthesis.fooling import fooling
from labkit.synthesis.fooling_evolution import fooling_evolution

LAYERS = ("input", "pool1", "pool2", "fc1")
# The gradient search in the version that the book shows, and with one thing changed at a time.
SEARCHES: dict[str, dict[str, Any]] = {
    "as shown": {},
    "nearest by neuron": {"per_neuron": True},
    "no distances": {"reference_weight": 0.0, "batch_weight": 0.0},
}
GENERATIONS = {"direct": 300, "smooth": 100}


def plan(options: Namespace) -> Plan:
    """Two parts: sets of images and how far they are, and the worst training images."""
    check_counts(tests=options.tests, each=options.each, bred=options.bred, steps=options.steps)
    shared = {name: getattr(options, name) for name in ("tests", "each", "bred", "steps")}
    shared |= {"reference": len(_reference(options)), "generations": GENERATIONS, "seed": 0}
    return Plan({"sets": Part({"searches": SEARCHES}, ("mnist",)), "worst": Part({}, ("mnist",))}, shared)


def measure(run: Run) -> dict[str, Any]:
    """One of the two parts, on the MNIST network."""
    model, reference = models.load("mnist"), _reference(run.options)
    if run.name == "worst":
        return worst(model, reference)
    test = data.sample("mnist", "test").subset(slice(run.shared["tests"]))
    return sets(model, reference, test, **{name: run.shared[name] for name in ("each", "bred", "steps")})


def _reference(options: Namespace) -> ImageSet:
    return data.sample("mnist", "train") if options.sample else data.load("mnist", "train")


def sets(
    model: nn.Module, reference: ImageSet, test: ImageSet, *, each: int = 8, bred: int = 5, steps: int = 60
) -> dict[str, Any]:
    """Fooling images, noise and test digits: how certain the network is, and how far they are from the reference.

    Args:
        model: an MNIST network with the layers of LAYERS.
        reference: the training set.
        test: real digits to compare with.
        each: images of each class that a gradient search looks for.
        bred: populations of an evolution; each breeds an image of each class.
        steps: the most steps of a gradient search.

    Returns:
        By the name of the set, ready for JSON.
    """
    classes = torch.arange(10).repeat_interleave(each)
    searches = {
        name: fooling(model, classes, reference=reference, steps=steps, **options) for name, options in SEARCHES.items()
    }
    images = {name: found.images for name, found in searches.items()}
    for encoding, generations in GENERATIONS.items():
        wanted = torch.arange(10).repeat_interleave(bred)
        images[encoding] = fooling_evolution(model, wanted, encoding=encoding, steps=generations)
    images["noise"] = torch.rand(len(classes), *test.images.shape[1:], generator=torch.Generator().manual_seed(0))
    found = _described(model, images | {"test digits": test.images}, test.labels, reference)
    for name, search in searches.items():
        found[name] |= {
            "steps": search.steps.tolist(),
            "restarts": search.restarts.tolist(),
            "change": round((search.images - images["as shown"]).abs().mean().item(), 5),
            "outside": round(((search.images < 0) | (search.images > 1)).float().mean().item(), 4),
        }
    return found


def worst(model: nn.Module, reference: ImageSet) -> dict[str, Any]:
    """The training images to whose label the network gives the lowest probability, ready for JSON."""
    found = worst_examples(model, reference.images, reference.labels)
    return {
        "indices": found.indices.tolist(),
        "labels": reference.labels[found.indices].tolist(),
        "logits": [[round(value, 3) for value in row] for row in found.logits.tolist()],
        "pixels": (255 * reference.images[found.indices].flatten(1)).round().int().tolist(),
    }


def _described(model: nn.Module, images: dict[str, Tensor], labels: Tensor, reference: ImageSet) -> dict[str, Any]:
    """The confidence in each image's class and how far it is from its nearest, for sets of images in the order of
    their classes, as many of each, and for test digits with labels."""
    classes = {
        name: labels if name == "test digits" else torch.arange(10).repeat_interleave(len(each) // 10)
        for name, each in images.items()
    }
    together, wanted = torch.cat(list(images.values())), torch.cat(list(classes.values()))
    with torch.no_grad():
        sure = model(together).softmax(1).gather(1, wanted[:, None])[:, 0]
    distances = nearest_distances(model, together, wanted, reference=reference, layers=LAYERS)
    sizes = [len(each) for each in images.values()]
    parts = {name: dict(zip(images, each.split(sizes), strict=True)) for name, each in distances.items()}
    return {
        name: {
            "confidence": [float(f"{value:.7g}") for value in each.tolist()],
            "distances": {layer: [float(f"{v:.4g}") for v in part[name].tolist()] for layer, part in parts.items()},
        }
        for name, each in zip(images, sure.split(sizes), strict=True)
    }


STUDY = Study(
    "fooling_images",
    "How far are fooling images from everything that the network was trained on?",
    plan,
    measure,
    options=(
        Option("sample", False, "the bundled sample in the place of the training set"),
        Option("tests", 1000, "test digits to compare with"),
        Option("each", 8, "images of each class by gradient"),
        Option("bred", 5, "images of each class by evolution"),
        Option("steps", 60, "the most steps of a gradient search"),
    ),
)


def results(path: Path | None = None) -> dict[str, Any]:
    """The settings, and what was found under "sets" and "worst"."""
    card = STUDY.card(path)
    return card["settings"] | {name: part["found"] for name, part in card["parts"].items()}


if __name__ == "__main__":
    STUDY.main()
