"""How the shipped networks were trained: a recipe each, and the card that comes with the weights.

`labkit train NAME` trains one of them on all its data and writes labkit/weights/NAME.safetensors with its card
NAME.json. A run that was killed goes on from its last epoch, and ends with the same weights as one that was not.
Several processes or GPUs: `fabric run --devices 2 labkit/recipes.py mnist`.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors
from torch import nn
from tqdm.auto import tqdm

from labkit import data, models
from labkit.certified_training import interval_init
from labkit.core import Progress, check_counts
from labkit.extras import needs
from labkit.files import sha256, write_bytes, write_json
from labkit.scratch import recipe as scratch_recipe
from labkit.training import fit, keep_freed_memory, single_process

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Recipe:
    """Data set, network before training, options of `labkit.training.fit`, other initial weights than PyTorch's:
    a function that sets them, or the shipped network whose weights they are."""

    data: str
    build: Callable[[], nn.Module]
    options: dict[str, Any] = field(default_factory=dict)
    initialise: Callable[[nn.Module], None] | None = None
    begin_with: str | None = None


RECIPES = {
    # The lab: Adam, batches of 100, 6 epochs; once as it is, once with batch norm.
    "mnist": Recipe("mnist", models.mnist, {"epochs": 6, "batch_size": 100, "learning_rate": 2e-3}),
    "mnist-bn": Recipe("mnist", models.mnist_bn, {"epochs": 6, "batch_size": 100, "learning_rate": 2e-3}),
    # The same network with batch norm, for longer and on shifted digits.
    "mnist-best": Recipe(
        "mnist",
        models.mnist_bn,
        {"epochs": 15, "batch_size": 100, "learning_rate": 3e-3, "weight_decay": 0.01, "shift": 2},
    ),
    # The lab's network against an attacker who may change every pixel by 0.3: projected gradient descent of 10 steps.
    "mnist-robust": Recipe(
        "mnist",
        models.mnist,
        {"epochs": 24, "batch_size": 100, "learning_rate": 2e-3, "warmup": 0.3, "shift": 1}
        | {"attack": {"eps": 0.3, "steps": 10, "step_size": 0.06}},
    ),
    # Trained on what can be proved: interval bounds for eps 0.3, which are the better for a somewhat larger eps here.
    "mnist-certified": Recipe(
        "mnist",
        models.mnist_certified,
        {"epochs": 30, "batch_size": 100, "learning_rate": 1e-3, "warmup": 0.1, "clip": 10.0}
        | {"bounds": {"eps": 0.35, "ramp": 0.5, "kappa": 0.5}},
        initialise=interval_init,
    ),
    # The certified network, trained on for both: mostly on attacked images, and a little on bounds. Fewer images are
    # proved than before, and more of them withstand every attack.
    "mnist-robust-best": Recipe(
        "mnist",
        models.mnist_certified,
        {"epochs": 12, "batch_size": 100, "learning_rate": 1e-3, "warmup": 0.1, "clip": 10.0, "average": 0.999}
        | {"attack": {"eps": 0.31, "steps": 10, "step_size": 0.06}}
        | {"bounds": {"eps": 0.3, "ramp": 0.1, "kappa": 0.8}},
        begin_with="mnist-certified",
    ),
    # A modern recipe. It needs no dropout: augmentation keeps so small a network from learning images by heart.
    "cifar10": Recipe(
        "cifar10",
        partial(models.cifar10, dropout=(0.0, 0.0, 0.0)),
        {"epochs": 30, "batch_size": 256, "optimizer": "sgd", "learning_rate": 0.2, "weight_decay": 5e-4}
        | {"label_smoothing": 0.1, "shift": 4, "flip": True},
    ),
    # The same network, trained for longer, with an average of its weights and a square cut out of each image.
    "cifar10-longer": Recipe(
        "cifar10",
        partial(models.cifar10, dropout=(0.0, 0.0, 0.0)),
        {"epochs": 100, "batch_size": 256, "optimizer": "sgd", "learning_rate": 0.2, "weight_decay": 5e-4}
        | {"label_smoothing": 0.1, "shift": 4, "flip": "alternating", "cutout": 8, "average": 0.999},
    ),
    # The same recipe for a residual network with no more weights and 3.5 times the operations.
    "cifar10-best": Recipe(
        "cifar10",
        models.cifar10_best,
        {"epochs": 110, "batch_size": 256, "optimizer": "sgd", "learning_rate": 0.2, "weight_decay": 5e-4}
        | {"label_smoothing": 0.1, "shift": 4, "flip": "alternating", "cutout": 8, "average": 0.999},
    ),
    # The first network against an attacker who may change every value by 8/255. It begins with the weights of cifar10:
    # what they know of images need not be learned again from images that are harder to read.
    "cifar10-robust": Recipe(
        "cifar10",
        partial(models.cifar10, dropout=(0.0, 0.0, 0.0)),
        {"epochs": 54, "batch_size": 512, "optimizer": "sgd", "learning_rate": 0.3, "weight_decay": 2e-4}
        | {"warmup": 0.2, "shift": 4, "flip": "alternating", "average": 0.999}
        | {"attack": {"eps": 8 / 255, "steps": 7, "step_size": 2.5 / 255}},
        begin_with="cifar10",
    ),
}
SCRATCH = "cifar10-scratch"  # NumPy's network has a training loop, and so a recipe, of its own


def train_shipped(
    name: str,
    folder: Path,
    *,
    seed: int = 0,
    images: int | None = None,
    epochs: int | None = None,
    fabric: "Fabric | None" = None,
) -> dict[str, Any]:
    """Train one of the shipped networks and write its weights and card to a folder.

    Args:
        name: a key of RECIPES, or SCRATCH.
        folder: where NAME.safetensors and NAME.json go, and NAME.checkpoint until they are there.
        seed: fixes initial weights and everything that training draws.
        images: train on the first so many only, to try things out.
        epochs: another number of epochs than the recipe's.
        fabric: as in `fit`; NumPy's network needs none.

    Returns:
        The card.

    Raises:
        ValueError: unknown name; images or epochs < 1; a checkpoint in the folder that other options made.
        ModuleNotFoundError: lightning-fabric is not installed.
    """
    if name not in (*RECIPES, SCRATCH):
        raise ValueError(f"unknown network {name!r}; networks with a recipe: {', '.join([*RECIPES, SCRATCH])}")
    check_counts(**{option: value for option, value in (("images", images), ("epochs", epochs)) if value is not None})
    checkpoint = folder / f"{name}.checkpoint"
    if name == SCRATCH:
        content, facts = _train_scratch(checkpoint, seed, images, epochs)
    else:
        fabric = fabric or single_process()
        content, facts = _train_torch(name, checkpoint, seed, images, epochs, fabric)
    changes = {"seed": seed or None, "images": images, "epochs": epochs}
    if fabric and facts["precision"] != "32-true":
        changes["precision"] = facts["precision"]
    options = [f"--{option} {value}" for option, value in changes.items() if value is not None]
    history = facts.pop("history")
    test_images = facts.pop("test_images")
    card = {
        "name": name,
        "network": facts.pop("network"),
        "parameters": facts.pop("parameters"),
        "command": " ".join(["labkit train", name, *options]),
        **facts,
        "history": {figure: [round(value, 5) for value in values] for figure, values in history.items()},
        "test_accuracy": round(history["test_accuracy"][-1], 5),
        "test_images": test_images,
        "bytes": len(content),
        "sha256": sha256(content),
    }
    if fabric is None or fabric.is_global_zero:
        write_bytes(folder / f"{name}.safetensors", content)
        write_json(folder / f"{name}.json", card, indent=1)
        checkpoint.unlink()
    return card


def _train_torch(
    name: str, checkpoint: Path, seed: int, images: int | None, epochs: int | None, fabric: "Fabric"
) -> tuple[bytes, dict[str, Any]]:
    """The weights as a safetensors file, and what the card says of them."""
    recipe = RECIPES[name]
    options: dict[str, Any] = recipe.options | ({} if epochs is None else {"epochs": epochs})
    train, test = _sets(recipe.data, images)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = recipe.build()
        if recipe.initialise:
            recipe.initialise(network)
    if recipe.begin_with:
        network.load_state_dict(models.load(recipe.begin_with).state_dict())
    show = _bar(name) if fabric.is_global_zero else iter
    history = fit(network, train, test, **options, seed=seed, checkpoint=checkpoint, fabric=fabric, progress=show)
    state = {key: tensor.cpu().contiguous() for key, tensor in network.state_dict().items()}
    begin = {"begin_with": recipe.begin_with} if recipe.begin_with else {}
    return save_tensors(state), {
        "network": f"labkit.models.{getattr(recipe.build, 'func', recipe.build).__name__}",
        "parameters": sum(p.numel() for p in network.parameters()),
        "recipe": {"data": recipe.data, "train_images": len(train)} | begin | options,
        "precision": fabric._precision.precision,
        "seed": seed,
        "versions": _versions("torch", "lightning-fabric", "numpy"),
        "machine": f"{fabric.world_size} process of {torch.get_num_threads()} threads on {fabric.device.type}",
        "history": asdict(history),
        "test_images": len(test),
    }


def _train_scratch(checkpoint: Path, seed: int, images: int | None, epochs: int | None) -> tuple[bytes, dict[str, Any]]:
    """As `_train_torch`, for the network in NumPy."""
    train, test = _sets("cifar10", images)
    chosen: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    network, recipe, history = scratch_recipe.train(
        checkpoint, train, test, seed=seed, progress=_bar(SCRATCH), **chosen
    )
    state = {name: array.copy() for name, array in network.state().items()}
    return save_arrays(state), {
        "network": "labkit.scratch.cifar10",
        "parameters": sum(array.size for array in network.parameters().values()),
        "recipe": {"data": "cifar10"} | {name: value for name, value in recipe.items() if name != "seed"},
        "precision": "float32",
        "seed": seed,
        "versions": _versions("numpy"),
        "machine": f"1 process on {os.cpu_count()} cores, {platform.machine()}",
        "history": history,
        "test_images": len(test),
    }


def _bar(name: str) -> Progress:
    return partial(tqdm, desc=name, unit="step", disable=not sys.stderr.isatty())


def _sets(name: str, images: int | None) -> tuple[data.ImageSet, data.ImageSet]:
    return data.load(name, "train").subset(slice(images)), data.load(name, "test")


def _versions(*packages: str) -> dict[str, str]:
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `labkit train`."""
    parser.add_argument("name", choices=[*RECIPES, SCRATCH], help="the network")
    parser.add_argument(
        "--seed", type=int, default=0, help="of initial weights, order, augmentation, dropout (default: 0)"
    )
    parser.add_argument("--folder", type=Path, help="where weights and card go (default: in the place of labkit's own)")
    parser.add_argument("--images", type=int, help="train on the first so many images only, to try things out")
    parser.add_argument("--epochs", type=int, help="another number of epochs than the recipe's, to try things out")
    parser.add_argument(
        "--precision", default="32-true", help="bf16-mixed takes less time on some processors (default: 32-true)"
    )


