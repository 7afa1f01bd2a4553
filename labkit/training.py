"""Training: a plain loop, what it measured, and the recipe of every shipped network.

`labkit train NAME`, with mnist, mnist-bn, mnist-best, mnist-robust or cifar10, trains a network on all its
data and writes labkit/weights/NAME.safetensors with its card NAME.json. A run that was killed goes on from its last
epoch, and ends with the same weights as one that was not. Several processes or GPUs:
`fabric run --devices 2 labkit/training.py mnist`.
"""

import argparse
import ctypes
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from tqdm.auto import tqdm

from labkit import data, models
from labkit.attacks.pgd import pgd
from labkit.data import ImageSet
from labkit.extras import needs

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class History:
    """One entry an epoch. The train figures are means over the epoch on augmented images; accuracies are fractions."""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of training; the test after it is not counted


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy, and the fraction of images whose largest logit is that of their label."""

    loss: float
    accuracy: float


def fit(
    model: nn.Module,
    train: ImageSet,
    test: ImageSet,
    *,
    epochs: int,
    batch_size: int = 100,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    warmup: float = 0.2,
    label_smoothing: float = 0.0,
    shift: int = 0,
    flip: bool = False,
    attack: dict | None = None,
    outliers: Tensor | None = None,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    fabric: "Fabric | None" = None,
    progress: Callable = iter,
) -> History:
    """Train a network on cross-entropy, in place, and leave it in eval mode.

    The learning rate rises linearly from 0 to its peak and falls linearly back to 0. Everything random comes from
    `seed` and the number of the epoch, so the same call on the same CPU with as many threads gives the same weights,
    bit for bit.

    Args:
        model: images (N, C, H, W) -> logits (N, K). Its initial weights are the caller's affair.
        train: what to learn from.
        test: what to measure after every epoch; nothing is chosen by it.
        epochs: passes over the training images.
        batch_size: images a step, over all processes together; what is left of an epoch is dropped.
        optimizer: "adam" (AdamW), or "sgd" with Nesterov momentum 0.9.
        learning_rate: its peak.
        weight_decay: pulls weights, but not biases and batch norm, towards zero.
        warmup: fraction of all steps during which the learning rate rises.
        label_smoothing: share of the target probability that is spread over all classes.
        shift: move each image by up to this many pixels, its border mirrored.
        flip: mirror every second image, left to right.
        attack: options of `labkit.attacks.pgd`, for adversarial training: each batch is attacked, and the network
            learns from what comes out. One step is the fast recipe, FGSM with a random start. While the learning rate
            rises, eps and step_size rise with it; a network that meets the full eps at once may never start to learn.
        outliers: (M, C, H, W), for outlier exposure: images to learn from as well, each with the uniform distribution
            over all classes as its target. In the train accuracy they count as wrong.
        seed: fixes order, augmentation and dropout.
        checkpoint: file that is written after each epoch and, where it exists already, gone on from.
        fabric: a Lightning Fabric, for several processes, GPUs or a lower precision; by default one CPU in float32.
        progress: wraps the loop over the steps of each epoch, e.g. ``tqdm``; silent by default.

    Returns:
        What was measured in each epoch, those before a resumed checkpoint included.

    Raises:
        ValueError: an option out of its range; a checkpoint made with other options; a loss that is not finite.
    """
    options = {
        "images": len(train), "epochs": epochs, "batch_size": batch_size, "optimizer": optimizer,
        "learning_rate": learning_rate, "weight_decay": weight_decay, "warmup": warmup,
        "label_smoothing": label_smoothing, "shift": shift, "flip": flip, "attack": attack, "seed": seed,
        "outliers": 0 if outliers is None else len(outliers),
    }  # fmt: skip
    _check_options(options)
    if outliers is not None:
        train = _with_outliers(train, outliers)
    fabric = fabric or _one_cpu()
    _keep_freed_memory()
    model.to(memory_format=torch.channels_last)  # up to twice as fast on a CPU
    network, optimiser = fabric.setup(model, _optimizer(model, optimizer, weight_decay))
    history = _resume(checkpoint, model, optimiser, options)
    images, labels = train.images.to(fabric.device), train.labels.to(fabric.device)
    steps = len(train) // batch_size
    mine = slice(fabric.global_rank, None, fabric.world_size)  # this process's share of each batch
    for epoch in range(len(history.seconds), epochs):
        start, totals = time.perf_counter(), torch.zeros(2, device=fabric.device)
        rng = torch.Generator().manual_seed(_mix(seed, epoch))
        order = torch.randperm(len(train), generator=rng)[: steps * batch_size].view(steps, batch_size)
        model.train()
        with torch.random.fork_rng():  # dropout knows no other than the global generator
            torch.manual_seed(_mix(seed, epoch, fabric.global_rank))
            for step, chosen in enumerate(progress(order)):
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate * one_cycle((epoch + step / steps) / epochs, warmup)
                moves = _draw_moves(batch_size, shift, flip, rng)
                x = _moved(images[chosen[mine]], moves[mine].to(fabric.device), shift)
                y = labels[chosen[mine]]
                if attack:
                    strength = min(1.0, (epoch + step / steps) / epochs / warmup) if warmup else 1.0
                    x = _attacked(model, x, y, attack, strength, fabric, _mix(seed, epoch, step, fabric.global_rank))
                logits = network(x.contiguous(memory_format=torch.channels_last))
                loss = _loss(logits, y, label_smoothing)
                optimiser.zero_grad()
                fabric.backward(loss)
                optimiser.step()
                totals += torch.stack([loss.detach(), (logits.argmax(1) == y).float().mean()])
        seconds = time.perf_counter() - start
        loss, accuracy = fabric.all_reduce(totals / steps, reduce_op="mean").tolist()
        if not loss < float("inf"):
            raise ValueError(f"the loss became {loss} in epoch {epoch + 1}; learning_rate={learning_rate} is too high")
        tested = evaluate(model, test)
        for each, value in zip(fields(History), (loss, accuracy, tested.loss, tested.accuracy, seconds), strict=True):
            getattr(history, each.name).append(value)
        if checkpoint and fabric.is_global_zero:
            _save_checkpoint(Path(checkpoint), model, optimiser, options, history)
    model.to(memory_format=torch.contiguous_format).eval()
    return history


def one_cycle(progress: float, warmup: float) -> float:
    """Learning rate as a fraction of its peak: up from 0 while progress < warmup, then down to 0 at progress 1."""
    return progress / warmup if progress < warmup else (1 - progress) / (1 - warmup)


def evaluate(model: nn.Module, images: ImageSet, *, batch_size: int = 500) -> Evaluation:
    """Loss and accuracy on a whole set; the model's mode is left as it was.

    Raises:
        ValueError: the set is empty.
    """
    if len(images) == 0:
        raise ValueError("there is nothing to evaluate: the set holds 0 images")
    logits = predict(model, images.images, batch_size=batch_size)
    labels = images.labels.to(logits.device)
    return Evaluation(cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item())


def predict(model: nn.Module, images: Tensor, *, batch_size: int = 500) -> Tensor:
    """Logits (N, K) float32 of images (N, C, H, W), in eval mode, without gradients, a batch at a time."""
    training = [module for module in model.modules() if module.training]
    device = next((p.device for p in model.parameters()), images.device)
    model.eval()
    try:
        with torch.inference_mode():
            return torch.cat([model(batch.to(device)) for batch in images.split(batch_size)]).float()
    finally:
        for module in training:
            module.training = True


def _keep_freed_memory() -> None:
    """Have glibc keep what one step frees for the next one, which asks for the same; elsewhere change nothing.

    By default glibc hands large blocks back to the system at once, and fetching them anew, page by page, takes a
    third of the time of a step of the MNIST network.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD: blocks of up to 32 MB come from the heap
        libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD: which keeps up to 1 GB


