"""Does one image's noise fool a network on other images? The long answer, with counts.

`labkit study universality` learns noises on single images and on a hundred, adds each to test images that none of
them has met, and writes labkit/studies/results/universality.json. It takes some four minutes on one core.
"""

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from labkit import data, models
from labkit.attacks.universal_perturbation import UniversalPerturbations, universal_perturbation
from labkit.evaluation.universality import universality

RESULTS = Path(__file__).parent / "results" / "universality.json"
# For each network: how many steps of which length a noise takes, and the lengths that all are brought to at the end.
SETTINGS = {
    "mnist": {"steps": 100, "step_size": 0.1, "lengths": [1, 2, 3, 4, 5, 6, 8]},
    "cifar10": {"steps": 60, "step_size": 0.05, "lengths": [0.5, 1, 1.5, 2, 3]},
}


def results() -> dict:
    """What the last run of this module wrote."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def study(name: str, *, sources: int = 10, many: int = 100, tests: int = 1000, seed: int = 0) -> dict:
    """Every experiment on one network.

    Args:
        name: "mnist" or "cifar10": the network, and the images of its bundled samples.
        sources: training images that a noise is learned on alone, one after the other; one noise for each class.
        many: training images that a noise is learned on together.
        tests: test images to add the noises to that were learned on many images. The others, of which there are ten
            times as many, meet a fifth of these, and so do all in the comparison at equal length.
        seed: fixes the random noise that the comparison begins with.

    Returns:
        The settings and the counts, ready for JSON. A table is K x K, true class by target class.
    """
    model, options = models.load(name), SETTINGS[name]
    train, test = data.sample(name, "train"), data.sample(name, "test").subset(slice(tests))
    few = test.subset(slice(tests // 5))
    run = {"steps": options["steps"], "step_size": options["step_size"]}
    targets = torch.arange(len(test.classes))
    together = train.images[:many].repeat(len(targets), 1, 1, 1), targets.repeat_interleave(many)
    alone = [
        (image.expand(len(targets), -1, -1, -1), targets) for image in train.images[:sources]
    ]  # the sample's images are of class 0, 1, ..., 9, 0, ...
    noises = {
        "one image, just enough": [universal_perturbation(model, *each, **run, confidence=0.9) for each in alone],
        "one image": [universal_perturbation(model, *each, **run) for each in alone],
        "many images": [universal_perturbation(model, *together, **run)],
    }
    rng = torch.Generator().manual_seed(seed)
    random = torch.randn(noises["one image"][0].perturbations.shape, generator=rng)
    return {
        "sources": sources, "many": many, "tests": len(test), "few": len(few), **run, "seed": seed,
        "tables": {which: _table(model, test if len(each) == 1 else few, each) for which, each in noises.items()},
        "lengths": options["lengths"],
        "at_length": {
            "random": _curve(model, few, [UniversalPerturbations(random, random, targets)], options["lengths"]),
            "one image": _curve(model, few, noises["one image"], options["lengths"]),
            "many images": _curve(model, few, noises["many images"], options["lengths"]),
        },
    }  # fmt: skip


def _table(model: nn.Module, test: data.ImageSet, noises: list[UniversalPerturbations]) -> dict:
    """Counts over all the noises, the success of each set of noises, and how long they are."""
    tables = [universality(model, test.images, test.labels, each) for each in noises]
    lengths = torch.cat([_length(each.perturbations) for each in noises])
    return {
        "successes": sum(table.successes for table in tables).tolist(),
        "trials": sum(table.trials for table in tables).tolist(),
        "excluded": sum(table.excluded for table in tables).tolist(),
        "by_source": [round((table.successes.sum() / table.trials.sum()).item(), 4) for table in tables],
        "own_images": round(torch.cat([_own(model, each) for each in noises]).float().mean().item(), 4),
        "length": {"median": round(lengths.median().item(), 3), "largest": round(lengths.max().item(), 3)},
    }


def _curve(model: nn.Module, few: data.ImageSet, noises: list[UniversalPerturbations], lengths: list[float]) -> dict:
    """Successes and trials of all noises together once each has the same length, for several lengths."""
    counts = []
    for length in lengths:
        scaled = [
            UniversalPerturbations(
                each.images,
                length * each.perturbations / _length(each.perturbations)[:, None, None, None],
                each.classes,
            )
            for each in noises
        ]
        tables = [universality(model, few.images, few.labels, each) for each in scaled]
        counts.append([sum(int(getattr(table, what).sum()) for table in tables) for what in ("successes", "trials")])
    successes, trials = zip(*counts, strict=True)
    return {"successes": list(successes), "trials": list(trials)}


def _length(noise: Tensor) -> Tensor:
    return noise.flatten(1).norm(dim=1).clamp_min(1e-12)


def _own(model: nn.Module, noises: UniversalPerturbations) -> Tensor:
    """Whether each image that a noise was learned on became its class."""
    targets = noises.classes.repeat_interleave(len(noises.images) // len(noises.classes))
    with torch.no_grad():
        return torch.cat([model(part) for part in noises.images.split(500)]).argmax(1) == targets


def main(arguments: list[str] | None = None) -> None:
    """Run the study on both networks and write the file."""
    parser = argparse.ArgumentParser(prog="labkit study universality", description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=RESULTS, help="the file to write")
    parser.add_argument("--sources", type=int, default=10, help="single images to learn on")
    parser.add_argument("--many", type=int, default=100, help="images to learn on together")
    parser.add_argument("--tests", type=int, default=1000, help="test images")
    options = vars(parser.parse_args(arguments))
    path = options.pop("to")
    given = " ".join(sys.argv[1:] if arguments is None else arguments)
    found = {
        "command": f"labkit study universality {given}".strip(),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "networks": {name: {"sha256": models.card(name)["sha256"]} | study(name, **options) for name in SETTINGS},
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
