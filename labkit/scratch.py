"""A convolutional network in nothing but NumPy, to be read from top to bottom.

Layout, said once: images enter and leave a `Network` as everywhere in labkit, (N, C, H, W). Between the layers an
activation is (N, H, W, C), channels last, because the patches that a convolution gathers are then whole runs of memory.

Every layer has `forward(x, training)`, which remembers what its backward needs, and `backward(gradient)`, which takes
the gradient of the loss with respect to the layer's output, keeps that of its parameters in `gradients`, and returns
that with respect to its input. Numbers are float32, unless the weights are float64.

`labkit train cifar10-scratch` trains a network; what it reached is in labkit/weights/cifar10-scratch.json.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BLOCK = 2**20  # numbers in a convolution's patch matrix at one time: 4 MB, which the processor's cache can hold


def pair(value):
    """3 -> (3, 3), and (3, 5) stays (3, 5)."""
    return (value, value) if isinstance(value, int) else tuple(value)


def check_input(layer, x, weight, channels, axes=(4,)):
    """Refuse an input that does not fit the layer's weights."""
    if x.ndim not in axes or x.shape[-1] != channels:
        wanted = " or ".join({2: f"(N, {channels})", 4: f"(N, H, W, {channels})"}[n] for n in axes)
        raise ValueError(f"{type(layer).__name__} with weights of shape {weight.shape} takes {wanted}, got {x.shape}")


def output_size(layer, x, window, stride, padding=(0, 0)):
    """How many windows fit: (OH, OW), each (size + 2 * padding - window) // stride + 1."""
    h, w = (size + 2 * pad for size, pad in zip(x.shape[1:3], padding, strict=True))
    if window[0] > h or window[1] > w:
        raise ValueError(f"{type(layer).__name__}: a window of {window} does not fit into {(h, w)} pixels of {x.shape}")
    return (h - window[0]) // stride[0] + 1, (w - window[1]) // stride[1] + 1


def he_normal(rng, *shape):
    """Random weights (..., outputs), of a size that keeps a signal's variance through a ReLU.

    Source:
        He et al. 2015, arXiv:1502.01852.
    """
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:-1])))


