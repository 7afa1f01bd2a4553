"""Does a perturbation that was learned on one image fool a network on other images? The long answer, with counts.

`labkit study universality` learns targeted universal perturbations on single images and on a hundred, and adds each to
test images that it was not learned on. It takes some four minutes on one core.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labkit import data, models
from labkit.attacks.universal_perturbation import UniversalPerturbations, universal_perturbation
from labkit.core import check_counts
from labkit.evaluation.universality import universality
from labkit.studies._study import Option, Part, Plan, Run, Study

# For each network: how many steps of which length, and the lengths that all perturbations are brought to at the end.
SETTINGS = {
    "mnist": {"steps": 100, "step_size": 0.1, "lengths": [1, 2, 3, 4, 5, 6, 8]},
    "cifar10": {"steps": 60, "step_size": 0.05, "lengths": [0.5, 1, 1.5, 2, 3]},
}


def plan(options: Namespace) -> Plan:
    """A part a network; they share how many images they learn on and are tested on."""
    check_counts(sources=options.sources, many=options.many, tests=options.tests)
    shared = {"sources": options.sources, "many": options.many, "tests": options.tests, "seed": 0}
    return Plan({name: Part(settings, (name,)) for name, settings in SETTINGS.items()}, shared)


def measure(run: Run) -> dict[str, Any]:
    """Every experiment on one network.

    The shared settings are `sources`, the training images to learn on alone, one after the other, with one
    perturbation for each class; `many`, those to learn on together; `tests`, the test images for what was learned on
    many images (the others, of which there are ten times as many, meet a fifth of these, and so do all in the
    comparison at equal length); and `seed`, which fixes the random perturbation that the comparison begins with.

    Returns:
        The counts. A table is K x K, true class by target class.
    """
    shared, lengths = run.shared, run.part.settings["lengths"]
    steps = {"steps": run.part.settings["steps"], "step_size": run.part.settings["step_size"]}
    model, train = models.load(run.name), data.sample(run.name, "train")
    test = data.sample(run.name, "test").subset(slice(shared["tests"]))
    few = test.subset(slice(shared["tests"] // 5))
    targets = torch.arange(len(test.classes))
    many = shared["many"]
    together = train.images[:many].repeat(len(targets), 1, 1, 1), targets.repeat_interleave(many)
    alone = [
        (image.expand(len(targets), -1, -1, -1), targets) for image in train.images[: shared["sources"]]
    ]  # the sample's images are of class 0, 1, ..., 9, 0, ...
    learned = {
        "one image, just enough": [universal_perturbation(model, *each, **steps, confidence=0.9) for each in alone],
        "one image": [universal_perturbation(model, *each, **steps) for each in alone],
        "many images": [universal_perturbation(model, *together, **steps)],
    }
    rng = torch.Generator().manual_seed(shared["seed"])
    random = torch.randn(learned["one image"][0].perturbations.shape, generator=rng)
    return {
        "few": len(few),
        "tables": {which: _table(model, test if len(each) == 1 else few, each) for which, each in learned.items()},
        "at_length": {
            "random": _curve(model, few, [UniversalPerturbations(random, random, targets)], lengths),
            "one image": _curve(model, few, learned["one image"], lengths),
            "many images": _curve(model, few, learned["many images"], lengths),
        },
    }


def _table(model: nn.Module, test: data.ImageSet, found: list[UniversalPerturbations]) -> dict[str, Any]:
    """Counts over all the perturbations, the success of each set of perturbations, and how long they are."""
    tables = [universality(model, test.images, test.labels, each) for each in found]
    lengths = torch.cat([_length(each.perturbations) for each in found])
    return {
        "successes": torch.stack([table.successes for table in tables]).sum(0).tolist(),
        "trials": torch.stack([table.trials for table in tables]).sum(0).tolist(),
        "excluded": torch.stack([table.excluded for table in tables]).sum(0).tolist(),
        "by_source": [round((table.successes.sum() / table.trials.sum()).item(), 4) for table in tables],
        "own_images": round(torch.cat([_own(model, each) for each in found]).float().mean().item(), 4),
        "length": {"median": round(lengths.median().item(), 3), "largest": round(lengths.max().item(), 3)},
    }


def _curve(
    model: nn.Module, few: data.ImageSet, found: list[UniversalPerturbations], lengths: list[float]
) -> dict[str, Any]:
    """Successes and trials of all perturbations together once each has the same length, for several lengths."""
    counts = []
    for length in lengths:
        scaled = [
            UniversalPerturbations(
                each.images,
                length * each.perturbations / _length(each.perturbations)[:, None, None, None],
                each.classes,
            )
            for each in found
        ]
        tables = [universality(model, few.images, few.labels, each) for each in scaled]
        counts.append([sum(int(getattr(table, what).sum()) for table in tables) for what in ("successes", "trials")])
    successes, trials = zip(*counts, strict=True)
    return {"successes": list(successes), "trials": list(trials)}


def _length(perturbations: Tensor) -> Tensor:
    return perturbations.flatten(1).norm(dim=1).clamp_min(1e-12)


def _own(model: nn.Module, found: UniversalPerturbations) -> Tensor:
    """Whether each image that a perturbation was learned on became its class."""
    targets = found.classes.repeat_interleave(len(found.images) // len(found.classes))
    with torch.no_grad():
        return torch.cat([model(part) for part in found.images.split(500)]).argmax(1) == targets


STUDY = Study(
    "universality",
    "Does a perturbation that was learned on one image fool a network on other images?",
    plan,
    measure,
    options=(
        Option("sources", 10, "single images to learn on"),
        Option("many", 100, "images to learn on together"),
        Option("tests", 1000, "test images"),
    ),
)


def results(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Settings and counts, by the name of the network."""
    card = STUDY.card(path)
    return {name: card["settings"] | part["settings"] | part["found"] for name, part in card["parts"].items()}


if __name__ == "__main__":
    STUDY.main()
