"""Does it help to train a network again, on the images that fooled it?

`labkit study retraining` trains the MNIST network with and without outliers, and measures what became of it:
labkit/studies/results/retraining.json, with a few of the images that still fool it in retraining.safetensors. A run
that was killed goes on where it stopped; what it has found so far lies in the cache until the study is complete.

An arm is one way of training. Every arm learns from all training digits, and in addition from outliers, each
with the target probability 1/10 for all ten digits:

    baseline         none
    fooling 80       80 images that fool the baseline, 8 a digit
    control          800 black images and 800 of noise
    fooling 1,000    1,000 in 2 rounds: 500 that fool the baseline, then 500 that fool the network trained on those
    fooling 5,000    5,000 in 5 rounds of 1,000, each found on the network of the round before

The 80 and the control are those of jalexvig/cnn_backwork, which never published what came of them. Networks of the same
seed start from the same weights.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from tqdm.auto import tqdm

from labkit import data, models
from labkit.attacks.fgsm import fgsm
from labkit.data import ImageSet
from labkit.extras import needs
from labkit.synthesis.class_model import class_model
from labkit.synthesis.fooling import fooling, fooling_steps
from labkit.training import evaluate, fit, predict

RESULTS = Path(__file__).parent / "results" / "retraining.json"
ROUNDS = {"baseline": [], "fooling 80": [80], "control": [], "fooling 1,000": [500] * 2, "fooling 5,000": [1_000] * 5}
RECIPE = {"epochs": 3, "batch_size": 100, "learning_rate": 2e-3}
SEARCH = {"steps": 200, "confidence": 0.999, "clip": True}  # to measure how hard a network is to fool
TRAINING_STEPS = 60  # of the search for images to train on, as published; what it has by then is taken
REFERENCE = 100  # training images a digit that the search stays away from; the whole set takes ten times as long
FIXED = ("network", "recipe", "search", "test_images")  # what all runs of a study have in common
ANOTHER_SEARCH = {"parametrization": "pixels", "start": "mean", "tv_weight": 0.0, "jitter": 0.0, "scale": 0.0}
PUSH = 0.1  # of FGSM
BUDGET = 20  # steps after which the confidence is read


def measure(
    network: nn.Module, test: ImageSet, reference: ImageSet, *, seed: int = 0
) -> tuple[dict, dict[str, Tensor]]:
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
        `labkit.synthesis.class_model`, climbing the logit from plain grey, reaches 0.99. `sure`: the mean of the
        largest probability on black, noise and scikit-learn's digits; `other_digits_accuracy`: how many of these are
        read rightly. `fgsm_accuracy`: of 1,000 test digits after a push by 0.1 (`labkit.attacks.fgsm`).
    """
    classes = torch.arange(10).repeat_interleave(8)
    confidence = None
    for step, state in enumerate(fooling_steps(network, classes, reference=reference, seed=seed + 1_000, **SEARCH)):
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


def other_digits() -> tuple[Tensor, Tensor]:
    """Scikit-learn's 1,797 digits of 8 x 8 pixels, by other people, enlarged to 20 x 20 in a frame of 4 black pixels.

    Returns:
        (1797, 1, 28, 28) with pixels in [0, 1], and (1797,) int64.
    """
    from sklearn.datasets import load_digits  # here: it takes a second

    digits = load_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 16
    return pad(interpolate(images, (20, 20), mode="bilinear"), [4] * 4), torch.from_numpy(digits.target).long()


