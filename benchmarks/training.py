"""Training the lab's MNIST network for an epoch: labkit.training.fit against the script that everybody writes.

The usual script: a Dataset of images that are turned into tensors one at a time (ToTensor, Normalize), a DataLoader in
batches of 100, torch.optim.Adam, float32. `fit` trains the same network on the same images, in float32 and in the
bfloat16 that `--precision bf16-mixed` asks for (worth it where the processor has instructions for it: AVX512-BF16 or
AMX). Each epoch has a process of its own, and they take turns, so that a busy machine slows all. Then a step of the
CIFAR-10 recipe in both precisions.
"""

import logging
import time
from functools import partial
from statistics import median

import torch
from _measure import alone
from lightning_fabric import Fabric
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from labkit import data, models, training
from labkit._torchvision import torchvision
from labkit.recipes import RECIPES

ROUNDS, IMAGES = 3, 20_000


class Pictures(Dataset):
    """As torchvision's MNIST: an array, of which each image becomes a picture, then a tensor, when it is asked for."""

    def __init__(self, images: data.ImageSet):
        self.pixels, self.labels = (images.images[:, 0] * 255).round().byte().numpy(), images.labels.tolist()
        steps = [torchvision.transforms.ToTensor(), torchvision.transforms.Normalize((0.1307,), (0.3081,))]
        self.transform = torchvision.transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def usual_script() -> float:
    train = mnist()
    network = models.mnist()[1:]  # the transform normalises
    loader = DataLoader(Pictures(train), batch_size=100, shuffle=True)
    optimizer, loss_function = torch.optim.Adam(network.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    start = time.perf_counter()
    for images, labels in loader:
        optimizer.zero_grad()
        loss_function(network(images), labels).backward()
        optimizer.step()
    return time.perf_counter() - start


def ours(precision: str) -> float:
    train = mnist()
    fabric, few = quiet_fabric(precision), train.subset(slice(100))
    training.keep_freed_memory()
    return training.fit(models.mnist(), train, few, epochs=1, batch_size=100, fabric=fabric).seconds[0]


def cifar10_step(precision: str) -> float:
    recipe = RECIPES["cifar10"]
    few = data.load("cifar10", "train").subset(slice(10 * recipe.options["batch_size"]))
    fabric = quiet_fabric(precision)
    history = training.fit(recipe.build(), few, few.subset(slice(100)), **recipe.options | {"epochs": 2}, fabric=fabric)
    return history.seconds[1] / 10  # the first epoch also warms up


def mnist() -> data.ImageSet:
    return data.load("mnist", "train").subset(slice(IMAGES))


def quiet_fabric(precision: str) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)  # it announces each precision
    return Fabric(accelerator="cpu", devices=1, precision=precision)


def main() -> None:
    scripts = {
        "DataLoader + ToTensor + Adam": usual_script,
        "labkit.training.fit": partial(ours, precision="32-true"),
        "labkit.training.fit, bf16-mixed": partial(ours, precision="bf16-mixed"),
    }
    rounds = [[alone(script) for script in scripts.values()] for _ in range(ROUNDS)]
    print(f"{'MNIST, lab network, batches of 100':<40}{'s an epoch':>12}{'ratio':>9}")
    for column, name in enumerate(scripts):
        seconds = min(times[column] for times in rounds) * 60_000 / IMAGES
        ratio = median(times[0] / times[column] for times in rounds)
        print(f"{name:<40}{seconds:>12.1f}{ratio:>9.2f}")
    print(f"fastest and median of {ROUNDS} rounds of {IMAGES:,} images; wanted: a ratio of at least 2")

    steps = 50_000 // RECIPES["cifar10"].options["batch_size"]
    print(f"\n{'CIFAR-10, recipe, batches of 256':<40}{'s a step':>12}{'s an epoch':>12}")
    for precision in ("32-true", "bf16-mixed"):
        seconds = min(alone(partial(cifar10_step, precision)) for _ in range(2))
        print(f"{precision:<40}{seconds:>12.3f}{seconds * steps:>12.0f}")


if __name__ == "__main__":
    main()