def _check_options(options: dict) -> None:
    whole = {"epochs": 1, "batch_size": 1, "shift": 0, "images": options["batch_size"]}
    for name, least in whole.items():
        if not isinstance(options[name], int) or options[name] < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {options[name]!r}")
    if options["attack"] is not None and "eps" not in options["attack"]:
        raise ValueError(f"attack must be options of labkit.attacks.pgd, with eps at least, got {options['attack']!r}")
    if options["optimizer"] not in ("adam", "sgd"):
        raise ValueError(f"optimizer must be 'adam' or 'sgd', got {options['optimizer']!r}")
    if not options["learning_rate"] > 0:
        raise ValueError(f"learning_rate must be positive, got {options['learning_rate']!r}")
    for name, (low, high) in {"weight_decay": (0, 1), "warmup": (0, 0.99), "label_smoothing": (0, 0.99)}.items():
        if not low <= options[name] <= high:
            raise ValueError(f"{name} must lie in [{low}, {high}], got {options[name]!r}")


def _optimizer(model: nn.Module, name: str, weight_decay: float) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]  # biases and batch norm
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    if name == "adam":
        return torch.optim.AdamW(groups, fused=True)
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True, fused=True)  # lr: set anew each step


def _with_outliers(train: ImageSet, outliers: Tensor) -> ImageSet:
    """The training images and the outliers, which have the label -1."""
    if outliers.ndim != 4 or outliers.shape[1:] != train.images.shape[1:]:
        wanted, got = tuple(train.images.shape[1:]), tuple(outliers.shape)
        raise ValueError(f"outliers must be images (M, C, H, W) with (C, H, W) = {wanted}, got shape {got}")
    labels = torch.cat([train.labels, train.labels.new_full((len(outliers),), -1)])
    return replace(train, images=torch.cat([train.images, outliers]), labels=labels)


