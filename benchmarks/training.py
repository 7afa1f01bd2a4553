"""Training the lab's MNIST network for an epoch: labkit.training.fit against the script that everybody writes.

The usual script: a Dataset of images that are turned into tensors one at a time (ToTensor, Normalize), a DataLoader in
batches of 100, torch.optim.Adam. Both train the same network in float32 on the same images; they take turns, so that a
busy machine slows both. Then one step of the CIFAR-10 recipe, in the two precisions in which it can be run.
"""

import time

import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from labkit import data, models, training
from labkit._torchvision import torchvision

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


def usual_script(train: data.ImageSet) -> float:
    network = models.mnist()[1:]  # the transform normalises
    loader = DataLoader(Pictures(train), batch_size=100, shuffle=True)
    optimizer, loss_function = torch.optim.Adam(network.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    start = time.perf_counter()
    for images, labels in loader:
        optimizer.zero_grad()
        loss_function(network(images), labels).backward()
        optimizer.step()
    return time.perf_counter() - start


def ours(train: data.ImageSet) -> float:
    return training.fit(models.mnist(), train, train.subset(slice(100)), epochs=1, batch_size=100).seconds[0]


def cifar10_step(train: data.ImageSet, precision: str) -> float:
    _, build, recipe = training.RECIPES["cifar10"]
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    few = train.subset(slice(10 * recipe["batch_size"]))
    history = training.fit(build(), few, few.subset(slice(100)), **recipe | {"epochs": 2}, fabric=fabric)
    return history.seconds[1] / 10  # the first epoch also warms up


def main() -> None:
    train = data.load("mnist", "train").subset(slice(IMAGES))
    times = [(usual_script(train), ours(train)) for _ in range(ROUNDS)]
    usual, own = (min(column) for column in zip(*times, strict=True))
    ratios = sorted(a / b for a, b in times)
    whole = 60_000 / len(train)
    print(f"{'MNIST, lab network, batches of 100':<40}{'s an epoch':>12}")
    print(f"{'DataLoader + ToTensor + Adam':<40}{usual * whole:>12.1f}")
    print(f"{'labkit.training.fit':<40}{own * whole:>12.1f}")
    print(f"{'median ratio of ' + str(ROUNDS) + ' rounds':<40}{ratios[ROUNDS // 2]:>12.2f}")

    train = data.load("cifar10", "train")
    steps = 50_000 // training.RECIPES["cifar10"][2]["batch_size"]
    print(f"\n{'CIFAR-10, recipe, batches of 256':<40}{'s a step':>12}{'s an epoch':>12}")
    for precision in ("32-true", "bf16-mixed"):
        seconds = min(cifar10_step(train, precision) for _ in range(2))
        print(f"{precision:<40}{seconds:>12.3f}{seconds * steps:>12.0f}")


if __name__ == "__main__":
    main()
