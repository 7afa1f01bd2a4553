"""How the NumPy network that labkit ships was trained: `labkit train cifar10-scratch` does it again."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labkit import data
from labkit.files import replacing
from labkit.scratch.models import cifar10
from labkit.scratch.network import Network, cross_entropy
from labkit.scratch.training import SGD, Progress, fit, flip

RECIPE: dict[str, Any] = {
    "epochs": 5, "batch_size": 50, "optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True,
    "weight_decay": 5e-4, "warmup": 0.25, "dropout": [0.0, 0.0, 0.1], "flip": True,
}  # fmt: skip
FIGURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")

History = dict[str, list[float]]


def train(
    checkpoint: Path,
    train_set: data.ImageSet,
    test_set: data.ImageSet,
    *,
    seed: int = 0,
    epochs: int = RECIPE["epochs"],
    progress: Progress = iter,
) -> tuple[Network, dict[str, Any], History]:
    """Train `labkit.scratch.cifar10` by the recipe.

    A checkpoint after each epoch lets a run that was killed go on, and end with the same weights.

    Args:
        checkpoint: the file to write after each epoch and, where it exists already, to go on from.
        train_set: what to learn from.
        test_set: what to measure after each epoch.
        seed: fixes initial weights, order, augmentation and dropout.
        epochs: passes over the training images.
        progress: wraps the loop over the steps of each epoch, e.g. ``tqdm``; silent by default.

    Returns:
        The network, the recipe in full, and what was measured: one entry an epoch under each of FIGURES.

    Raises:
        ValueError: the checkpoint was made by another recipe.
    """
    recipe = {"train_images": len(train_set), **RECIPE, "epochs": epochs, "seed": seed}
    network = cifar10(dropout=recipe["dropout"], seed=seed)
    optimizer = SGD(**{name: recipe[name] for name in ("learning_rate", "momentum", "nesterov", "weight_decay")})
    history = _resume(checkpoint, network, optimizer, recipe)
    labels = test_set.labels.numpy()
    for epoch in range(len(history["seconds"]), epochs):
        start = time.perf_counter()
        found = fit(
            network,
            train_set.images.numpy(),
            train_set.labels.numpy(),
            optimizer,
            epochs=[epoch],
            batch_size=recipe["batch_size"],
            schedule=partial(one_cycle, recipe=recipe),
            augment=flip if recipe["flip"] else None,
            seed=seed,
            progress=progress,
        )
        found["seconds"] = [time.perf_counter() - start]
        logits = network.predict(test_set.images.numpy())
        found["test_loss"] = [float(cross_entropy(logits, labels)[0])]
        found["test_accuracy"] = [float((logits.argmax(axis=1) == labels).mean())]
        history = {figure: values + found[figure] for figure, values in history.items()}
        _save_checkpoint(checkpoint, network, optimizer, recipe, history)
    return network, recipe, history


def one_cycle(epoch: float, recipe: dict[str, Any]) -> float:
    """The learning rate after so many epochs: up from 0 to its peak, and down to 0 again."""
    turns = [0, recipe["warmup"] * recipe["epochs"], recipe["epochs"]]
    return float(np.interp(epoch, turns, [0, recipe["learning_rate"], 0]))


def _save_checkpoint(path: Path, network: Network, optimizer: SGD, recipe: dict[str, Any], history: History) -> None:
    """Everything that the next epoch depends on."""
    arrays = {f"network.{name}": array for name, array in network.state().items()}
    arrays |= {f"optimizer.{name}": array for name, array in optimizer.state.items()}
    with replacing(path) as partial_path, partial_path.open("wb") as file:
        np.savez(file, allow_pickle=False, about=np.array(json.dumps([recipe, history])), **arrays)


def _resume(path: Path, network: Network, optimizer: SGD, recipe: dict[str, Any]) -> History:
    """Fill network and optimizer from a checkpoint, if there is one; return the history so far."""
    if not path.exists():
        return {figure: [] for figure in FIGURES}
    saved = dict(np.load(path))
    was, history = json.loads(str(saved.pop("about")))
    if was != recipe:
        raise ValueError(f"the checkpoint {path} was made by {was}, not {recipe}; delete it to start afresh")
    for name, array in network.state().items():
        array[...] = saved.pop(f"network.{name}")
    optimizer.state = {name.removeprefix("optimizer."): array for name, array in saved.items()}
    return history
