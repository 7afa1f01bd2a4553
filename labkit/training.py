"""Training: a plain loop over epochs and batches, what it measured, and checkpoints to go on from."""

import copy
import ctypes
import hashlib
import inspect
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labkit.adversarial_training import attacked, moved_apart
from labkit.attacks.pgd import pgd
from labkit.augmentation import cut_out, draw_moves, moved
from labkit.certified_training import Bounded, bounded_loss, check_bounds, eps_and_kappa
from labkit.core import Progress, check_choice, check_classes, check_counts, check_positive, check_within, laid_out
from labkit.data import ImageSet
from labkit.extras import needs
from labkit.files import replacing

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

    def add(self, *figures: float) -> None:
        """Append one epoch's figures, in the order of the lists above."""
        for each, value in zip(fields(self), figures, strict=True):
            getattr(self, each.name).append(value)


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
    flip: bool | str = False,
    cutout: int = 0,
    average: float = 0.0,
    attack: dict[str, Any] | None = None,
    trades: float | None = None,
    bounds: dict[str, Any] | None = None,
    clip: float | None = None,
    outliers: Float[Tensor, "m c h w"] | None = None,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    fabric: "Fabric | None" = None,
    progress: Progress = iter,
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
        label_smoothing: fraction of the target probability that is spread over all classes.
        shift: move each image by up to this many pixels, its border mirrored.
        flip: mirror images, left to right: True draws anew in each epoch whether to; "alternating" draws once, and then
            shows each image as it is and mirrored in turns.
        cutout: the side, in pixels, of a grey square in each image, at a place drawn anew; 0 for none. A part of it may
            lie outside.
        average: decay of an exponential moving average of the weights, by the step; 0 for none. The average is what is
            tested and what the model holds in the end.
        attack: options of `labkit.attacks.pgd`, for adversarial training: each batch is attacked, and the network
            learns from what comes out. One step is the fast recipe, FGSM with a random start. While the learning rate
            rises, eps and step_size rise with it; a network that meets the full eps at once may never start to learn.
        trades: with an attack, learn from the images themselves, and with this weight from how far the attack moves the
            probabilities (TRADES); None learns from the attacked images alone.
        bounds: for certified training: {"eps": ..., "ramp": ..., "kappa": ...}. The network learns from the worst that
            interval bounds allow for any change of the pixels within eps, too. Over this fraction of the training, eps
            rises from 0, and the weight of the images themselves in the loss falls from 1 to kappa. With an attack,
            too, it is the attacked images that have the weight kappa, and the bounds are those around the images.
        clip: the largest norm of the gradient; a longer one is scaled down to it. None leaves it as it is.
        outliers: (M, C, H, W), images of no class, for outlier exposure: the network learns from them too, with the
            same target probability for every class. In the train accuracy they count as wrong.
        seed: fixes order, augmentation and dropout.
        checkpoint: file that is written after each epoch and, where it exists already, gone on from.
        fabric: a Lightning Fabric, for several processes, GPUs or a lower precision; by default one CPU in float32.
        progress: wraps the loop over the steps of each epoch, e.g. ``tqdm``; silent by default.

    Returns:
        What was measured in each epoch, those before a resumed checkpoint included.

    Raises:
        ValueError: an option out of its range; a negative label; a checkpoint that cannot be read, is another network's
            or was made with other options; a loss that is not finite.
        ModuleNotFoundError: lightning-fabric is not installed.

    Source:
        Madry et al. 2018, arXiv:1706.06083, for `attack`; Zhang et al. 2019, arXiv:1901.08573, for `trades`; Gowal et
        al. 2018, arXiv:1810.12715, for `bounds`; De Palma et al. 2024, arXiv:2305.13991, for bounds with an attack
        (MTL-IBP); Hendrycks, Mazeika and Dietterich 2019, arXiv:1812.04606, for `outliers`; Jordan 2024,
        arXiv:2404.00498, for the alternating flip; DeVries and Taylor 2017, arXiv:1708.04552, for `cutout`.
    """
    options = {
        "images": len(train), "epochs": epochs, "batch_size": batch_size, "optimizer": optimizer,
        "learning_rate": learning_rate, "weight_decay": weight_decay, "warmup": warmup,
        "label_smoothing": label_smoothing, "shift": shift, "flip": flip, "cutout": cutout, "average": average,
        "attack": attack, "trades": trades, "seed": seed, "bounds": bounds, "clip": clip,
        "outliers": 0 if outliers is None else len(outliers),
    }  # fmt: skip
    _check_options(options, train)
    if outliers is not None:
        train = _with_outliers(train, outliers)
    fabric = fabric or single_process()
    train = replace(train, images=train.images.to(fabric.device), labels=train.labels.to(fabric.device))
    try:
        _lay_out(model, torch.channels_last)  # up to twice as fast on a CPU
        optimiser = _optimizer(model, optimizer, weight_decay)
        network, optimiser = fabric.setup(Bounded(model) if bounds else model, optimiser)
        averaged = copy.deepcopy(model) if average else model
        history = _resume(checkpoint, model, averaged, optimiser, options)
        for epoch in range(len(history.seconds), epochs):
            start, sums = time.perf_counter(), torch.zeros(2, device=fabric.device)
            steps = len(train) // batch_size
            model.train()
            with torch.random.fork_rng():  # dropout draws from the global generator only
                torch.manual_seed(_mix(seed, epoch, fabric.global_rank))
                for step, x, y in _batches(train, epoch, options, fabric, progress):
                    done = (epoch + step / steps) / epochs
                    for group in optimiser.param_groups:
                        group["lr"] = learning_rate * one_cycle(done, warmup)
                    clean = x
                    if attack:
                        strength = min(1.0, done / warmup) if warmup else 1.0
                        with fabric.autocast():
                            draw = _mix(seed, epoch, step, fabric.global_rank)
                            hard = attacked(model, x, y, attack, strength=strength, seed=draw)
                        x = hard if trades is None else torch.cat([x, hard])
                    x = x.contiguous(memory_format=torch.channels_last)
                    if bounds:
                        eps, kappa = eps_and_kappa(done, bounds)
                        logits, margins = network(x, y, eps, clean)
                        loss = bounded_loss(logits, margins, y, kappa)
                    elif trades is not None:
                        logits, hard = network(x).float().chunk(2)
                        loss = _loss(logits, y, label_smoothing) + trades * moved_apart(logits, hard)
                    else:
                        logits = network(x)
                        loss = _loss(logits, y, label_smoothing)
                    optimiser.zero_grad()
                    fabric.backward(loss)
                    if clip:
                        fabric.clip_gradients(network, optimiser, max_norm=clip, error_if_nonfinite=False)
                    optimiser.step()
                    if average:
                        _follow(averaged, model, average, epoch * steps + step)
                    sums += torch.stack([loss.detach(), (logits.argmax(1) == y).float().mean()])
            seconds = time.perf_counter() - start
            loss, accuracy = torch.as_tensor(fabric.all_reduce(sums / steps, reduce_op="mean")).tolist()
            if not loss < float("inf"):
                raise ValueError(f"the loss became {loss} in epoch {epoch + 1}; {learning_rate=} is too high")
            tested = evaluate(averaged, test)
            history.add(loss, accuracy, tested.loss, tested.accuracy, seconds)
            if checkpoint and fabric.is_global_zero:
                _save_checkpoint(checkpoint, model, averaged, optimiser, options, history)
        if average:
            model.load_state_dict(averaged.state_dict())
    finally:
        _lay_out(model, torch.contiguous_format)
        model.eval()
    return history


def single_process(precision: str = "32-true") -> "Fabric":
    """A Lightning Fabric for one process on the CPU: what `fit` uses unless it is given another."""
    with needs("train"):
        from lightning_fabric import Fabric
    return Fabric(accelerator="cpu", devices=1, precision=precision)  # pyright: ignore[reportArgumentType]


def one_cycle(progress: float, warmup: float) -> float:
    """Learning rate as a fraction of its peak: up from 0 while progress < warmup, then down to 0 at progress 1."""
    return progress / warmup if progress < warmup else (1 - progress) / (1 - warmup)


def evaluate(model: nn.Module, images: ImageSet, *, batch_size: int = 100) -> Evaluation:
    """Loss and accuracy on a whole set; the model's mode is left as it was.

    Raises:
        ValueError: the set is empty; batch_size < 1.
    """
    if len(images) == 0:
        raise ValueError("there is nothing to evaluate: the set holds 0 images")
    logits = predict(model, images.images, batch_size=batch_size)
    labels = images.labels.to(logits.device)
    return Evaluation(cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item())


def predict(model: nn.Module, images: Float[Tensor, "n c h w"], *, batch_size: int = 100) -> Float[Tensor, "n k"]:
    """Logits (N, K) float32 of images (N, C, H, W), in eval mode, without gradients, a batch at a time."""
    check_counts(batch_size=batch_size)
    training = [module for module in model.modules() if module.training]
    device = next((p.device for p in model.parameters()), images.device)
    model.eval()
    try:
        with torch.inference_mode():
            logits = [model(laid_out(model, batch.to(device))) for batch in images.split(batch_size)]
        return torch.cat(logits).float()  # joined out here, so that a loss with gradients may take them
    finally:
        for module in training:
            module.training = True


def keep_freed_memory() -> None:
    """Let this process keep the memory that one training step frees for the next one, which asks for the same.

    By default glibc hands large blocks back to the system at once, and fetching them anew, page by page, takes a
    third of the time of a step of the MNIST network. This holds for all that the process does from now on, so it is
    for programs that do little else than train; with another C library it changes nothing.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD: blocks of up to 32 MB come from the heap
        libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD: which keeps up to 1 GB


