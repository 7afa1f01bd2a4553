"""How much of a network's figures is chance? The same recipe, with other seeds.

`labkit study seeds` trains networks again, with other initial weights, another order and other draws, and measures
what `labkit study sandwich` measures of the shipped ones. The weights of a seed stay in the cache.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from labkit import models
from labkit.core import check_counts
from labkit.recipes import RECIPES, train_shipped
from labkit.studies._study import Option, Part, Plan, Run, Study
from labkit.studies.sandwich import THREATS, counted
from labkit.training import keep_freed_memory, single_process

# What is measured of each. Training one of photographs takes more than an hour of a core.
CLEAN: dict[str, Any] = {"clean": {"images": 10_000}}
EPS, _ = THREATS["mnist"]
CERTIFIED = CLEAN | {
    "proved": {"images": 10_000, "eps": EPS},
    "autoattack": {"images": 10_000, "eps": EPS, "attacks": [["auto", {"steps": 100}]]},
}
MEASURED: dict[str, dict[str, Any]] = {
    "mnist": CLEAN,
    "mnist-bn": CLEAN,
    "mnist-best": CLEAN,
    "mnist-certified": CERTIFIED,
    "mnist-robust-best": CERTIFIED,
}


def plan(options: Namespace) -> Plan:
    """A part a network and seed; seed 0 is that of the shipped weights."""
    small = {"images": options.images, "epochs": options.epochs}
    check_counts(seeds=options.seeds, **{name: value for name, value in small.items() if value is not None})
    parts = {}
    for network, kinds in MEASURED.items():
        precision = models.card(network)["precision"]
        for seed in range(1, options.seeds + 1):
            settings = {"network": network, "seed": seed, "precision": precision, "measured": kinds}
            begin = RECIPES[network].begin_with
            parts[f"{network}, seed {seed}"] = Part(settings, networks=(begin,) if begin else ())
    return Plan(parts, {"train_images": options.images, "epochs": options.epochs})  # None: as the recipe says


def measure(run: Run) -> dict[str, Any]:
    """Train one network with one seed, and count what it classifies correctly, and what is proved or withstands."""
    network, settings = _trained(run), run.part.settings
    name = f"{settings['network']}-seed-{settings['seed']}"
    return {kind: counted(run, network, name, each) for kind, each in settings["measured"].items()}


def _trained(run: Run) -> nn.Module:
    """The network with its weights, trained now or by a run before; a killed training goes on."""
    settings = run.part.settings
    name, seed = settings["network"], settings["seed"]
    folder = run.cache / run.name
    if not (folder / f"{name}.json").exists():  # written last
        keep_freed_memory()
        images, epochs = run.shared["train_images"], run.shared["epochs"]
        fabric = single_process(settings["precision"])
        train_shipped(name, folder, seed=seed, images=images, epochs=epochs, fabric=fabric)
    network = RECIPES[name].build()
    network.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return network.eval()


def line(name: str, found: dict[str, Any]) -> str:
    """A measurement as it is printed."""
    return f"{name:28} " + ", ".join(f"{kind} {each['accuracy']:.2%}" for kind, each in found.items())


STUDY = Study(
    "seeds",
    "How much of a network's figures is chance?",
    plan,
    measure,
    options=(
        Option("seeds", 2, "how many, besides that of the shipped weights"),
        Option("images", None, "train on the first so many only, to try things out", type=int),
        Option("epochs", None, "another number of epochs than the recipe's, to try things out", type=int),
    ),
    packages=("torch", "lightning-fabric", "torchattacks"),
    line=line,
)


def results(path: Path | None = None) -> dict[str, list[dict[str, dict[str, Any]]]]:
    """What was measured, by network, for each seed from 1 up: kind ("clean", "proved", "autoattack") -> counts."""
    found: dict[str, list[dict[str, dict[str, Any]]]] = {}
    for name, measured in STUDY.found(path).items():
        found.setdefault(name.partition(",")[0], []).append(measured)
    return found


if __name__ == "__main__":
    STUDY.main()