def patches(x, kernel, stride=(1, 1)):
    """Every window of x (N, H, W, C) as a row of a matrix (known as im2col), a few images at a time.

    Yields:
        which images, as a slice, and their rows (n * OH * OW, KH * KW * C), which the next step overwrites.
    """
    windows = sliding_window_view(x, kernel, axis=(1, 2))  # a view, nothing is copied
    windows = windows[:, :: stride[0], :: stride[1]]  # (N, OH, OW, C, KH, KW)
    windows = windows.transpose(0, 1, 2, 4, 5, 3)  # (N, OH, OW, KH, KW, C)
    count = min(len(x), max(1, BLOCK // windows[0].size))
    memory = np.empty((count, *windows.shape[1:]), x.dtype)
    for start in range(0, len(x), count):
        images = slice(start, min(start + count, len(x)))
        rows = memory[: images.stop - start]
        np.copyto(rows, windows[images])
        yield images, rows.reshape(-1, rows[0, 0, 0].size)  # (n * OH * OW, KH * KW * C)


class Conv2d:
    """Slide K filters over (N, H, W, C) -> (N, OH, OW, K).

    Kernel, stride and padding are each a number, or (rows, columns).
    """

    def __init__(self, channels, filters, kernel, stride=1, padding=0, *, rng):
        self.weight = he_normal(rng, *pair(kernel), channels, filters)  # (KH, KW, C, K)
        self.bias = np.zeros(filters, np.float32)
        self.stride, self.padding = pair(stride), pair(padding)

    def forward(self, x, training=False):
        (kh, kw, channels, filters), (ph, pw) = self.weight.shape, self.padding
        check_input(self, x, self.weight, channels)
        oh, ow = output_size(self, x, (kh, kw), self.stride, self.padding)
        n, h, w, _ = x.shape
        self.x = x
        padded = np.zeros((n, h + 2 * ph, w + 2 * pw, channels), x.dtype)
        padded[:, ph : ph + h, pw : pw + w] = x
        matrix = self.weight.reshape(-1, filters)  # (KH, KW, C, K) -> (KH * KW * C, K)
        out = np.empty((n, oh, ow, filters), x.dtype)
        for images, rows in patches(padded, (kh, kw), self.stride):
            np.matmul(rows, matrix, out=out[images].reshape(-1, filters))  # (n * OH * OW, K)
        out += self.bias
        return out

    def backward(self, gradient):
        """The gradient of a convolution is a convolution, with the filters turned by 180 degrees.

        Output o saw pixel p through filter offset p - o, so pixel p takes from output p - offset.
        Lay the gradient out on a canvas of zeros, `stride` apart and with room for the filter on
        every side. Its patches times the turned filters are the gradient of x, and x times its
        patches is that of the turned filters.
        """
        (kh, kw, channels, filters), (sh, sw) = self.weight.shape, self.stride
        (n, h, w, _), (oh, ow), (ph, pw) = self.x.shape, gradient.shape[1:3], self.padding
        canvas = np.zeros((n, h + 2 * ph + kh - 1, w + 2 * pw + kw - 1, filters), gradient.dtype)
        canvas[:, kh - 1 : kh - 1 + sh * oh : sh, kw - 1 : kw - 1 + sw * ow : sw] = gradient
        canvas = canvas[:, ph : ph + h + kh - 1, pw : pw + w + kw - 1]  # the padding needs no gradient
        turned = self.weight[::-1, ::-1].transpose(0, 1, 3, 2)  # (KH, KW, K, C)
        turned = turned.reshape(-1, channels)  # (KH * KW * K, C)
        x_gradient = np.empty(self.x.shape, gradient.dtype)
        products = np.zeros((channels, kh * kw * filters), gradient.dtype)
        for images, rows in patches(canvas, (kh, kw)):  # rows: (n * H * W, KH * KW * K)
            np.matmul(rows, turned, out=x_gradient[images].reshape(-1, channels))  # (n * H * W, C)
            products += self.x[images].reshape(-1, channels).T @ rows  # (n * H * W, C)
        products = products.reshape(channels, kh, kw, filters)[:, ::-1, ::-1]  # (C, KH, KW, K)
        self.gradients = {
            "weight": products.transpose(1, 2, 0, 3).copy(),  # (KH, KW, C, K)
            "bias": column_sums(gradient.reshape(-1, filters)),  # (N * OH * OW, K)
        }
        return x_gradient


class ReLU:
    """max(x, 0), element by element."""

    def forward(self, x, training=False):
        self.out = np.maximum(x, 0)
        return self.out

    def backward(self, gradient):
        return gradient * (self.out > 0)


class BatchNorm:
    """Bring each channel of (N, H, W, C) or (N, C) to mean 0 and variance 1, then scale and shift it as learnt.

    In training mean and variance are the batch's, and the running ones move towards them by
    `momentum`; otherwise the running ones count. The running variance is unbiased, as in PyTorch.

    Source:
        Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    def __init__(self, channels, *, momentum=0.1, eps=1e-5):
        self.weight, self.running_var = np.ones((2, channels), np.float32)
        self.bias, self.running_mean = np.zeros((2, channels), np.float32)
        self.momentum, self.eps = momentum, eps

    def forward(self, x, training=False):
        check_input(self, x, self.weight, len(self.weight), axes=(2, 4))
        flat = x.reshape(-1, len(self.weight))  # (N * H * W, C)
        self.training, count = training, len(flat)
        if training:
            if count < 2:
                raise ValueError(f"BatchNorm {self.weight.shape} trains on 2 or more values each, got {x.shape}")
            mean = column_sums(flat) / count
            self.normal = flat - mean
            variance = column_sums(self.normal, self.normal) / count
            unbiased = variance * (count / (count - 1))
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (unbiased - self.running_var)
        else:
            self.normal, variance = flat - self.running_mean, self.running_var
        self.scale = 1 / np.sqrt(variance + self.eps)
        self.normal *= self.scale
        out = self.normal * self.weight
        out += self.bias
        return out.reshape(x.shape)  # (N, H, W, C)

    def backward(self, gradient):
        flat = gradient.reshape(self.normal.shape)  # (N * H * W, C)
        self.gradients = {"weight": column_sums(flat, self.normal), "bias": column_sums(flat)}
        out = flat
        if self.training:  # x also moves its own mean and variance, which takes a share away
            out = self.normal * (self.gradients["weight"] / -len(flat))
            out -= self.gradients["bias"] / len(flat)
            out += flat
        out = out * (self.weight * self.scale)
        return out.reshape(gradient.shape)  # (N, H, W, C)


def column_sums(x, weights=None):
    """Sum of x (M, C), or of x * weights, down each column: (C,). Faster than x.sum(axis=0)."""
    if weights is None:
        return np.ones(len(x), x.dtype) @ x
    return np.einsum("mc,mc->c", x, weights)


class MaxPool:
    """The largest value of each window; its gradient goes to the first place that holds it."""

    def __init__(self, window, stride=None):
        self.window, self.stride = pair(window), pair(stride or window)

    def forward(self, x, training=False):
        self.x = x
        first, *others = window_views(self, x)
        self.out = first.copy()
        for view in others:
            np.maximum(self.out, view, out=self.out)
        return self.out

    def backward(self, gradient):
        x_gradient, rest = np.zeros(self.x.shape, gradient.dtype), gradient.copy()
        targets = window_views(self, x_gradient)
        for view, target in zip(window_views(self, self.x), targets, strict=True):
            share = rest * (view == self.out)
            target += share
            rest -= share  # what has found its place is not given again
        return x_gradient


class AvgPool:
    """The mean of each window."""

    def __init__(self, window, stride=None):
        self.window, self.stride = pair(window), pair(stride or window)

    def forward(self, x, training=False):
        self.shape = x.shape
        views = window_views(self, x)
        return sum(views) / len(views)

    def backward(self, gradient):
        x_gradient = np.zeros(self.shape, gradient.dtype)
        views = window_views(self, x_gradient)
        for view in views:
            view += gradient / len(views)
        return x_gradient


def window_views(layer, x):
    """For each place in a window, the pixels of x that lie there: KH * KW views (N, OH, OW, C)."""
    (kh, kw), (sh, sw) = layer.window, layer.stride
    oh, ow = output_size(layer, x, layer.window, layer.stride)
    places = [(i, j) for i in range(kh) for j in range(kw)]
    return [x[:, i : i + sh * oh : sh, j : j + sw * ow : sw] for i, j in places]


class Dropout:
    """In training, 0 instead of each value with probability `rate`; the others grow to make up for it."""

    def __init__(self, rate, seed=0):
        if not 0 <= rate < 1:
            raise ValueError(f"the dropout rate must lie in [0, 1), got {rate}")
        self.rate, self.rng = rate, np.random.default_rng(seed)

    def forward(self, x, training=False):
        self.mask = 1
        if training and self.rate > 0:
            kept = self.rng.random(x.shape, np.float32) >= self.rate
            self.mask = kept * x.dtype.type(1 / (1 - self.rate))
        return x * self.mask

    def backward(self, gradient):
        return gradient * self.mask


class Flatten:
    """(N, H, W, C) -> (N, C * H * W): channels first, as the dense layers of all our networks count."""

    def forward(self, x, training=False):
        self.shape = x.shape
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # (N, C, H, W) -> (N, C * H * W)

    def backward(self, gradient):
        n, h, w, c = self.shape
        return gradient.reshape(n, c, h, w).transpose(0, 2, 3, 1).copy()  # (N, C, H, W) -> (N, H, W, C)


class Linear:
    """A dense layer, (N, inputs) -> (N, outputs)."""

    def __init__(self, inputs, outputs, *, rng):
        self.weight = he_normal(rng, inputs, outputs)
        self.bias = np.zeros(outputs, np.float32)

    def forward(self, x, training=False):
        check_input(self, x, self.weight, len(self.weight), axes=(2,))
        self.x = x
        return x @ self.weight + self.bias

    def backward(self, gradient):
        self.gradients = {"weight": self.x.T @ gradient, "bias": gradient.sum(axis=0)}
        return gradient @ self.weight.T  # (N, outputs) @ (outputs, inputs)


class Normalize:
    """(x - mean) / std of each channel: the first layer, so that outside everything is in pixels."""

    def __init__(self, mean, std):
        self.mean, self.std = np.array(mean), np.array(std)  # (C,) each

    def forward(self, x, training=False):
        check_input(self, x, self.mean, len(self.mean))
        return (x - self.mean.astype(x.dtype)) / self.std.astype(x.dtype)

    def backward(self, gradient):
        return gradient / self.std.astype(gradient.dtype)


def log_softmax(logits):
    """(N, K) logits -> (N, K) logarithms of probabilities; no logit is too large for it."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax(logits):
    """(N, K) logits -> (N, K) probabilities."""
    return np.exp(log_softmax(logits))


def cross_entropy(logits, labels):
    """Mean of -log softmax(logits)[label], and its gradient with respect to the logits (N, K)."""
    (n, classes), labels = logits.shape, np.asarray(labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(f"logits of shape {logits.shape} take {n} integer labels, got {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise ValueError(f"logits {logits.shape} take labels in 0..{classes - 1}, got {wrong} in labels {labels.shape}")
    log_probabilities = log_softmax(logits)
    gradient = np.exp(log_probabilities)
    gradient[np.arange(n), labels] -= 1
    return -log_probabilities[np.arange(n), labels].mean(), gradient / n


class SGD:
    """Stochastic gradient descent with momentum; weights and velocities as PyTorch counts them."""

    def __init__(self, learning_rate=0.05, *, momentum=0.9, nesterov=False, weight_decay=0.0):
        self.learning_rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov
        self.weight_decay, self.state = weight_decay, {}

    def step(self, network):
        gradients = network.gradients()
        for name, weights in network.parameters().items():
            gradient = gradients[name] + self.weight_decay * weights
            velocity = self.state[name] = self.momentum * self.state.get(name, 0) + gradient
            step = gradient + self.momentum * velocity if self.nesterov else velocity
            weights -= self.learning_rate * step


class Adam:
    """Steps of even size: the mean gradient over its root mean square (Kingma and Ba 2014, arXiv:1412.6980)."""

    def __init__(self, learning_rate=1e-3, *, betas=(0.9, 0.999), eps=1e-8):
        self.learning_rate, self.betas, self.eps = learning_rate, betas, eps
        self.state = {"steps": np.array(0)}

    def step(self, network):
        self.state["steps"] += 1
        gradients = network.gradients()
        for name, weights in network.parameters().items():
            moments = []
            for power, beta in enumerate(self.betas, start=1):  # mean of the gradient, mean of its square
                key, old = f"moment{power}.{name}", self.state.get(f"moment{power}.{name}", 0)
                self.state[key] = beta * old + (1 - beta) * gradients[name] ** power
                moments.append(self.state[key] / (1 - beta ** int(self.state["steps"])))  # as it began at 0
            weights -= self.learning_rate * moments[0] / (np.sqrt(moments[1]) + self.eps)


class Network:
    """Named layers, one after the other: `Network(conv1=Conv2d(...), relu1=ReLU(), ...)`."""

    def __init__(self, **layers):
        self.layers, self.shape = layers, None

    def state(self, names=("weight", "bias", "running_mean", "running_var")):
        """Every array that training changes, as {"conv1.weight": ...}: the arrays themselves, not copies."""
        arrays = {key: vars(layer) for key, layer in self.layers.items()}
        return {f"{key}.{name}": arrays[key][name] for key in arrays for name in names if name in arrays[key]}

    def parameters(self):
        """The arrays that the optimizer changes."""
        return self.state(("weight", "bias"))

    def gradients(self):
        """The last backward pass's gradients, under the names of `parameters`."""
        names = [key.split(".") for key in self.parameters()]
        return {f"{layer}.{name}": self.layers[layer].gradients[name] for layer, name in names}

    def astype(self, dtype):
        """Turn every array of the state into another type, say np.float64; return the network."""
        for key, array in self.state().items():
            layer, name = key.split(".")
            setattr(self.layers[layer], name, array.astype(dtype))
        return self

    def forward(self, images, training=False):
        """Images (N, C, H, W), or features (N, C) -> logits (N, K)."""
        x = np.asarray(images)
        if x.ndim not in (2, 4) or x.size == 0 or x.dtype.kind != "f":
            raise ValueError(f"a network takes floats of shape (N, C, H, W), N at least 1, got {x.dtype} {x.shape}")
        if not np.isfinite(x).all():
            wrong = tuple(np.argwhere(~np.isfinite(x))[0].tolist())
            raise ValueError(f"a network takes finite pixels, got {x[wrong]} at {wrong} of images of shape {x.shape}")
        x = x.astype(np.result_type(np.float32, *self.parameters().values()), copy=False)
        x = x if x.ndim == 2 else x.transpose(0, 2, 3, 1).copy()  # (N, C, H, W) -> (N, H, W, C)
        for layer in self.layers.values():
            x = layer.forward(x, training)
        self.shape = x.shape
        return x

    def backward(self, gradient):
        """Gradient of the last logits (N, K) -> gradient of the images (N, C, H, W).

        Each layer keeps the gradients of its own weights on the way.
        """
        if gradient.shape != self.shape:
            raise ValueError(f"the last logits had shape {self.shape}, so must their gradient, got {gradient.shape}")
        for layer in reversed(self.layers.values()):
            gradient = layer.backward(gradient)
        return gradient if gradient.ndim == 2 else gradient.transpose(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)

    def predict(self, images, *, batch_size=100):
        """Logits (N, K) of images (N, C, H, W), batch by batch."""
        starts = range(0, len(images), batch_size)
        return np.concatenate([self.forward(images[start : start + batch_size]) for start in starts])

    def fit(
        self, images, labels, optimizer, *, epochs, batch_size=50, schedule=None, augment=None, seed=0, progress=iter
    ):
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
            for layer in self.layers.values():
                if isinstance(layer, Dropout):
                    layer.rng = rng
            order, loss, right = rng.permutation(len(images)), 0.0, 0
            for start in progress(range(0, len(images), batch_size)):
                chosen = order[start : start + batch_size]
                batch = images[chosen] if augment is None else augment(images[chosen], rng)
                if schedule is not None:
                    optimizer.learning_rate = float(schedule(epoch + start / len(images)))
                logits = self.forward(batch, training=True)
                batch_loss, gradient = cross_entropy(logits, labels[chosen])
                if not np.isfinite(batch_loss):
                    raise ValueError(f"the loss became {batch_loss}: {optimizer.learning_rate=} is too high")
                self.backward(gradient)
                optimizer.step(self)
                loss += float(batch_loss) * len(chosen)
                right += int((logits.argmax(axis=1) == labels[chosen]).sum())
            history["train_loss"].append(loss / len(images))
            history["train_accuracy"].append(right / len(images))
        return history


def from_torch(model):
    """The same network as an `nn.Sequential` of labkit, with copies of its weights; PyTorch itself is not needed.

    Raises:
        ValueError: a layer, or one of its options, that this file does not have.
    """
    layers, rng = {}, np.random.default_rng(0)
    for name, layer in model.named_children():
        match type(layer).__name__:
            case "Normalize":
                own = Normalize(to_numpy(layer.mean).ravel(), to_numpy(layer.std).ravel())  # (1, C, 1, 1) -> (C,)
            case "Conv2d" if (layer.groups, layer.dilation) == (1, (1, 1)) and plain_padding(layer):
                own = Conv2d(1, 1, 1, layer.stride, layer.padding, rng=rng)
                own.weight = to_numpy(layer.weight.permute(2, 3, 1, 0))  # (K, C, KH, KW) -> (KH, KW, C, K)
            case "Linear":
                own = Linear(1, 1, rng=rng)
                own.weight = to_numpy(layer.weight.T)  # (outputs, inputs) -> (inputs, outputs)
            case "BatchNorm1d" | "BatchNorm2d" if (
                layer.affine and layer.track_running_stats and layer.momentum is not None
            ):
                own = BatchNorm(layer.num_features, momentum=layer.momentum, eps=layer.eps)
                own.weight = to_numpy(layer.weight)
                own.running_mean, own.running_var = to_numpy(layer.running_mean), to_numpy(layer.running_var)
            case "MaxPool2d" if layer.padding in (0, (0, 0)) and layer.dilation in (1, (1, 1)) and not layer.ceil_mode:
                own = MaxPool(layer.kernel_size, layer.stride)
            case "AvgPool2d" if layer.padding in (0, (0, 0)) and not layer.ceil_mode and not layer.divisor_override:
                own = AvgPool(layer.kernel_size, layer.stride)
            case "ReLU":
                own = ReLU()
            case "Dropout":
                own = Dropout(layer.p)
            case "Flatten" if (layer.start_dim, layer.end_dim) == (1, -1):
                own = Flatten()
            case _:
                raise ValueError(f"labkit.scratch has no layer like {name} = {layer}")
        if hasattr(own, "bias"):
            no_bias = np.zeros(own.weight.shape[-1:], own.weight.dtype)
            own.bias = no_bias if layer.bias is None else to_numpy(layer.bias)
        layers[name] = own
    return Network(**layers)


def plain_padding(layer):
    """Zeros, as many as a number says."""
    return layer.padding_mode == "zeros" and isinstance(layer.padding, tuple)


def to_numpy(tensor):
    """A contiguous copy of a tensor, wherever it lives."""
    return tensor.detach().cpu().numpy().copy()


# What follows trains the network that labkit ships; the only part that needs more than NumPy.

NAME, FOLDER = "cifar10-scratch", Path(__file__).parent / "weights"
RECIPE = {
    "epochs": 5, "batch_size": 50, "optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True,
    "weight_decay": 5e-4, "warmup": 0.25, "dropout": [0.0, 0.0, 0.1], "flip": True,
}  # fmt: skip


def cifar10(*, dropout=(0.2, 0.3, 0.4), seed=0):
    """The network of `labkit.models.cifar10`: six convolutions, 308,394 parameters; untrained."""
    rng, channels = np.random.default_rng(seed), 3
    layers = {"normalize": Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))}
    for n, filters in enumerate((32, 32, 64, 64, 128, 128), start=1):
        layers[f"conv{n}"] = Conv2d(channels, filters, 3, padding=1, rng=rng)
        layers[f"relu{n}"] = ReLU()
        layers[f"bn{n}"] = BatchNorm(filters)
        if n % 2 == 0:
            layers[f"pool{n // 2}"] = MaxPool(2)  # 32 -> 16 -> 8 -> 4
            layers[f"drop{n // 2}"] = Dropout(dropout[n // 2 - 1])
        channels = filters
    return Network(**layers, flatten=Flatten(), fc=Linear(128 * 4 * 4, 10, rng=rng))


def flip(images, rng):
    """Mirror every second image (N, C, H, W), left to right."""
    return np.where(rng.random((len(images), 1, 1, 1)) < 0.5, images[..., ::-1], images)


def one_cycle(epoch, recipe):
    """The learning rate after so many epochs: up from 0 to its peak, and down to 0 again."""
    turns = [0, recipe["warmup"] * recipe["epochs"], recipe["epochs"]]
    return np.interp(epoch, turns, [0, recipe["learning_rate"], 0])


def train(folder=FOLDER, *, images=None, command="", **changes):
    """Train `cifar10()` and write cifar10-scratch.safetensors and its card to a folder; return the card.

    A checkpoint after each epoch lets a run that was killed go on, and end with the same weights.

    Args:
        folder: where weights and card go, and cifar10-scratch.checkpoint until they are there.
        images: train on the first so many only, to try things out.
        command: what to type to make them again, for the card.
        changes: `seed`, or entries of RECIPE, to replace.

    Raises:
        ValueError: the checkpoint was made by another recipe.
    """
    from safetensors.numpy import save
    from tqdm.auto import tqdm

    from labkit import data

    train_set, test_set = data.load("cifar10", "train").subset(slice(images)), data.load("cifar10", "test")
    recipe = {"train_images": len(train_set), **RECIPE, "seed": 0, **changes}
    network = cifar10(dropout=recipe["dropout"], seed=recipe["seed"])
    optimizer = SGD(**{name: recipe[name] for name in ("learning_rate", "momentum", "nesterov", "weight_decay")})
    checkpoint = Path(folder) / f"{NAME}.checkpoint"
    history = resume(checkpoint, network, optimizer, recipe)
    for epoch in range(len(history["seconds"]), recipe["epochs"]):
        name, start = f"epoch {epoch + 1} of {recipe['epochs']}", time.perf_counter()
        found = network.fit(
            train_set.images,
            train_set.labels,
            optimizer,
            epochs=range(epoch, epoch + 1),
            batch_size=recipe["batch_size"],
            schedule=partial(one_cycle, recipe=recipe),
            augment=flip if recipe["flip"] else None,
            seed=recipe["seed"],
            progress=partial(tqdm, desc=name, unit="step", disable=not sys.stderr.isatty()),
        )
        found["seconds"] = [time.perf_counter() - start]
        logits = network.predict(test_set.images)
        found["test_loss"] = [float(cross_entropy(logits, test_set.labels)[0])]
        found["test_accuracy"] = [float((logits.argmax(axis=1) == np.asarray(test_set.labels)).mean())]
        history = {name: values + found[name] for name, values in history.items()}
        save_checkpoint(checkpoint, network, optimizer, recipe, history)
        print(name + "".join(f", {key} {values[-1]:.4g}" for key, values in history.items()), flush=True)
    content = save({name: np.ascontiguousarray(array) for name, array in network.state().items()})
    made = {
        "name": NAME,
        "network": "labkit.scratch.cifar10",
        "parameters": sum(array.size for array in network.parameters().values()),
        "command": command,
        "recipe": {"data": "cifar10", **recipe},
        "precision": "float32",
        "seed": recipe["seed"],
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "machine": f"1 process on {os.cpu_count()} cores, {platform.machine()}",
        "history": {name: [round(value, 5) for value in values] for name, values in history.items()},
        "test_accuracy": round(history["test_accuracy"][-1], 5),
        "test_images": len(test_set),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    del made["recipe"]["seed"]
    write(Path(folder) / f"{NAME}.safetensors", content)
    write(Path(folder) / f"{NAME}.json", (json.dumps(made, indent=1) + "\n").encode())
    checkpoint.unlink()
    return made


def write(path, content):
    """Whole or not at all: a process that is killed half-way leaves the old file."""
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    partial_path.write_bytes(content)
    partial_path.replace(path)


def save_checkpoint(path, network, optimizer, recipe, history):
    """Everything that the next epoch depends on."""
    arrays = {f"network.{name}": array for name, array in network.state().items()}
    arrays |= {f"optimizer.{name}": array for name, array in optimizer.state.items()}
    file = BytesIO()
    np.savez(file, about=json.dumps([recipe, history]), **arrays)
    write(path, file.getvalue())


def resume(path, network, optimizer, recipe):
    """Fill network and optimizer from a checkpoint, if there is one; return the history so far."""
    if not path.exists():
        return {name: [] for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")}
    saved = dict(np.load(path))
    was, history = json.loads(str(saved.pop("about")))
    if was != recipe:
        raise ValueError(f"the checkpoint {path} was made by {was}, not {recipe}; delete it to start afresh")
    for name, array in network.state().items():
        array[...] = saved.pop(f"network.{name}")
    optimizer.state = {name.removeprefix("optimizer."): array for name, array in saved.items()}
    return history


def card(folder=FOLDER):
    """What is known about the trained network: recipe, history per epoch, test accuracy, checksum."""
    return json.loads((Path(folder) / f"{NAME}.json").read_text(encoding="utf-8"))


def load(folder=FOLDER):
    """The trained network.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: its weights are not those that its card describes.
    """
    from safetensors.numpy import load as read

    content = (Path(folder) / f"{NAME}.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != card(folder)["sha256"]:
        raise ValueError(f"{NAME}.safetensors in {folder} is truncated or altered: it has not its card's sha256")
    network, saved = cifar10(), read(content)
    for name, array in network.state().items():
        array[...] = saved[name]
    return network


def main(arguments=None):
    """Train the shipped network from the command line."""
    parser = argparse.ArgumentParser(prog="labkit train", description="Train a CNN written in NumPy.")
    parser.add_argument("name", choices=["cifar10-scratch"])
    parser.add_argument("--epochs", type=int, default=RECIPE["epochs"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where weights and card go")
    parser.add_argument("--images", type=int, help="train on the first so many images only")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    command = " ".join(["labkit train", *(sys.argv[1:] if arguments is None else arguments)])
    made = train(options.folder, images=options.images, command=command, epochs=options.epochs, seed=options.seed)
    print(
        f"{made['test_accuracy']:.2%} of {made['test_images']:,} test images, {sum(made['history']['seconds']):.0f} s"
    )


if __name__ == "__main__":
    main()