def _follow(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the average of all weights and statistics towards those of now; the first steps move it farther."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for kept, now in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(now, 1 - decay)
            else:
                kept.copy_(now)


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    model.to(memory_format=memory_format)  # pyright: ignore[reportCallIssue]  torch's types leave this one out


def _check_options(options: dict[str, Any], train: ImageSet) -> None:
    check_counts(epochs=options["epochs"], batch_size=options["batch_size"])
    check_counts(least=options["batch_size"], images=options["images"])
    check_counts(least=0, cutout=options["cutout"])
    check_counts(least=0, most=min(train.images.shape[2:]) - 1, shift=options["shift"])  # a mirror shows no more
    check_classes(train.labels, len(train.images))
    check_choice(("adam", "sgd"), optimizer=options["optimizer"])
    check_positive(learning_rate=options["learning_rate"])
    check_within(0, 1, weight_decay=options["weight_decay"])
    check_within(0, 1, ends="[)", average=options["average"])
    if not isinstance(options["flip"], bool) and options["flip"] != "alternating":
        raise ValueError(f"flip must be True, False or 'alternating', got {options['flip']!r}")
    check_within(0, 0.99, warmup=options["warmup"], label_smoothing=options["label_smoothing"])
    if options["attack"] is not None:
        try:
            inspect.signature(pgd).bind(None, None, None, seed=0, **options["attack"])
        except TypeError as error:
            accepted = "options of labkit.attacks.pgd but its seed, with eps at least"
            raise ValueError(f"attack must be {accepted}, got {options['attack']!r}") from error
    if options["trades"] is not None:
        check_positive(trades=options["trades"])
        if options["attack"] is None:
            raise ValueError(f"trades={options['trades']!r} needs an attack, such as {{'eps': 8 / 255, 'steps': 3}}")
    if options["clip"] is not None:
        check_positive(clip=options["clip"])
    if options["bounds"] is not None:
        if not isinstance(options["bounds"], dict):
            raise ValueError(f"bounds must have eps, ramp and kappa, got {options['bounds']!r}")
        check_bounds(options["bounds"])
        if beside := [name for name in ("trades", "outliers", "label_smoothing") if options[name]]:
            raise ValueError(f"training with bounds knows no {beside[0]}, got {options[beside[0]]!r}")


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
    """The mean cross-entropy, to the label or, for outliers (-1), to the same probability for every class."""
    outlier = labels < 0
    if not outlier.any():
        return cross_entropy(logits, labels, label_smoothing=label_smoothing)
    own = cross_entropy(logits, labels.clamp(min=0), label_smoothing=label_smoothing, reduction="none")
    return torch.where(outlier, -logits.log_softmax(1).mean(1), own).mean()


def _batches(
    train: ImageSet, epoch: int, options: dict[str, Any], fabric: "Fabric", progress: Progress
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """This process's part of each batch of an epoch: number of the step, augmented images, labels."""
    size, shift = options["batch_size"], options["shift"]
    rng = torch.Generator().manual_seed(_mix(options["seed"], epoch))
    alternating = options["flip"] == "alternating"
    mirrored = torch.rand(len(train), generator=torch.Generator().manual_seed(options["seed"])) < 0.5  # in epoch 0
    order = torch.randperm(len(train), generator=rng)[: len(train) // size * size].view(-1, size)
    mine = slice(fabric.global_rank, None, fabric.world_size)
    for step, chosen in enumerate(progress(order)):
        moves = draw_moves(size, shift, options["flip"] is True, rng)
        if alternating:
            moves[:, 2] = mirrored[chosen] ^ (epoch % 2 == 1)
        x = moved(train.images[chosen[mine]], moves[mine].to(fabric.device), shift)
        if options["cutout"]:
            x = cut_out(x, torch.rand(size, 2, generator=rng)[mine].to(fabric.device), options["cutout"])
        yield step, x, train.labels[chosen[mine]]


def _mix(*numbers: int) -> int:
    """One seed out of several numbers, so that neighbouring epochs and processes have nothing in common."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:7])


def _save_checkpoint(
    path: Path | str,
    model: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    options: dict[str, Any],
    history: History,
) -> None:
    state = {"model": model.state_dict(), "averaged": averaged.state_dict(), "optimizer": optimiser.state_dict()}
    with replacing(path) as partial, partial.open("wb") as file:  # given a path, torch would want it to have a suffix
        torch.save(state | {"options": options, "history": asdict(history)}, file)


def _resume(
    path: Path | str | None,
    model: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    options: dict[str, Any],
) -> History:
    if path is None or not Path(path).exists():
        return History()
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")  # a GPU may have made it
        history, state = History(**saved["history"]), saved["model"]
    except Exception as error:  # whatever reading a damaged file raises
        raise ValueError(f"{path} is not a checkpoint that can be read; delete it, or give another path") from error
    own = model.state_dict()
    if state.keys() != own.keys() or any(state[name].shape != own[name].shape for name in own):
        raise ValueError(f"the checkpoint {path} is that of another network; delete it to start afresh")
    if saved["options"] != options:
        changed = [name for name in options if saved["options"].get(name) != options[name]]
        was, now = ({name: each.get(name) for name in changed} for each in (saved["options"], options))
        raise ValueError(f"the checkpoint {path} was made with {was}, not {now}; delete it to start afresh")
    model.load_state_dict(state)
    averaged.load_state_dict(saved["averaged"])
    optimiser.load_state_dict(saved["optimizer"])
    return history
