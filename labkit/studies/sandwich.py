"""Proved <= true <= attacked: how robust a network is lies between what is proved and what attacks leave.

`labkit study sandwich` measures both ends for each network, and the accuracy without an attacker. An image that is
proved is not attacked, since no attack can succeed; this is what makes AutoAttack on all test images of the certified
network a matter of minutes. The attacks run on a GPU where there is one; what they found is judged on the CPU.
"""

import copy
import json
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labkit import models
from labkit.attacks.pgd import pgd
from labkit.certification.interval_bounds import interval_bounds
from labkit.evaluation.intervals import wilson_interval
from labkit.files import sha256
from labkit.studies._study import Part, Plan, Run, Study
from labkit.studies.robustness import SETTINGS, auto_attack, test_images
from labkit.training import predict

ATTACKS = {"pgd": pgd, "auto": auto_attack}
BATCH = {"cpu": 100, "cuda": 10_000}  # a GPU waits for the next small operation, whatever the batch
# data set -> how far the field lets its pixels move, and the steps of PGD
THREATS: dict[str, tuple[float, dict[str, Any]]] = {
    "mnist": (0.3, {"steps": 40, "step_size": 0.01}),
    "cifar10": (8 / 255, {"steps": 20, "step_size": 2 / 255}),
}
# AutoAttack is given what PGD has left of these: next to nothing.
AFTER_PGD = ("mnist-bn", "mnist-best", "cifar10", "cifar10-longer", "cifar10-best")


def plan(options: Namespace) -> Plan:
    """Each network by itself: clean, proved, attacked."""
    made = {}

    def add(network: str, kind: str, images: int, **settings: Any) -> None:
        made[f"{network} {kind}"] = Part({"network": network, "images": images} | settings, networks=(network,))

    for network, images, few, auto_steps in (  # images for proofs and PGD, for AutoAttack
        ("mnist", 10_000, 2_000, 100),
        ("mnist-bn", 10_000, 2_000, 100),
        ("mnist-best", 10_000, 2_000, 100),
        ("mnist-robust", 10_000, 2_000, 10),  # 100 take two hours of one core
        ("mnist-certified", 10_000, 10_000, 100),
        ("mnist-robust-best", 10_000, 10_000, 100),
        ("cifar10", 2_000, 2_000, 100),
        ("cifar10-longer", 2_000, 2_000, 100),
        ("cifar10-best", 2_000, 2_000, 100),
        ("cifar10-robust", 10_000, 2_000, 100),
    ):
        if network not in models.SHIPPED:
            continue
        eps, steps = THREATS[network.partition("-")[0]]
        pgd_first = [["pgd", steps | {"early_stop": True}]]
        auto = [["auto", {"steps": auto_steps}]]
        add(network, "clean", 10_000)
        add(network, "proved", images, eps=eps)
        add(network, "pgd", images, eps=eps, attacks=pgd_first)
        add(network, "autoattack", few, eps=eps, attacks=pgd_first + auto if network in AFTER_PGD else auto)
    return Plan(made, SETTINGS)


def measure(run: Run) -> dict[str, Any]:
    """One part."""
    settings = run.part.settings
    return counted(run, models.load(settings["network"]), settings["network"], settings)


def counted(run: Run, network: nn.Module, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Count the images that are classified correctly, and stay so: by proof, or under attack.

    Args:
        run: what is being measured.
        network: images (N, C, H, W) -> logits (N, K).
        name: distinguishes the network from others of the study; it begins with its data set.
        settings: how many `images`; for a proof or an attack `eps`, for the latter `attacks`, too.
    """
    images, labels = test_images(name.partition("-")[0], settings["images"])
    right = predict(network, images).argmax(1) == labels
    if "eps" in settings:
        proved = run.kept(
            f"{name} proved {settings['eps']} {len(images)}",
            lambda: {"proved": (interval_bounds(network, images, labels, eps=settings["eps"]) > 0).all(1)},
        )["proved"]
        attacks = settings.get("attacks")
        right = _left(run, network, images, labels, right, proved, settings) if attacks else proved
    count = int(right.sum())
    low, high = wilson_interval(torch.tensor(count), torch.tensor(len(images)))
    interval = [round(low.item(), 5), round(high.item(), 5)]
    return {"images": len(images), "count": count, "accuracy": round(count / len(images), 5), "interval": interval}


def _left(
    run: Run,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    right: Tensor,
    proved: Tensor,
    settings: dict[str, Any],
) -> Tensor:
    """Which images (N,) are still classified correctly after the attacks; what a killed run attacked is kept.

    Each attack is given what the ones before it left.
    """
    left = right.clone()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    there = copy.deepcopy(network).to(device)
    there.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  a third less time on a CPU
    # Without the number of images: a run with more of them attacks only those that were added.
    key = sha256(json.dumps([settings["eps"], settings["attacks"]]).encode())[:8]
    for place, (name, options) in enumerate(settings["attacks"]):
        attack = partial(ATTACKS[name], eps=settings["eps"], **options)
        parts = (left & ~proved).nonzero()[:, 0].split(BATCH[device])
        for number, part in enumerate(run.progress("batch", len(parts))(parts)):

            def attacked(part: Tensor = part, attack: Callable[..., Tensor] = attack) -> dict[str, Tensor]:
                found = attack(there, images[part].to(device), labels[part].to(device)).cpu()
                return {"right": predict(network, found).argmax(1) == labels[part]}

            left[part] = run.kept(f"{run.name} {key} {place} {number} {len(part)}", attacked)["right"]
    return left


def line(name: str, found: dict[str, Any]) -> str:
    """A measurement as it is printed."""
    low, high = found["interval"]
    return f"{name:28} {found['accuracy']:7.2%}  ({low:.2%} to {high:.2%}) of {found['images']:,}"


STUDY = Study(
    "sandwich",
    "Of how many images is it proved, of how many only not disproved, that no small change alters the answer?",
    plan,
    measure,
    packages=("torch", "torchattacks"),
    line=line,
)


def results(path: Path | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """What was measured, by network and kind ("clean", "proved", "pgd", "autoattack"): counts and 95% intervals."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, part in STUDY.card(path)["parts"].items():
        network, kind = name.rsplit(" ", 1)
        found.setdefault(network, {})[kind] = part["settings"] | part["found"]
    return found


if __name__ == "__main__":
    STUDY.main()
