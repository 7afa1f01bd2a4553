"""Write the README's tables of measurements anew, from the cards of the networks and the results of the studies.

A table stands between <!-- NAME --> and <!-- end -->. `make readme` writes them; a test fails when one differs.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from labkit.files import write_bytes

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def networks() -> str:
    """The shipped networks, as their cards describe them."""
    from labkit import models, scratch
    from labkit.evaluation.intervals import wilson_interval

    rows = []
    for name in (*models.SHIPPED, scratch.NAME):
        card = scratch.card() if name == scratch.NAME else models.card(name)
        images = card["test_images"]
        right = torch.tensor(round(card["test_accuracy"] * images))
        low, high = (f"{100 * end.item():.2f}" for end in wilson_interval(right, torch.tensor(images)))
        call = "`scratch.load()`" if name == scratch.NAME else f"`{name}`"
        parameters, epochs = f"{card['parameters']:,}", str(card["recipe"]["epochs"])
        accuracy = f"{card['test_accuracy']:.2%} ({low} to {high})"
        rows.append((call, parameters, epochs, accuracy, f"{images:,}", f"`{card['command']}`"))
    return table(("`models.load`", "parameters", "epochs", "test accuracy", "images", "command"), rows)


def robustness() -> str:
    """What attacks leave of the accuracy: a choice of the measurements of `labkit study robustness`."""
    from labkit.studies.robustness import results

    measured = results()
    chosen = {
        "mnist fgsm 0.25": "FGSM, 0.25",
        "mnist-bn fgsm 0.25": "FGSM, 0.25",
        "mnist-robust fgsm 0.25": "FGSM, 0.25",
        "mnist-robust pgd-100 x 20": "PGD, 0.3, 100 steps, 20 restarts",
        "cifar10 fgsm 8/255": "FGSM, 8/255",
        "cifar10 fgsm 0.1": "FGSM, 0.1",
        "cifar10 pgd-20 8/255": "PGD, 20 steps, 8/255",
        "cifar10 pgd-20 0.1": "PGD, 20 steps, 0.1",
        "cifar10-robust fgsm 8/255": "FGSM, 8/255",
        "cifar10-robust pgd-20 8/255": "PGD, 20 steps, 8/255",
    }
    rows = []
    for name, attack in chosen.items():
        if name not in measured:  # of a network whose weights have not come yet
            continue
        found = measured[name]
        low, high = (100 * bound for bound in found["interval"])
        accuracy = f"{found['accuracy']:.1%} ({low:.1f} to {high:.1f})"
        rows.append((f"`{found['network']}`", attack, f"{found['images']:,}", accuracy))
    return table(("network", "attack", "images", "classified correctly"), rows)


def sandwich() -> str:
    """What is proved, what attacks leave, and the accuracy without an attacker."""
    from labkit.studies.sandwich import results

    def cell(found: dict) -> str:
        low, high = (100 * bound for bound in found["interval"])
        few = "" if found["images"] == 10_000 else f", {found['images']:,} images"
        return f"{found['accuracy']:.1%} ({low:.1f} to {high:.1f}{few})"

    rows = []
    for network, found in results().items():
        eps = "8/255" if network.startswith("cifar10") else str(found["proved"]["eps"])
        kinds = ("proved", "autoattack", "pgd", "clean")
        rows.append((f"`{network}`", eps, *(cell(found[kind]) for kind in kinds)))
    return table(("network", "eps", "proved", "AutoAttack leaves", "PGD leaves", "clean"), rows)


def seeds() -> str:
    """What the same recipe comes to with other seeds; that of seed 0 is the shipped network."""
    from labkit.studies import sandwich
    from labkit.studies.seeds import results

    columns = {"clean": "clean", "proved": "proved", "autoattack": "AutoAttack leaves"}
    rows = []
    for network, others in results().items():
        shipped = sandwich.results()[network]
        for kind, title in columns.items():
            if kind in others[0]:
                figures = (f"{100 * found[kind]['accuracy']:.2f}%" for found in (shipped, *others))
                rows.append((f"`{network}`", title, *figures))
    numbers = range(1, 1 + len(next(iter(results().values()))))
    return table(("network", "figure", "seed 0", *(f"seed {number}" for number in numbers)), rows)


def retraining() -> str:
    """Whether it helps to train on fooling images: means over the seeds, with their 95% intervals."""
    from statistics import mean

    from labkit.evaluation.intervals import mean_interval
    from labkit.studies.retraining import STUDY, results

    arms = {
        "baseline": "nothing (baseline)",
        "fooling 80": "80 fooling images",
        "control": "800 black, 800 noise (control)",
        "fooling 1,000": "1,000 in two rounds",
        "fooling 5,000": "5,000 in five rounds",
    }
    longest = STUDY.card()["settings"]["search"]["steps"]

    def row(arm: str, found: dict) -> Iterator[str]:
        yield arms[arm]
        middle, low, high = mean_interval([100 * value for value in found["test_accuracy"]])
        yield f"{middle:.2f}% ({low:.2f} to {high:.2f})"
        middle, low, high = mean_interval([100 * value for value in found["versus baseline"]["test_accuracy"]])
        yield "" if arm == "baseline" else signed(f"{middle:+.2f} ({low:.2f} to {high:.2f})")
        steps = mean(found["steps"])
        yield f"{mean(found['fooled']):.0%}, {f'over {longest}' if steps >= longest else f'{steps:.0f}'}"
        yield f"{mean(found['ideal']):.0%}"
        yield f"{mean(found['fgsm_accuracy']):.0%}"

    head = ("also trained on", "test accuracy", "points above the baseline")
    head += ("search from noise: found, steps", "digits found from grey", "FGSM, 0.1: classified correctly")
    return table(head, [tuple(row(arm, results()[arm])) for arm in arms])


def signed(text: str) -> str:
    """Numbers with a real minus sign, and none for zero."""
    return re.sub(r"[+−](?=0\.00\b)", "", text.replace("-", "−"))


TABLES: dict[str, Callable[[], str]] = {
    "networks": networks,
    "robustness": robustness,
    "sandwich": sandwich,
    "seeds": seeds,
    "retraining": retraining,
}


def rewritten(text: str) -> str:
    """The README with every table as it would be written now."""
    for name, make in TABLES.items():
        text, found = re.subn(
            rf"(<!-- {name} -->\n).*?(\n<!-- end -->)",
            lambda match, make=make: match[1] + make() + match[2],
            text,
            flags=re.DOTALL,
        )
        if found != 1:
            raise ValueError(f"README.md must have one table between <!-- {name} --> and <!-- end -->, it has {found}")
    return text


def main() -> None:
    text = README.read_text()
    write_bytes(README, rewritten(text).encode())
    print(f"README.md: {len(TABLES)} tables written")


if __name__ == "__main__":
    main()
