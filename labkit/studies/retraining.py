"""Does it help to train a network again, on the images that fooled it?

`labkit study retraining` trains the MNIST network with and without outliers, and measures what became of it. A few of
the images that still fool it lie beside the card, in retraining.safetensors.

An arm is one way of training. Every arm learns from all training digits, and in addition from outliers, each
with the target probability 1/10 for all ten digits:

    baseline         none
    fooling 80       80 images of a search on the baseline, 8 a digit
    control          800 black images and 800 of noise
    fooling 1,000    1,000 in 2 rounds: 500 of a search on the baseline, then 500 of one on the network trained on those
    fooling 5,000    5,000 in 5 rounds of 1,000, each of a search on the network of the round before

A search stops after 60 steps, and its images are used whether they fool the network or not. The 80 and the control are
those of jalexvig/cnn_backwork, of which no published result is known. Networks of the same
seed start from the same weights.
"""

from argparse import Namespace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from labkit import data, models
from labkit.attacks.fgsm import fgsm
from labkit.core import check_counts
from labkit.data import ImageSet
from labkit.studies._study import Option, Part, Plan, Run, Study, save_tensors
from labkit.synthesis.class_model import class_model
from labkit.synthesis.fooling import fooling, fooling_steps
from labkit.training import evaluate, fit, keep_freed_memory, predict, single_process

ROUNDS: dict[str, list[int]] = {
    "baseline": [],
    "fooling 80": [80],
    "control": [],
    "fooling 1,000": [500] * 2,
    "fooling 5,000": [1_000] * 5,
}
RECIPE: dict[str, Any] = {"epochs": 3, "batch_size": 100, "learning_rate": 2e-3}
SEARCH: dict[str, Any] = {"steps": 200, "confidence": 0.999, "clip": True}  # to measure how hard a network is to fool
TRAINING_STEPS = 60  # of the search for images to train on, as in that program
REFERENCE = 100  # training images a digit that the search stays away from; the whole set takes ten times as long
ANOTHER_SEARCH: dict[str, Any] = {
    "parametrization": "pixels",
    "start": "mean",
    "tv_weight": 0.0,
    "jitter": 0.0,
    "scale": 0.0,
}
PUSH = 0.1  # of FGSM
BUDGET = 20  # steps after which the confidence is read
FIGURES = ("test_accuracy", "fooled", "steps", "confidence", "ideal", "fgsm_accuracy", "other_digits_accuracy")


def plan(options: Namespace) -> Plan:
    """A part an arm and seed; a larger --seeds adds parts."""
    check_counts(seeds=options.seeds, epochs=options.epochs)
    train, test = _sets(options.images)
    recipe = RECIPE | {"epochs": options.epochs, "precision": options.precision, "train_images": len(train)}
    search = SEARCH | {
        "training_steps": TRAINING_STEPS,
        "reference": f"the first {REFERENCE} training images of each digit",
        "budget": BUDGET,
    }
    shared = {"network": "labkit.models.mnist", "recipe": recipe, "search": search, "another_search": ANOTHER_SEARCH}
    shared |= {"push": PUSH, "test_images": len(test)}
    pictures = {0: (options.output.with_suffix(".safetensors").name,)}
    parts = {
        f"{arm}, seed {seed}": Part({"arm": arm, "seed": seed}, files=pictures.get(seed, ()))
        for seed in range(options.seeds)
        for arm in ROUNDS
    }
    return Plan(parts, shared)


