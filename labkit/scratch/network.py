"""A convolutional network in nothing but NumPy, to be read from top to bottom.

Layout, said once: images enter and leave a `Network` as everywhere in labkit, (N, C, H, W). Between the layers an
activation is (N, H, W, C), channels last, because the patches that a convolution gathers are then whole runs of memory.

Every layer has `forward(x, training)`, which remembers what its backward needs, and `backward(gradient)`, which takes
the gradient of the loss with respect to the layer's output, keeps that of its parameters in `gradients`, and returns
that with respect to its input. Numbers are float32, unless the weights are float64.
"""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BLOCK = 2**20  # numbers in a convolution's patch matrix at one time: 4 MB, which the processor's cache can hold
Array = np.ndarray
Pair = tuple[int, int]
Size = int | Pair


@runtime_checkable
class Layer(Protocol):
    """What all layers have; those with weights also keep `gradients`."""

    def forward(self, x: Array, training: bool = False) -> Array: ...
    def backward(self, gradient: Array) -> Array: ...


def pair(value: Size) -> Pair:  # 3 -> (3, 3), and (3, 5) stays (3, 5)
    return (value, value) if isinstance(value, int) else value


def check_input(layer: Layer, x: Array, weight: Array, channels: int, axes: tuple[int, ...] = (4,)) -> None:
    """Refuse an input that does not fit the layer's weights."""
    if x.ndim not in axes or x.shape[-1] != channels:
        wanted = " or ".join({2: f"(N, {channels})", 4: f"(N, H, W, {channels})"}[n] for n in axes)
        raise ValueError(f"{type(layer).__name__} with weights of shape {weight.shape} takes {wanted}, got {x.shape}")


def output_size(layer: Layer, x: Array, window: Pair, stride: Pair, padding: Pair = (0, 0)) -> Pair:
    """How many windows fit: (OH, OW), each (size + 2 * padding - window) // stride + 1."""
    h, w = (size + 2 * pad for size, pad in zip(x.shape[1:3], padding, strict=True))
    if window[0] > h or window[1] > w:
        raise ValueError(f"{type(layer).__name__}: a window of {window} does not fit into {(h, w)} pixels of {x.shape}")
    return (h - window[0]) // stride[0] + 1, (w - window[1]) // stride[1] + 1


def he_normal(rng: np.random.Generator, *shape: int) -> Array:
    """Random weights (..., outputs), of a size that keeps a signal's variance through a ReLU.

    Source:
        He et al. 2015, arXiv:1502.01852.
    """
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:-1])))


def patches(x: Array, kernel: Pair, stride: Pair = (1, 1)) -> Iterator[tuple[slice, Array]]:
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

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: Size,
        stride: Size = 1,
        padding: Size = 0,
        *,
        rng: np.random.Generator,
    ):
        self.weight = he_normal(rng, *pair(kernel), channels, filters)  # (KH, KW, C, K)
        self.bias: Array = np.zeros(filters, np.float32)
        self.stride, self.padding = pair(stride), pair(padding)

    def forward(self, x: Array, training: bool = False) -> Array:
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

    def backward(self, gradient: Array) -> Array:
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

    def forward(self, x: Array, training: bool = False) -> Array:
        self.out = np.maximum(x, 0)
        return self.out

    def backward(self, gradient: Array) -> Array:
        return gradient * (self.out > 0)


class BatchNorm:
    """Bring each channel of (N, H, W, C) or (N, C) to mean 0 and variance 1, then scale and shift it as learnt.

    In training mean and variance are the batch's, and the running ones move towards them by
    `momentum`; otherwise the running ones count. The running variance is unbiased, as in PyTorch.

    Source:
        Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5):
        self.weight, self.running_var = np.ones((2, channels), np.float32)
        self.bias, self.running_mean = np.zeros((2, channels), np.float32)
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Array, training: bool = False) -> Array:
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

    def backward(self, gradient: Array) -> Array:
        flat = gradient.reshape(self.normal.shape)  # (N * H * W, C)
        self.gradients = {"weight": column_sums(flat, self.normal), "bias": column_sums(flat)}
        out = flat
        if self.training:  # the mean and variance depend on x too: subtract what they contribute
            out = self.normal * (self.gradients["weight"] / -len(flat))
            out -= self.gradients["bias"] / len(flat)
            out += flat
        out = out * (self.weight * self.scale)
        return out.reshape(gradient.shape)  # (N, H, W, C)


def column_sums(x: Array, weights: Array | None = None) -> Array:
    """Sum of x (M, C), or of x * weights, down each column: (C,). Faster than x.sum(axis=0)."""
    if weights is None:
        return np.ones(len(x), x.dtype) @ x
    return np.einsum("mc,mc->c", x, weights)


class MaxPool:
    """The largest value of each window; its gradient goes to the first place that holds it."""

    def __init__(self, window: Size, stride: Size | None = None):
        self.window, self.stride = pair(window), pair(stride or window)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        first, *others = window_views(self, x)
        self.out = first.copy()
        for view in others:
            np.maximum(self.out, view, out=self.out)
        return self.out

    def backward(self, gradient: Array) -> Array:
        x_gradient, rest = np.zeros(self.x.shape, gradient.dtype), gradient.copy()
        targets = window_views(self, x_gradient)
        for view, target in zip(window_views(self, self.x), targets, strict=True):
            share = rest * (view == self.out)
            target += share
            rest -= share  # so that of several equal maxima only the first gets the gradient
        return x_gradient


class AvgPool:
    """The mean of each window."""

    def __init__(self, window: Size, stride: Size | None = None):
        self.window, self.stride = pair(window), pair(stride or window)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.shape = x.shape
        views = window_views(self, x)
        return sum(views[1:], start=views[0]) / len(views)

    def backward(self, gradient: Array) -> Array:
        x_gradient = np.zeros(self.shape, gradient.dtype)
        views = window_views(self, x_gradient)
        for view in views:
            view += gradient / len(views)
        return x_gradient


def window_views(layer: "MaxPool | AvgPool", x: Array) -> list[Array]:
    """For each place in a window, the pixels of x that lie there: KH * KW views (N, OH, OW, C)."""
    (kh, kw), (sh, sw) = layer.window, layer.stride
    oh, ow = output_size(layer, x, layer.window, layer.stride)
    return [x[:, i : i + sh * oh : sh, j : j + sw * ow : sw] for i in range(kh) for j in range(kw)]


class Dropout:
    """In training, 0 instead of each value with probability `rate`; the others grow to make up for it."""

    def __init__(self, rate: float, seed: int = 0):
        if not 0 <= rate < 1:
            raise ValueError(f"the dropout rate must lie in [0, 1), got {rate}")
        self.rate, self.rng = rate, np.random.default_rng(seed)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.mask = 1
        if training and self.rate > 0:
            kept = self.rng.random(x.shape, np.float32) >= self.rate
            self.mask = kept * x.dtype.type(1 / (1 - self.rate))
        return x * self.mask

    def backward(self, gradient: Array) -> Array:
        return gradient * self.mask


class Flatten:
    """(N, H, W, C) -> (N, C * H * W): channels first, as the dense layers of all our networks count."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.shape = x.shape
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # (N, C, H, W) -> (N, C * H * W)

    def backward(self, gradient: Array) -> Array:
        n, h, w, c = self.shape
        return gradient.reshape(n, c, h, w).transpose(0, 2, 3, 1).copy()  # (N, C, H, W) -> (N, H, W, C)


