"""Training the lab's MNIST network for an epoch: labkit.training.fit against the script that everybody writes.

The usual script: a Dataset of images that are turned into tensors one at a time (ToTensor, Normalize), a DataLoader in
batches of 100, torch.optim.Adam, float32. `fit` trains the same network on the same images, in float32 and in the
bfloat16 that `--precision bf16-mixed` asks for (worth it where the processor has instructions for it: AVX512-BF16 or
AMX). Each epoch has a process of its own with one thread, and its seconds are those that a processor worked on it, so
that other work on the machine counts as little as it can. Then a step of the CIFAR-10 recipe in both precisions.
"""

import logging
from collections.abc import Iterator
from functools import partial
from time import process_time

import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks._race import Options, Race, Run, race, run
from labkit import data, models, training
from labkit._torchvision import torchvision
from labkit.recipes import RECIPES

USUAL = "DataLoader + ToTensor + Adam"


class Pictures(Dataset):
    """As torchvision's MNIST: an array, of which each image becomes a picture, then a tensor, when it is asked for."""

    def __init__(self, images: data.ImageSet) -> None:
        self.pixels, self.labels = (images.images[:, 0] * 255).round().byte().numpy(), images.labels.tolist()
        steps = [torchvision.transforms.ToTensor(), torchvision.transforms.Normalize((0.1307,), (0.3081,))]
        self.transform = torchvision.transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def usual_script(count: int) -> Run:
    torch.set_num_threads(1)
    train = mnist(count)
    network = models.mnist()[1:]  # the transform normalises
    loader = DataLoader(Pictures(train), batch_size=100, shuffle=True)
    optimizer, loss_function = torch.optim.Adam(network.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    start = process_time()
    for images, labels in loader:
        optimizer.zero_grad()
        loss_function(network(images), labels).backward()
        optimizer.step()
    return Run(process_time() - start)


def ours(count: int, precision: str) -> Run:
    torch.set_num_threads(1)
    train, fabric = mnist(count), quiet_fabric(precision)
    few = train.subset(slice(100))
    training.keep_freed_memory()
    start = process_time()
    training.fit(models.mnist(), train, few, epochs=1, batch_size=100, fabric=fabric)
    return Run(process_time() - start)


def cifar10_step(batch_size: int, steps: int, precision: str) -> Run:
    recipe = RECIPES["cifar10"]
    few = data.load("cifar10", "train").subset(slice(steps * batch_size))
    changes = {"epochs": 2, "batch_size": batch_size, "fabric": quiet_fabric(precision)}
    history = training.fit(recipe.build(), few, few.subset(slice(100)), **recipe.options | changes)
    return Run(history.seconds[1] / steps)  # the first epoch also warms up


def mnist(count: int) -> data.ImageSet:
    return data.load("mnist", "train").subset(slice(count))


def quiet_fabric(precision: str) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)  # it announces each precision
    return Fabric(accelerator="cpu", devices=1, precision=precision)


def epoch(options: Options) -> Iterator[Race]:
    count = options.size(20_000, 200)
    scripts = {
        USUAL: partial(usual_script, count),
        "labkit.training.fit": partial(ours, count, "32-true"),
        "labkit.training.fit, bf16-mixed": partial(ours, count, "bf16-mixed"),
    }
    lanes = {name: options.alone(script) for name, script in scripts.items()}
    wanted = {"labkit.training.fit": {USUAL: 0.5}}
    title = f"{count:,} MNIST images in batches of 100, lab network"
    yield race(title, lanes, options.rounds, wanted=wanted, warm_up=False)


def step(options: Options) -> Iterator[Race]:
    size, steps = options.size(RECIPES["cifar10"].options["batch_size"], 4), options.size(10, 1)
    precisions = ("32-true", "bf16-mixed")
    lanes = {precision: options.alone(partial(cifar10_step, size, steps, precision)) for precision in precisions}
    title = f"a step of the CIFAR-10 recipe, {size} images of 50,000 an epoch"
    yield race(title, lanes, min(2, options.rounds), warm_up=False)


SECTIONS = {"epoch": epoch, "step": step}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=3)