def measure(run: Run) -> dict[str, Any]:
    """Train the networks of an arm, round by round, and measure the last one."""
    keep_freed_memory()  # this process trains for the rest of its life
    arm, seed = run.part.settings["arm"], run.part.settings["seed"]
    train, test = _sets(run.options.images)
    chosen = torch.cat([(train.labels == label).nonzero()[:REFERENCE, 0] for label in range(10)])
    reference = train.subset(chosen)
    outliers = None
    if arm == "control":
        noise = torch.rand(800, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
        outliers = torch.cat([torch.zeros_like(noise), noise])
    network = _trained("control" if arm == "control" else "baseline", run, outliers)
    for number, count in enumerate(ROUNDS[arm], start=1):
        found = _fooling(number, network, count, reference, run)
        outliers = found if outliers is None else torch.cat([outliers, found])
        network = _trained(f"{arm} round {number}", run, outliers)
    figures, images = describe(network, test, reference, seed=seed)
    if seed == 0:
        _keep_pictures(run.output.with_suffix(".safetensors"), arm, images)
    return figures


def _trained(name: str, run: Run, outliers: Tensor | None) -> nn.Module:
    """A network, trained now or by a run before."""
    seed, (train, test) = run.part.settings["seed"], _sets(run.options.images)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = models.mnist()

    def state() -> dict[str, Tensor]:
        recipe = {key: value for key, value in run.shared["recipe"].items() if key not in ("precision", "train_images")}
        fabric = single_process(run.shared["recipe"]["precision"])
        fit(network, train, test, **recipe, outliers=outliers, seed=seed, fabric=fabric, progress=run.progress())
        return network.state_dict()

    network.load_state_dict(run.kept(f"{name} {seed}", state))
    return network.eval()


def _fooling(number: int, network: nn.Module, count: int, reference: ImageSet, run: Run) -> Tensor:
    """The fooling images of one round, found now or by a run before."""
    arm, seed = run.part.settings["arm"], run.part.settings["seed"]
    classes = torch.arange(10).repeat_interleave(count // 10)
    options = SEARCH | {"steps": TRAINING_STEPS, "seed": number * 100 + seed}

    def images() -> dict[str, Tensor]:
        return {"images": fooling(network, classes, reference=reference, **options).images}

    return run.kept(f"found {arm} {seed} {number}", images)["images"]


def _keep_pictures(path: Path, arm: str, images: dict[str, Tensor]) -> None:
    """Add an arm's images, as uint8, to those of the other arms."""
    kept = load_file(path) if path.exists() else {}
    for kind, values in images.items():
        kept[f"{kind}, {arm}"] = (values * 255).round().byte() if values.ndim == 4 else values
    save_tensors(path, kept)


@cache
def _sets(images: int | None) -> tuple[ImageSet, ImageSet]:
    return data.load("mnist", "train").subset(slice(images)), data.load("mnist", "test")


def describe(
    network: nn.Module, test: ImageSet, reference: ImageSet, *, seed: int = 0
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a network does on digits and on what is none, and how hard it is to fool.

    Args:
        network: MNIST images -> logits, in eval mode.
        test: where accuracy is measured.
        reference: the images that the search for fooling images stays away from.
        seed: fixes the noise, and where the search starts.

    Returns:
        The figures by name, and two times ten images, one a digit, with the confidence in each: the first that the
        search found, and the ideal ones. Of the search for 80 images: `fooled`, the fraction that reached a confidence
        of 0.999 within 200 steps; `steps`, the median number of steps to get there (200 for those that did not);
        `confidence`, the median after 20 steps. `ideal`: the fraction of the ten digits for which
        `labkit.synthesis.class_model`, by gradient ascent from plain grey, reaches 0.99. `sure`: the mean of the
        largest probability on black, noise and scikit-learn's digits; `other_digits_accuracy`: the fraction of these
        that is classified correctly. `fgsm_accuracy`: of 1,000 test digits after a push by 0.1 (`labkit.attacks.fgsm`).
    """
    classes = torch.arange(10).repeat_interleave(8)
    states = fooling_steps(network, classes, reference=reference, seed=seed + 1_000, **SEARCH)
    state = next(states)
    confidence = state.confidence
    for step, state in enumerate(states, start=1):
        confidence = state.confidence if step <= BUDGET else confidence
    ideal = class_model(network, torch.arange(10), **ANOTHER_SEARCH, seed=seed)
    sure_of_ideal = predict(network, ideal).softmax(1).diagonal()
    images, pushed = data.examples("mnist", 1_000)
    after = predict(network, fgsm(network, images, pushed, eps=PUSH)).argmax(1)
    taken = torch.where(state.steps < 0, SEARCH["steps"], state.steps)
    noise = torch.rand(1_000, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    digits, labels = other_digits()
    on_digits = predict(network, digits).softmax(1)
    sure = {
        "black": predict(network, torch.zeros(1, 1, 28, 28)).softmax(1).amax(1).mean().item(),
        "noise": predict(network, noise).softmax(1).amax(1).mean().item(),
        "other digits": on_digits.amax(1).mean().item(),
    }
    figures = {
        "test_accuracy": evaluate(network, test).accuracy,
        "fooled": (state.steps >= 0).float().mean().item(),
        "steps": taken.float().median().item(),
        "confidence": confidence.median().item(),
        "ideal": (sure_of_ideal >= 0.99).float().mean().item(),
        "fgsm_accuracy": (after == pushed).float().mean().item(),
        "sure": sure,
        "other_digits_accuracy": (on_digits.argmax(1) == labels).float().mean().item(),
    }
    return figures, {
        "fooling": state.images[::8],
        "fooling confidence": state.confidence[::8],
        "ideal": ideal,
        "ideal confidence": sure_of_ideal,
    }


def other_digits() -> tuple[Float[Tensor, "n 1 28 28"], Int64[Tensor, " n"]]:
    """Scikit-learn's 1,797 digits of 8 x 8 pixels, by other people, enlarged to 20 x 20 in a frame of 4 black pixels.

    Returns:
        (1797, 1, 28, 28) with pixels in [0, 1], and (1797,) int64.
    """
    from sklearn.datasets import load_digits  # here: it takes a second

    digits = load_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 16
    return pad(interpolate(images, (20, 20), mode="bilinear"), [4] * 4), torch.from_numpy(digits.target).long()


def line(name: str, found: dict[str, Any]) -> str:
    """A network's figures as they are printed."""
    return f"{name:24} {found['test_accuracy']:.2%}  fooled {found['fooled']:4.0%} in {found['steps']:.0f} steps"


STUDY = Study(
    "retraining",
    "Does it help to train a network again, on the images that fooled it?",
    plan,
    measure,
    options=(
        Option("seeds", 5, "networks of each arm"),
        Option("images", None, "train on the first so many digits only, to try things out", int),
        Option("epochs", RECIPE["epochs"], "passes over the training images"),
        Option("precision", "32-true", "bf16-mixed halves the time on CPUs with AVX512-BF16"),
    ),
    packages=("torch", "scikit-learn"),
    line=line,
)


def results(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """What was measured, by arm.

    Returns:
        For each arm its figures as lists, one value a seed in the order of the seeds; `sure` and `versus baseline`
        are dictionaries of such lists, the latter of differences between networks of the same seed.
    """
    parts = STUDY.card(path)["parts"].values()
    by = {(part["settings"]["arm"], part["settings"]["seed"]): part["found"] for part in parts}
    seeds = sorted({seed for _, seed in by})
    tables: dict[str, dict[str, Any]] = {}
    for arm in dict.fromkeys(arm for arm, _ in by):
        runs = [by[arm, seed] for seed in seeds]
        tables[arm] = {name: [run[name] for run in runs] for name in FIGURES}
        tables[arm]["sure"] = {what: [run["sure"][what] for run in runs] for what in runs[0]["sure"]}
        tables[arm]["versus baseline"] = {
            name: [run[name] - by["baseline", seed][name] for run, seed in zip(runs, seeds, strict=True)]
            for name in FIGURES
        }
    return tables


def pictures(path: Path | None = None) -> dict[str, Tensor]:
    """What still fools the networks of seed 0, one image a digit.

    Args:
        path: another card than the one that comes with labkit.

    Returns:
        For each arm "fooling, ARM", the images found first, and "ideal, ARM", the ideal digits, both (10, 1, 28, 28) in
        [0, 1]; "fooling confidence, ARM" and "ideal confidence, ARM", (10,).
    """
    kept = load_file((path or STUDY.path).with_suffix(".safetensors"))
    return {name: values.float() / 255 if values.ndim == 4 else values for name, values in kept.items()}


if __name__ == "__main__":
    STUDY.main()