def _loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """The mean cross-entropy, to the label or, where that is -1, to the same probability for every class."""
    outlier = labels < 0
    if not outlier.any():
        return cross_entropy(logits, labels, label_smoothing=label_smoothing)
    own = cross_entropy(logits, labels.clamp(min=0), label_smoothing=label_smoothing, reduction="none")
    return torch.where(outlier, -logits.log_softmax(1).mean(1), own).mean()


def _draw_moves(n: int, shift: int, flip: bool, rng: torch.Generator) -> Tensor:
    """(N, 3) int64: how far down and right to look in the padded image, and whether to mirror it."""
    limits = torch.tensor([2 * shift + 1, 2 * shift + 1, 2 if flip else 1])
    return (torch.rand(n, 3, generator=rng) * limits).long()


def _moved(images: Tensor, moves: Tensor, shift: int) -> Tensor:
    """Each image (C, H, W) shifted and mirrored as its row of moves says: one lookup of rows and columns."""
    if not moves.any():
        return images
    n, c, h, w = images.shape
    device = images.device
    padded = pad(images, [shift] * 4, mode="reflect")
    rows = moves[:, 0, None] + torch.arange(h, device=device)  # (N, H)
    columns = moves[:, 1, None] + torch.arange(w, device=device)  # (N, W)
    columns = torch.where(moves[:, 2, None] == 1, columns.flip(1), columns)
    each, channel = torch.arange(n, device=device)[:, None, None, None], torch.arange(c, device=device)[:, None, None]
    return padded[each, channel, rows[:, None, :, None], columns[:, None, None, :]]  # (N, C, H, W)


def _one_cpu() -> "Fabric":
    with needs("train"):
        from lightning_fabric import Fabric
    return Fabric(accelerator="cpu", devices=1)


def _attacked(model: nn.Module, x: Tensor, y: Tensor, attack: dict, strength: float, fabric: "Fabric", seed: int):
    """What pgd makes of a batch, with eps and step_size at a fraction of their full strength."""
    scaled = {name: attack[name] * strength for name in ("eps", "step_size") if attack.get(name)}
    if not strength:
        return x
    model.eval()
    with fabric.autocast():
        x = pgd(model, x, y, **(attack | scaled), seed=seed)
    model.train()
    return x