class Linear:
    """A dense layer, (N, inputs) -> (N, outputs)."""

    def __init__(self, inputs: int, outputs: int, *, rng: np.random.Generator):
        self.weight = he_normal(rng, inputs, outputs)
        self.bias: Array = np.zeros(outputs, np.float32)

    def forward(self, x: Array, training: bool = False) -> Array:
        check_input(self, x, self.weight, len(self.weight), axes=(2,))
        self.x = x
        return x @ self.weight + self.bias

    def backward(self, gradient: Array) -> Array:
        self.gradients = {"weight": self.x.T @ gradient, "bias": gradient.sum(axis=0)}
        return gradient @ self.weight.T  # (N, outputs) @ (outputs, inputs)


class Normalize:
    """(x - mean) / std of each channel: the first layer, so that outside everything is in pixels."""

    def __init__(self, mean: Any, std: Any):
        self.mean, self.std = np.array(mean), np.array(std)  # (C,) each

    def forward(self, x: Array, training: bool = False) -> Array:
        check_input(self, x, self.mean, len(self.mean))
        return (x - self.mean.astype(x.dtype)) / self.std.astype(x.dtype)

    def backward(self, gradient: Array) -> Array:
        return gradient / self.std.astype(gradient.dtype)


def log_softmax(logits: Array) -> Array:
    """(N, K) logits -> (N, K) logarithms of probabilities; no logit is too large for it."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax(logits: Array) -> Array:
    """(N, K) logits -> (N, K) probabilities."""
    return np.exp(log_softmax(logits))


def cross_entropy(logits: Array, labels: Any) -> tuple[Any, Array]:
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


class Network:
    """Named layers, one after the other: `Network(conv1=Conv2d(...), relu1=ReLU(), ...)`."""

    def __init__(self, **layers: Layer):
        self.layers = layers
        self.shape: tuple[int, ...] | None = None  # of the last logits

    def state(self, names: tuple[str, ...] = ("weight", "bias", "running_mean", "running_var")) -> dict[str, Array]:
        """Every array that training changes, as {"conv1.weight": ...}: the arrays themselves, not copies."""
        arrays = {key: vars(layer) for key, layer in self.layers.items()}
        return {f"{key}.{name}": arrays[key][name] for key in arrays for name in names if name in arrays[key]}

    def parameters(self) -> dict[str, Array]:
        """The arrays that the optimizer changes."""
        return self.state(("weight", "bias"))

    def gradients(self) -> dict[str, Array]:
        """The last backward pass's gradients, under the names of `parameters`."""
        names = [key.split(".") for key in self.parameters()]
        return {f"{layer}.{name}": vars(self.layers[layer])["gradients"][name] for layer, name in names}

    def astype(self, dtype: Any) -> "Network":
        """Turn every array of the state into another type, say np.float64; return the network."""
        for key, array in self.state().items():
            layer, name = key.split(".")
            setattr(self.layers[layer], name, array.astype(dtype))
        return self

    def forward(self, images: Any, training: bool = False) -> Array:
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

    def backward(self, gradient: Array) -> Array:
        """Gradient of the last logits (N, K) -> gradient of the images (N, C, H, W).

        Each layer keeps the gradients of its own weights on the way.
        """
        if gradient.shape != self.shape:
            raise ValueError(f"the last logits had shape {self.shape}, so must their gradient, got {gradient.shape}")
        for layer in reversed(self.layers.values()):
            gradient = layer.backward(gradient)
        return gradient if gradient.ndim == 2 else gradient.transpose(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)

    def predict(self, images: Any, *, batch_size: int = 100) -> Array:
        """Logits (N, K) of images (N, C, H, W), batch by batch."""
        starts = range(0, len(images), batch_size)
        return np.concatenate([self.forward(images[start : start + batch_size]) for start in starts])
