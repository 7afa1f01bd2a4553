"""How many images a network still classifies correctly when someone may change them a little.

`labkit study robustness` measures the shipped networks in the ways that the field compares them.
"""

import warnings
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit import data, models
from labkit.attacks.fgsm import fgsm
from labkit.attacks.pgd import pgd
from labkit.evaluation.robust_accuracy import robust_accuracy
from labkit.extras import needs
from labkit.studies._study import Part, Plan, Run, Study


def auto_attack(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float,
    steps: int = 100,
    seed: int = 0,
) -> Float[Tensor, "n c h w"]:
    """torchattacks' AutoAttack (standard version, Linf), without its warnings and its changes of global state.

    The steps are those of APGD and FAB: 100 in the authors' own code, as here; torchattacks would take 10. Square has
    5,000 queries in both.

    Source:
        Croce and Hein 2020, arXiv:2003.01690.
    """
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        with needs("studies"):
            import torchattacks  # here: only this needs it

        attack = torchattacks.AutoAttack(model, norm="Linf", eps=eps, version="standard", n_classes=10, seed=seed)
        for part in attack._autoattack.attacks:
            if hasattr(part, "steps"):
                part.steps = steps
        return attack(images, classes).detach().clamp(0, 1)


# What is measured: a name, the network attacked and the one that is asked, the images, the attack and its options.

ATTACKS = {"fgsm": fgsm, "pgd": pgd}
MNIST = ("mnist", "mnist-bn", "mnist-robust")
PGD_40 = {"steps": 40, "step_size": 0.01}
SETTINGS = {
    "seed": 0,
    "interval": "Wilson, 95%",
    "data": "the first images of each class of the test set, as many of each; all of them where images is 10,000",
}


def plan(options: Namespace) -> Plan:
    """Every measurement by its name."""
    made = {}

    def add(name: str, network: str, images: int, attack: str, *, source: str | None = None, **options: float) -> None:
        source = source or network
        settings = {"network": network, "source": source, "images": images, "attack": attack, "options": options}
        made[name] = Part(settings, networks=tuple({network, source}))

    for network in MNIST:  # Goodfellow's experiment, on all test images
        add(f"{network} fgsm 0.25", network, 10_000, "fgsm", eps=0.25)
    for network in MNIST:
        for source in MNIST:
            add(f"{source} to {network}", network, 2_000, "pgd", source=source, eps=0.3, **PGD_40)
    for network in MNIST:
        for eps in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
            add(f"{network} pgd-40 {eps}", network, 1_000, "pgd", eps=eps, steps=40, step_size=max(0.01, eps / 15))
    for network in ("cifar10", "cifar10-robust"):
        for eps, named in ((8 / 255, "8/255"), (0.1, "0.1")):
            if network in models.SHIPPED:
                add(f"{network} fgsm {named}", network, 2_000, "fgsm", eps=eps)
                add(f"{network} pgd-20 {named}", network, 2_000, "pgd", eps=eps, steps=20, step_size=eps / 4)
    longest = {"eps": 0.3, "steps": 100, "step_size": 0.01, "restarts": 20}
    add("mnist-robust pgd-100 x 20", "mnist-robust", 2_000, "pgd", **longest)
    return Plan(made, SETTINGS)


def measure(run: Run) -> dict[str, Any]:
    """Attack a network, or show it what was made on another, and count."""
    settings = run.part.settings
    network, source = models.load(settings["network"]), models.load(settings["source"])
    images, labels = test_images(settings["network"].partition("-")[0], settings["images"])
    attack = partial(ATTACKS[settings["attack"]], **settings["options"])
    found = robust_accuracy(network, images, labels, attack, source=source, progress=run.progress("batch"))
    return {
        "already_wrong": found.already_wrong,
        "fooled": found.fooled,
        "accuracy": round(found.accuracy, 5),
        "interval": [round(end, 5) for end in found.interval],
    }


def test_images(kind: str, count: int) -> tuple[Tensor, Tensor]:
    """As many test images of each class as of every other, so many in all; or all 10,000.

    Raises:
        ValueError: all are wanted, but only a sample is here.
    """
    if count <= 2_000:
        return data.examples(kind, count)
    test = data.load(kind, "test")
    if len(test) != count:
        raise ValueError(f"this needs all {count:,} test images of {kind}, but there are {len(test):,} ({test.source})")
    return test.images, test.labels


def line(name: str, found: dict[str, Any]) -> str:
    """A measurement as it is printed."""
    low, high = found["interval"]
    return f"{name:32} {found['accuracy']:7.2%}  ({low:.2%} to {high:.2%})"


STUDY = Study(
    "robustness",
    "How many images do the shipped networks still classify correctly when someone may change them a little?",
    plan,
    measure,
    packages=("torch", "torchattacks"),
    line=line,
)


def results(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """What was measured, by name: settings, counts, accuracy and 95% interval."""
    return {name: part["settings"] | part["found"] for name, part in STUDY.card(path)["parts"].items()}


if __name__ == "__main__":
    STUDY.main()