def _mix(*numbers: int) -> int:
    """One seed out of several numbers, so that neighbouring epochs and processes have nothing in common."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:7])


def _save_checkpoint(path: Path, model: nn.Module, optimiser, options: dict, history: History) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    state = {"model": model.state_dict(), "optimizer": optimiser.state_dict()}
    torch.save(state | {"options": options, "history": asdict(history)}, partial_path)
    partial_path.replace(path)


def _resume(path: Path | str | None, model: nn.Module, optimiser, options: dict) -> History:
    if path is None or not Path(path).exists():
        return History()
    saved = torch.load(path, weights_only=True)
    if saved["options"] != options:
        changed = [name for name in options if saved["options"].get(name) != options[name]]
        was, now = ({name: each.get(name) for name in changed} for each in (saved["options"], options))
        raise ValueError(f"the checkpoint {path} was made with {was}, not {now}; delete it to start afresh")
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimizer"])
    return History(**saved["history"])


# The recipes of the shipped networks: data set, network before training, options of fit.
RECIPES: dict[str, tuple[str, Callable[[], nn.Module], dict]] = {
    # The lab: Adam, batches of 100, 6 epochs; once plain, once with batch norm.
    "mnist": ("mnist", models.mnist, {"epochs": 6, "batch_size": 100, "learning_rate": 2e-3}),
    "mnist-bn": ("mnist", models.mnist_bn, {"epochs": 6, "batch_size": 100, "learning_rate": 2e-3}),
    # The same network with batch norm, for longer and on shifted digits.
    "mnist-best": (
        "mnist",
        models.mnist_bn,
        {"epochs": 15, "batch_size": 100, "learning_rate": 3e-3, "weight_decay": 0.01, "shift": 2},
    ),
    # The lab's network against an attacker who may change every pixel by 0.3: projected gradient descent of 10 steps.
    "mnist-robust": (
        "mnist",
        models.mnist,
        {"epochs": 24, "batch_size": 100, "learning_rate": 2e-3, "warmup": 0.3, "shift": 1}
        | {"attack": {"eps": 0.3, "steps": 10, "step_size": 0.06}},
    ),
    # A modern recipe. It needs no dropout: augmentation keeps so small a network from learning images by heart.
    "cifar10": (
        "cifar10",
        partial(models.cifar10, dropout=(0.0, 0.0, 0.0)),
        {"epochs": 30, "batch_size": 256, "optimizer": "sgd", "learning_rate": 0.2, "weight_decay": 5e-4}
        | {"label_smoothing": 0.1, "shift": 4, "flip": True},
    ),
}


def train_shipped(
    name: str,
    folder: Path,
    *,
    seed: int = 0,
    images: int | None = None,
    fabric: "Fabric | None" = None,
    command: str = "",
) -> dict:
    """Train one of the shipped networks and write its weights and card to a folder; return the card.

    Args:
        name: a key of RECIPES.
        folder: where NAME.safetensors and NAME.json go, and NAME.checkpoint until they are there.
        command: what to type to make them again, for the card.
        seed: fixes initial weights and everything that `fit` draws.
        images: train on the first so many only, to try things out.
        fabric: as in `fit`.
    """
    source, build, options = RECIPES[name]
    train, test = data.load(source, "train"), data.load(source, "test")
    train = train.subset(slice(images))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build()
    fabric = fabric or _one_cpu()
    checkpoint = folder / f"{name}.checkpoint"
    show = partial(tqdm, desc=name, unit="step", disable=not (fabric.is_global_zero and sys.stderr.isatty()))
    history = fit(network, train, test, **options, seed=seed, checkpoint=checkpoint, fabric=fabric, progress=show)
    content = to_safetensors({key: tensor.cpu().contiguous() for key, tensor in network.state_dict().items()})
    written = {
        "name": name,
        "network": f"labkit.models.{getattr(build, 'func', build).__name__}",
        "parameters": sum(p.numel() for p in network.parameters()),
        "command": command,
        "recipe": {"data": source, "train_images": len(train)} | options,
        "precision": fabric._precision.precision,
        "seed": seed,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("torch", "lightning-fabric", "numpy")},
        "machine": f"{fabric.world_size} process of {torch.get_num_threads()} threads on {fabric.device.type}",
        "history": {key: [round(value, 5) for value in values] for key, values in asdict(history).items()},
        "test_accuracy": round(history.test_accuracy[-1], 5),
        "test_images": len(test),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if fabric.is_global_zero:
        _write(folder / f"{name}.safetensors", content)
        _write(folder / f"{name}.json", (json.dumps(written, indent=1) + "\n").encode())
        checkpoint.unlink()
    return written


def _write(path: Path, content: bytes) -> None:
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    partial_path.write_bytes(content)
    partial_path.replace(path)


def main(arguments: list[str] | None = None) -> None:
    """Train one shipped network from the command line."""
    parser = argparse.ArgumentParser(prog="labkit train", description="Train one of labkit's networks.")
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=models.WEIGHTS, help="where weights and card go")
    parser.add_argument("--images", type=int, help="train on the first so many images only")
    parser.add_argument("--precision", default="32-true", help="bf16-mixed halves the time on CPUs with AVX512-BF16")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with needs("train"):
        from lightning_fabric import Fabric

    if "LT_CLI_USED" in os.environ:  # under `fabric run`, which has chosen the devices and started the processes
        fabric = Fabric()
    else:
        fabric = Fabric(accelerator="auto", devices=1, precision=options.precision)
        fabric.launch()
    given = " ".join(sys.argv[1:] if arguments is None else arguments)
    command = f"labkit train {given}"
    made = train_shipped(
        options.name, options.folder, seed=options.seed, images=options.images, fabric=fabric, command=command
    )
    if fabric.is_global_zero:
        print(
            f"{made['name']}: {made['test_accuracy']:.2%} of {made['test_images']:,} test images, "
            f"{len(made['history']['seconds'])} epochs in {sum(made['history']['seconds']):.0f} s"
        )


if __name__ == "__main__":
    main()
