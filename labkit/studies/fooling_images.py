"""How far are images of nothing from everything that the network was trained on? The long answer, with all of MNIST.

`labkit study fooling_images` makes fooling images by gradient and by evolution, measures layer by layer how far
they and real test digits are from the nearest of the 60,000 training images, finds the training images that the
network does worst on, and writes labkit/studies/results/fooling_images.json. It takes some five minutes on one core.
"""

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from labkit import data, models
from labkit.data import ImageSet
from labkit.evaluation.nearest_distances import nearest_distances
from labkit.evaluation.worst_examples import worst_examples
from labkit.synthesis.fooling import fooling
from labkit.synthesis.fooling_evolution import fooling_evolution

RESULTS = Path(__file__).parent / "results" / "fooling_images.json"
LAYERS = ("input", "pool1", "pool2", "fc1")
# The gradient search in the version that the book shows, and with one thing changed at a time.
SEARCHES = {
    "as shown": {},
    "nearest by neuron": {"per_neuron": True},
    "no distances": {"reference_weight": 0.0, "batch_weight": 0.0},
}
GENERATIONS = {"direct": 300, "smooth": 100}


def results() -> dict:
    """What the last run of this module wrote."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def study(model: nn.Module, reference: ImageSet, test: ImageSet, *, each: int = 8, bred: int = 5, steps=60) -> dict:
    """All searches, their distances, and the worst training images.

    Args:
        model: an MNIST network with the layers of LAYERS.
        reference: the training set.
        test: real digits to compare with.
        each: images of each class that a gradient search looks for.
        bred: populations of an evolution; each breeds an image of each class.
        steps: the most steps of a gradient search.

    Returns:
        Settings and findings, ready for JSON.
    """
    classes = torch.arange(10).repeat_interleave(each)
    searches = {
        name: fooling(model, classes, reference=reference, steps=steps, **options) for name, options in SEARCHES.items()
    }
    images = {name: found.images for name, found in searches.items()}
    for encoding in GENERATIONS:
        run = {"encoding": encoding, "steps": GENERATIONS[encoding]}
        images[encoding] = fooling_evolution(model, torch.arange(10).repeat_interleave(bred), **run)
    images["noise"] = torch.rand(len(classes), *test.images.shape[1:], generator=torch.Generator().manual_seed(0))
    sets = _described(model, images | {"test digits": test.images}, test.labels, reference)
    for name, found in searches.items():
        sets[name] |= {
            "steps": found.steps.tolist(),
            "restarts": found.restarts.tolist(),
            "change": round((found.images - images["as shown"]).abs().mean().item(), 5),
            "outside": round(((found.images < 0) | (found.images > 1)).float().mean().item(), 4),
        }
    worst = worst_examples(model, reference.images, reference.labels)
    return {
        "reference": len(reference), "tests": len(test), "each": each, "bred": bred, "steps": steps, "sets": sets,
        "generations": GENERATIONS,
        "worst": {
            "indices": worst.indices.tolist(),
            "labels": reference.labels[worst.indices].tolist(),
            "logits": [[round(value, 3) for value in row] for row in worst.logits.tolist()],
            "pixels": (255 * reference.images[worst.indices].flatten(1)).round().int().tolist(),
        },
    }  # fmt: skip


def _described(model: nn.Module, images: dict[str, Tensor], labels: Tensor, reference: ImageSet) -> dict:
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


def main(arguments: list[str] | None = None) -> None:
    """Run the study on the MNIST network and write the file."""
    parser = argparse.ArgumentParser(prog="labkit study fooling_images", description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=RESULTS, help="the file to write")
    parser.add_argument("--sample", action="store_true", help="the bundled sample in the place of the training set")
    parser.add_argument("--tests", type=int, default=1000, help="test digits to compare with")
    parser.add_argument("--each", type=int, default=8, help="images of each class by gradient")
    parser.add_argument("--bred", type=int, default=5, help="images of each class by evolution")
    parser.add_argument("--steps", type=int, default=60, help="the most steps of a gradient search")
    options = vars(parser.parse_args(arguments))
    path, sample, tests = options.pop("to"), options.pop("sample"), options.pop("tests")
    given = " ".join(sys.argv[1:] if arguments is None else arguments)
    reference = data.sample("mnist", "train") if sample else data.load("mnist", "train")
    test = data.sample("mnist", "test").subset(slice(tests))
    found = {
        "command": f"labkit study fooling_images {given}".strip(),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "sha256": models.card("mnist")["sha256"],
        "source": f"{len(reference):,} training images of MNIST",
    } | study(models.load("mnist"), reference, test, **options)
    path.parent.mkdir(exist_ok=True)
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    partial_path.write_text(json.dumps(found) + "\n", encoding="utf-8")
    partial_path.replace(path)


if __name__ == "__main__":
    main()
