"""Training a NumPy network: two optimizers and the loop over epochs and batches."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from labkit.scratch.network import Array, Dropout, Network, cross_entropy

Progress = Callable[[Iterable[Any]], Iterable[Any]]  # as in labkit.core, which needs PyTorch


@runtime_checkable
class Optimizer(Protocol):
    """What `fit` calls after each batch."""

    learning_rate: float

    def step(self, network: Network) -> None:
        """Change the network's parameters by what the last backward pass left in `network.gradients()`."""


class SGD:
    """Stochastic gradient descent with momentum; weights and velocities as PyTorch counts them."""

    def __init__(
        self,
        learning_rate: float = 0.05,
        *,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ):
        self.learning_rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov
        self.weight_decay = weight_decay
        self.state: dict[str, Array] = {}

    def step(self, network: Network) -> None:
        gradients = network.gradients()
        for name, weights in network.parameters().items():
            gradient = gradients[name] + self.weight_decay * weights
            velocity = self.state[name] = self.momentum * self.state.get(name, 0) + gradient
            step = gradient + self.momentum * velocity if self.nesterov else velocity
            weights -= self.learning_rate * step


class Adam:
    """Steps of even size: the mean gradient over its root mean square (Kingma and Ba 2014, arXiv:1412.6980)."""

    def __init__(self, learning_rate: float = 1e-3, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.learning_rate, self.betas, self.eps = learning_rate, betas, eps
        self.state: dict[str, Array] = {"steps": np.array(0)}

    def step(self, network: Network) -> None:
        self.state["steps"] += 1
        gradients = network.gradients()
        for name, weights in network.parameters().items():
            moments = []
            for power, beta in enumerate(self.betas, start=1):  # mean of the gradient, mean of its square
                key, old = f"moment{power}.{name}", self.state.get(f"moment{power}.{name}", 0)
                self.state[key] = beta * old + (1 - beta) * gradients[name] ** power
                moments.append(self.state[key] / (1 - beta ** int(self.state["steps"])))  # as it began at 0
            weights -= self.learning_rate * moments[0] / (np.sqrt(moments[1]) + self.eps)


def fit(
    network: Network,
    images: Array,
    labels: Array,
    optimizer: Optimizer,
    *,
    epochs: int | Iterable[int],
    batch_size: int = 50,
    schedule: Callable[[float], float] | None = None,
    augment: Callable[[Array, np.random.Generator], Array] | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> dict[str, list[float]]:
    """Train on images (N, C, H, W) and labels (N,).

    Args:
        optimizer: SGD(...) or Adam(...).
        epochs: how many, or which: `range(3, 5)` goes on where three epochs ended, as if there had been no pause.
        schedule: epochs done, say 2.5 -> learning rate; by default the optimizer's own.
        augment: (batch of images, random generator) -> images.
        seed: fixes order, augmentation and dropout.
        progress: wraps the loop over batches, e.g. `tqdm`.

    Returns:
        {"train_loss": [...], "train_accuracy": [...]}, one entry an epoch, measured while the weights change.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if len(images) != len(labels):
        raise ValueError(f"every image takes one label, got images {images.shape} and labels {labels.shape}")
    history = {"train_loss": [], "train_accuracy": []}
    for epoch in range(epochs) if isinstance(epochs, int) else epochs:
        rng = np.random.default_rng([seed, epoch])
        for layer in network.layers.values():
            if isinstance(layer, Dropout):
                layer.rng = rng
        order, loss, right = rng.permutation(len(images)), 0.0, 0
        for start in progress(range(0, len(images), batch_size)):
            chosen = order[start : start + batch_size]
            batch = images[chosen] if augment is None else augment(images[chosen], rng)
            if schedule is not None:
                optimizer.learning_rate = float(schedule(epoch + start / len(images)))
            logits = network.forward(batch, training=True)
            batch_loss, gradient = cross_entropy(logits, labels[chosen])
            if not np.isfinite(batch_loss):
                raise ValueError(f"the loss became {batch_loss}: {optimizer.learning_rate=} is too high")
            network.backward(gradient)
            optimizer.step(network)
            loss += float(batch_loss) * len(chosen)
            right += int((logits.argmax(axis=1) == labels[chosen]).sum())
        history["train_loss"].append(loss / len(images))
        history["train_accuracy"].append(right / len(images))
    return history


def flip(images: Array, rng: np.random.Generator) -> Array:
    """Mirror every second image (N, C, H, W), left to right."""
    return np.where(rng.random((len(images), 1, 1, 1)) < 0.5, images[..., ::-1], images)