def run(options: argparse.Namespace) -> None:
    """What `labkit train` does with its options.

    Raises:
        ValueError: another seed, fewer images or other epochs would replace labkit's own weights.
    """
    given = [name for name in ("seed", "images", "epochs") if getattr(options, name)]
    if options.folder is None and given:
        raise ValueError(f"with --{given[0]} this is another network than labkit's own: say --folder, where it goes")
    fabric = None
    if options.name != SCRATCH:
        fabric = _launched(options.precision)
        keep_freed_memory()
    card = train_shipped(
        options.name,
        options.folder or models.WEIGHTS,
        seed=options.seed,
        images=options.images,
        epochs=options.epochs,
        fabric=fabric,
    )
    if fabric is None or fabric.is_global_zero:
        seconds = card["history"]["seconds"]
        print(
            f"{card['name']}: {card['test_accuracy']:.2%} of {card['test_images']:,} test images, "
            f"{len(seconds)} {'epoch' if len(seconds) == 1 else 'epochs'} in {sum(seconds):.0f} s"
        )


def _launched(precision: str) -> "Fabric":
    with needs("train"):
        from lightning_fabric import Fabric
    if "LT_CLI_USED" in os.environ:  # under `fabric run`, which has chosen the devices and started the processes
        return Fabric()
    fabric = Fabric(accelerator="auto", devices=1, precision=precision)  # pyright: ignore[reportArgumentType]
    torch.backends.cudnn.benchmark = True  # all batches have the same shape, so a GPU may look for its fastest way
    fabric.launch()
    return fabric


def main(arguments: list[str] | None = None) -> None:
    """Train one shipped network from the command line."""
    parser = argparse.ArgumentParser(prog="labkit train", description="Train one of labkit's networks.")
    add_arguments(parser)
    run(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