def results(path: Path = RESULTS) -> dict[str, dict]:
    """What `labkit study retraining` has measured.

    Returns:
        For each arm its figures as lists, one value a seed in the order of the seeds; `sure` and `versus baseline`
        are dictionaries of such lists, the latter of differences between networks of the same seed.
    """
    runs = json.loads(path.read_text())["runs"]
    seeds = sorted({run["seed"] for run in runs})
    by = {(run["arm"], run["seed"]): run for run in runs}
    names = ("test_accuracy", "fooled", "steps", "confidence", "ideal", "fgsm_accuracy", "other_digits_accuracy")
    tables = {}
    for arm in dict.fromkeys(run["arm"] for run in runs):
        of_arm = [by[arm, seed] for seed in seeds]
        tables[arm] = {name: [run[name] for run in of_arm] for name in names}
        tables[arm]["sure"] = {what: [run["sure"][what] for run in of_arm] for what in of_arm[0]["sure"]}
        tables[arm]["versus baseline"] = {
            name: [run[name] - by["baseline", run["seed"]][name] for run in of_arm] for name in names
        }
    return tables


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing of the study, from the command line."""
    parser = argparse.ArgumentParser(prog="labkit study retraining", description="Retrain on fooling images.")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the file to write or to go on with")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, help="train on the first so many digits only, to try things out")
    parser.add_argument("--epochs", type=int, default=RECIPE["epochs"])
    parser.add_argument("--precision", default="32-true", help="bf16-mixed halves the time on CPUs with AVX512-BF16")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {chosen.seeds}")
    train, test = data.load("mnist", "train").subset(slice(chosen.images)), data.load("mnist", "test")
    card = {
        "command": " ".join(["labkit study retraining", *(sys.argv[1:] if arguments is None else arguments)]),
        "network": "labkit.models.mnist",
        "recipe": RECIPE | {"epochs": chosen.epochs, "precision": chosen.precision, "train_images": len(train)},
        "another_search": ANOTHER_SEARCH,
        "push": PUSH,
        "search": SEARCH
        | {
            "training_steps": TRAINING_STEPS,
            "reference": f"the first {REFERENCE} training images of each digit",
            "budget": BUDGET,
        },
        "test_images": len(test),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in ("torch", "scikit-learn")},
    }
    known = json.loads(chosen.output.read_text()) if chosen.output.exists() else {"runs": []}
    if known["runs"] and any(known[name] != card[name] for name in FIXED):
        parser.error(f"{chosen.output} was made with other settings; name another --output, or delete it")
    study = _Study(chosen.output, card, train, test)
    for seed in range(chosen.seeds):
        for arm in ROUNDS:
            if not any(run["arm"] == arm and run["seed"] == seed for run in known["runs"]):
                known["runs"].append(study.run(arm, seed))
                known["runs"].sort(key=lambda run: (run["seed"], list(ROUNDS).index(run["arm"])))
                _write(chosen.output, card | {"runs": known["runs"]})
            run = next(run for run in known["runs"] if run["arm"] == arm and run["seed"] == seed)
            print(f"seed {seed}  {arm:14} {run['test_accuracy']:.2%}  fooled {run['fooled']:4.0%} "
                  f"in {run['steps']:.0f} steps", flush=True)  # fmt: skip
    study.keep_pictures()


class _Study:
    """The networks and images of a study on their way, each in a file of its own, so that a killed run goes on."""

    def __init__(self, output: Path, card: dict, train: ImageSet, test: ImageSet):
        self.output, self.card, self.train, self.test = output, card, train, test
        settings = json.dumps([card[name] for name in FIXED])
        self.folder = data.cache_folder() / "retraining" / hashlib.sha256(settings.encode()).hexdigest()[:12]
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = torch.cat([(train.labels == label).nonzero()[:REFERENCE, 0] for label in range(10)])
        self.reference = train.subset(chosen)
        with needs("train"):
            from lightning_fabric import Fabric
        self.fabric = Fabric(accelerator="cpu", devices=1, precision=card["recipe"]["precision"])

    def run(self, arm: str, seed: int) -> dict:
        """Train the networks of an arm, round by round, and measure the last one."""
        outliers = None
        if arm == "control":
            noise = torch.rand(800, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
            outliers = torch.cat([torch.zeros_like(noise), noise])
        network = self.train_network("control" if arm == "control" else "baseline", seed, outliers)
        for number, count in enumerate(ROUNDS[arm], start=1):
            found = self.found(f"{arm} {seed} {number}", network, count, seed)
            outliers = found if outliers is None else torch.cat([outliers, found])
            network = self.train_network(f"{arm} round {number}", seed, outliers)
        figures, pictures = measure(network, self.test, self.reference, seed=seed)
        _save(self.folder / f"pictures {arm} {seed}.safetensors", pictures)
        return {"arm": arm, "seed": seed, **figures}

    def train_network(self, name: str, seed: int, outliers: Tensor | None) -> nn.Module:
        path = self.folder / f"{name} {seed}.safetensors"
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = models.mnist()
        if path.exists():
            network.load_state_dict(load_file(path))
            return network.eval()
        options = {key: value for key, value in self.card["recipe"].items() if key not in ("precision", "train_images")}
        fit(network, self.train, self.test, **options, outliers=outliers, seed=seed, fabric=self.fabric,
            progress=partial(tqdm, desc=f"{name} {seed}", disable=not sys.stderr.isatty()))  # fmt: skip
        _save(path, {key: value.contiguous() for key, value in network.state_dict().items()})
        return network

    def found(self, name: str, network: nn.Module, count: int, seed: int) -> Tensor:
        path = self.folder / f"found {name}.safetensors"
        if not path.exists():
            classes = torch.arange(10).repeat_interleave(count // 10)
            options = SEARCH | {"steps": TRAINING_STEPS, "seed": int(name.split()[-1]) * 100 + seed}
            _save(path, {"images": fooling(network, classes, reference=self.reference, **options).images})
        return load_file(path)["images"]

    def keep_pictures(self) -> None:
        """Beside the results: for each arm, the images that `measure` gave of its network of seed 0, as uint8."""
        kept = {}
        for arm in ROUNDS:
            for kind, values in load_file(self.folder / f"pictures {arm} 0.safetensors").items():
                kept[f"{kind}, {arm}"] = (values * 255).round().byte() if values.ndim == 4 else values
        _save(self.output.with_suffix(".safetensors"), kept)


def pictures(path: Path = RESULTS) -> dict[str, Tensor]:
    """What still fools the networks of seed 0, one image a digit.

    Returns:
        For each arm "fooling, ARM", the images found first, and "ideal, ARM", the ideal digits, both (10, 1, 28, 28) in
        [0, 1]; "fooling confidence, ARM" and "ideal confidence, ARM", (10,).
    """
    kept = load_file(path.with_suffix(".safetensors"))
    return {name: values.float() / 255 if values.ndim == 4 else values for name, values in kept.items()}


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial_path)
    partial_path.replace(path)


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    partial_path.write_text(json.dumps(content, indent=1) + "\n")
    partial_path.replace(path)


if __name__ == "__main__":
    main()
