"""How many images a network still gets right when someone may change them a little.

`labkit study robustness` measures the shipped networks in the ways that the field compares them, and writes
labkit/studies/results/robustness.json, one measurement after the other: a run that was killed goes on where it stopped,
and what was measured on weights that are no longer shipped is measured again.
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from labkit import data, models
from labkit.attacks.fgsm import fgsm
from labkit.attacks.pgd import pgd
from labkit.evaluation.robust_accuracy import robust_accuracy
from labkit.extras import needs

RESULTS = Path(__file__).parent / "results" / "robustness.json"


def auto_attack(model: nn.Module, images: Tensor, classes: Tensor, *, eps: float, seed: int = 0) -> Tensor:
    """torchattacks' AutoAttack (standard version, Linf), without its warnings and its changes of global state.

    Source:
        Croce and Hein 2020, arXiv:2003.01690.
    """
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        with needs("studies"):
            import torchattacks  # here: only this needs it

        attack = torchattacks.AutoAttack(model, norm="Linf", eps=eps, version="standard", n_classes=10, seed=seed)
        return attack(images, classes).detach().clamp(0, 1)


# What is measured: a name, the network attacked and the one that is asked, the images, the attack and its options.

ATTACKS = {"fgsm": fgsm, "pgd": pgd, "auto": auto_attack}
MNIST = ("mnist", "mnist-bn", "mnist-robust")
PGD_40 = {"steps": 40, "step_size": 0.01}


def measurements() -> dict[str, dict]:
    """Every measurement of robustness.json by its name, without what it gave."""
    made = {}

    def add(name: str, network: str, images: int, attack: str, *, source: str | None = None, **options) -> None:
        made[name] = {"network": network, "source": source or network, "images": images, "attack": attack}
        made[name]["options"] = options

    for network in MNIST:  # Goodfellow's experiment, on all test images
        add(f"{network} fgsm 0.25", network, 10_000, "fgsm", eps=0.25)
    for network in MNIST:
        for source in MNIST:
            add(f"{source} to {network}", network, 2_000, "pgd", source=source, eps=0.3, **PGD_40)
    for network in MNIST:
        for eps in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
            add(f"{network} pgd-40 {eps}", network, 1_000, "pgd", eps=eps, steps=40, step_size=max(0.01, eps / 15))
    for eps, named in ((8 / 255, "8/255"), (0.1, "0.1")):
        add(f"cifar10 fgsm {named}", "cifar10", 2_000, "fgsm", eps=eps)
        add(f"cifar10 pgd-20 {named}", "cifar10", 2_000, "pgd", eps=eps, steps=20, step_size=eps / 4)
    options = {"eps": 0.3, "steps": 100, "step_size": 0.01, "restarts": 20}
    add("mnist-robust pgd-100 x 20", "mnist-robust", 2_000, "pgd", **options)
    add("mnist-robust autoattack", "mnist-robust", 500, "auto", eps=0.3)
    return made


def results(path: Path = RESULTS) -> dict[str, dict]:
    """What `labkit study robustness` has measured, by name: its settings, counts, accuracy and 95% interval."""
    return json.loads(path.read_text())["measurements"]


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, from the command line."""
    parser = argparse.ArgumentParser(prog="labkit study robustness", description="Attack the shipped networks.")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the file to write or to go on with")
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    chosen = parser.parse_args(arguments)
    wanted = measurements()
    used = sorted({each[role] for each in wanted.values() for role in ("network", "source")})
    card = {
        "command": "labkit study robustness",
        "seed": 0,
        "interval": "Wilson, 95%",
        "data": "the first images of each class of the test set, as many of each; all of them where images is 10,000",
        "weights": {name: models.card(name)["sha256"] for name in used},
    }
    known = json.loads(chosen.output.read_text()) if chosen.output.exists() else card | {"measurements": {}}
    done = {
        name: found
        for name, found in known["measurements"].items()
        if name in wanted
        and all(found[key] == value for key, value in wanted[name].items())
        and all(known["weights"].get(found[role]) == card["weights"][found[role]] for role in ("network", "source"))
    }
    with needs("studies"):
        card["versions"] = {"python": platform.python_version()} | {p: version(p) for p in ("torch", "torchattacks")}
    for name, settings in wanted.items():
        if name not in done and chosen.only in name:
            done[name] = settings | _measure(name, settings)
            _write(chosen.output, card | {"measurements": {each: done[each] for each in wanted if each in done}})
        if name in done:
            low, high = done[name]["interval"]
            print(f"{name:32} {done[name]['accuracy']:7.2%}  ({low:.2%} to {high:.2%})", flush=True)


def _measure(name: str, settings: dict) -> dict:
    network = models.load(settings["network"])
    source = models.load(settings["source"])
    kind = settings["network"].partition("-")[0]
    images, labels = _images(kind, settings["images"])
    attack = partial(ATTACKS[settings["attack"]], **settings["options"])
    start = time.perf_counter()
    show = partial(tqdm, desc=name, unit="batch", disable=not sys.stderr.isatty())
    found = robust_accuracy(network, images, labels, attack, source=source, progress=show)
    return {
        "already_wrong": found.already_wrong,
        "fooled": found.fooled,
        "accuracy": round(found.accuracy, 5),
        "interval": [round(end, 5) for end in found.interval],
        "seconds": round(time.perf_counter() - start, 1),
    }


def _images(kind: str, count: int) -> tuple[Tensor, Tensor]:
    if count <= 2_000:
        return data.examples(kind, count)
    test = data.load(kind, "test")
    if len(test) != count:
        raise ValueError(f"this needs all {count:,} test images of {kind}, but there are {len(test):,} ({test.source})")
    return test.images, test.labels


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    partial_path.write_text(json.dumps(content, indent=1) + "\n")
    partial_path.replace(path)


if __name__ == "__main__":
    main()
