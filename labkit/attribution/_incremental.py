"""The network's answers to an image with a window occluded, for every position of the window, computed incrementally.

At each position the window changes, in each of the first layers, a small patch of the activations. Only these patches
are computed: of all positions at once, as one batch, cut from the clean activations by strided views. A layer with a
stride splits them into those that lie alike towards it. Where the patches have grown to half of a layer, they are put
into it, and the rest of the network runs as usual.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

from labkit.models import Normalize

POINTWISE = (
    *(Normalize, nn.Identity, nn.BatchNorm2d, nn.Dropout, nn.Dropout2d),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Sigmoid, nn.Tanh),
)
LARGEST = 0.5  # share of a layer beyond which computing patches is not worth it
CACHE = 2**20  # numbers of one layer that a processor computes at once without waiting for its memory

Pair = tuple[int, int]  # down, across


def occluded_logits(
    model: nn.Module, image: Tensor, window: Pair, stride: Pair, fill: float, batch_size: int
) -> Tensor:
    """Logits (positions, K) of one image (1, C, H, W) with a window of fill at each position, row after row."""
    steps, rest = _local_steps(model)
    cleans = [image, *_outputs(steps, image)]
    count, at_once = _worthwhile(steps, cleans, window, batch_size)
    local, full = steps[:count], steps[count:]
    if image.device.type == "cpu":
        batch_size = min(batch_size, max(4, CACHE // max(clean[0].numel() for clean in cleans[count:])))
    numbers, waiting, logits = [], [], []
    for part in _positions(image, window, stride, fill).pieces(at_once):
        for change in _carry(local, cleans[1:], part, []):
            for piece in change.pieces(batch_size):
                numbers.append(piece.numbers.flatten())
                waiting.append(piece.whole())
                if sum(map(len, waiting)) >= batch_size:
                    logits.append(rest(_last(full, torch.cat(waiting))))
                    waiting = []
    if waiting:
        logits.append(rest(_last(full, torch.cat(waiting))))
    return torch.cat(logits)[torch.cat(numbers).argsort()]


def _positions(image: Tensor, window: Pair, stride: Pair, fill: float) -> "_Change":
    """The image with the window at every position."""
    grid = tuple((image.shape[2 + axis] - window[axis]) // stride[axis] + 1 for axis in (0, 1))
    numbers = torch.arange(math.prod(grid), device=image.device).view(grid)
    values = image.new_full((1, image.shape[1], *window), fill).expand(numbers.numel(), -1, -1, -1)
    return _Change(image, values, (0, 0), stride, numbers)


# A network as a list of steps: layers that look at a neighbourhood or at a single place, and "push", "swap" and "add"
# for the branches of residual blocks: keep a copy, exchange it with the current state, add it.


def _local_steps(model: nn.Module) -> tuple[list, nn.Module]:
    """The steps that a network begins with, and the rest of it."""
    if not _is_sequence(model):
        return [], model
    steps = []
    for index, child in enumerate(model):
        try:
            steps += _steps(child)
        except TypeError:
            return steps, model[index:]
    return steps, nn.Identity()


def _steps(module: nn.Module) -> list:
    """One layer or block as steps; TypeError for what cannot be computed patch by patch."""
    if isinstance(module, POINTWISE) or _kernel(module):
        return [module]
    if _is_sequence(module):
        return [step for child in module for step in _steps(child)]
    origin, name = type(module).__module__, type(module).__name__
    if origin.startswith("timm.") and name in ("DepthwiseSeparableConv", "InvertedResidual"):
        steps = [step for child in module.children() for step in _steps(child)]
        return ["push", *steps, "add"] if module.has_skip else steps
    if origin.startswith("torchvision.") and name in ("BasicBlock", "Bottleneck"):
        names = ["conv1", "bn1", "relu", "conv2", "bn2", *(["relu", "conv3", "bn3"] if name == "Bottleneck" else [])]
        shortcut = ["swap", *_steps(module.downsample)] if module.downsample is not None else []
        return ["push", *(getattr(module, each) for each in names), *shortcut, "add", module.relu]
    raise TypeError(name)


def _is_sequence(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


@dataclass(frozen=True)
class _Kernel:
    """How a layer looks at its input, down and across, and what it sees beyond the border."""

    size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    outside: float = 0.0


def _kernel(layer) -> _Kernel | None:
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return _Kernel(layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    if isinstance(layer, nn.MaxPool2d) and not layer.ceil_mode and not layer.return_indices:
        sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        return _Kernel(*map(_both, sizes), outside=-math.inf)
    if isinstance(layer, nn.AvgPool2d) and not layer.ceil_mode and layer.padding in (0, (0, 0)):
        return _Kernel(*map(_both, (layer.kernel_size, layer.stride, layer.padding)))
    return None


def _both(value) -> Pair:
    return value if isinstance(value, tuple) else (value, value)


def _outputs(steps: list, x: Tensor) -> Iterator[Tensor]:
    """The state after each step."""
    kept = []
    for step in steps:
        if step == "push":
            kept.append(x)
        elif step == "swap":
            x, kept[-1] = kept[-1], x
        elif step == "add":
            x = x + kept.pop()
        else:
            x = step(x)
        yield x


def _last(steps: list, x: Tensor) -> Tensor:
    for x in _outputs(steps, x):  # noqa: B007, B020  only the last one is wanted
        pass
    return x


# What a window changes, one step after the other.


@dataclass(frozen=True)
class _Change:
    """The patch of a layer that differs from the clean activations, for windows at rows x columns positions.

    The patch of row r and column c begins at start + (r, c) * step. What of it lies outside the layer means nothing.
    """

    clean: Tensor  # (1, C, H, W)
    values: Tensor  # (rows * columns, C, h, w)
    start: Pair
    step: Pair
    numbers: Tensor  # (rows, columns) int64, of the positions

    @property
    def grid(self) -> Pair:
        return tuple(self.numbers.shape)

    @property
    def size(self) -> Pair:
        return tuple(self.values.shape[2:])

    def some(self, rows: slice, columns: slice) -> "_Change":
        """The same at some of the positions."""
        numbers = self.numbers[rows, columns]
        values = self.values.permute(0, 2, 3, 1).unflatten(0, self.grid)[rows, columns].flatten(0, 1)
        (top, _, down), (left, _, right) = rows.indices(self.grid[0]), columns.indices(self.grid[1])
        start = (self.start[0] + top * self.step[0], self.start[1] + left * self.step[1])
        step = (self.step[0] * down, self.step[1] * right)
        return _Change(self.clean, values.permute(0, 3, 1, 2), start, step, numbers)

    def pieces(self, limit: int) -> "Iterator[_Change]":
        """All positions, in blocks of at most limit."""
        rows, columns = self.grid
        if rows * columns <= limit:
            yield self
            return
        at_once = max(1, limit // columns)  # rows in a block
        bands = [slice(first, first + at_once) for first in range(0, rows, at_once)]
        sides = [slice(first, first + limit) for first in range(0, columns, limit)]
        yield from (self.some(band, side) for band in bands for side in sides)

    def cut(self, start: Pair, size: Pair, outside: float = 0.0) -> Tensor:
        """(positions, C, h, w): other patches of the changed layer, from start on; outside is what lies around it."""
        low, margins = self._margins(start, size)
        clean = pad(self.clean, margins, value=outside)[0].permute(1, 2, 0)  # (H, W, C)
        clean = clean.contiguous()[start[0] + low[0] :, start[1] + low[1] :]
        patches = clean.unfold(0, size[0], self.step[0]).unfold(1, size[1], self.step[1])
        patches = patches[: self.grid[0], : self.grid[1]].permute(0, 1, 3, 4, 2)  # (rows, columns, h, w, C), a view
        patches = patches.clone(memory_format=torch.contiguous_format).flatten(0, 1).permute(0, 3, 1, 2)
        self._clear_outside(outside)
        (y, from_y), (x, from_x) = (_overlap(start[a], size[a], self.start[a], self.size[a]) for a in (0, 1))
        patches[:, :, y, x] = self.values[:, :, from_y, from_x]
        return patches

    def whole(self) -> Tensor:
        """(positions, C, H, W): the changed layer, all of it."""
        height, width = self.clean.shape[2:]
        low, margins = self._margins(self.start, self.size)
        canvas = pad(self.clean, margins)[0].permute(1, 2, 0)
        canvas = canvas.expand(*self.grid, *canvas.shape).clone(
            memory_format=torch.contiguous_format
        )  # (rows, columns, H, W, C) with margins
        row, column, y, x, channel = canvas.stride()
        patches = canvas.as_strided(  # (rows, columns, h, w, C), each where it belongs in its own canvas
            (*self.grid, *self.size, canvas.shape[-1]),
            (row + self.step[0] * y, column + self.step[1] * x, y, x, channel),
            (self.start[0] + low[0]) * y + (self.start[1] + low[1]) * x,
        )
        patches.copy_(self.values.permute(0, 2, 3, 1).unflatten(0, self.grid))
        canvas = canvas[:, :, low[0] : low[0] + height, low[1] : low[1] + width]
        return canvas.flatten(0, 1).permute(0, 3, 1, 2)

    def _margins(self, start: Pair, size: Pair) -> tuple[Pair, tuple[int, int, int, int]]:
        """How far patches from start reach beyond the layer: above and left of it, and on all sides as `pad` wants."""
        low = tuple(max(0, -each) for each in start)
        ends = [start[a] + (self.grid[a] - 1) * self.step[a] + size[a] for a in (0, 1)]
        high = [max(0, end - length) for end, length in zip(ends, self.clean.shape[2:], strict=True)]
        return low, (low[1], high[1], low[0], high[0])

    def _clear_outside(self, value: float) -> None:
        values = self.values.permute(0, 2, 3, 1).unflatten(0, self.grid)  # (rows, columns, h, w, C)
        for axis, length in enumerate(self.clean.shape[2:]):
            size = self.size[axis]
            for index in range(self.grid[axis]):
                start = self.start[axis] + index * self.step[axis]
                if start < 0 or start + size > length:
                    here = values.select(axis, index).movedim(1 + axis, 0)  # (h, ...) or (w, ...)
                    here[: max(0, -start)] = value
                    here[max(0, length - start) :] = value


def _overlap(start: int, size: int, other: int, other_size: int) -> tuple[slice, slice]:
    """What two intervals have in common, as a slice of the first and as a slice of the second."""
    first, last = max(start, other), min(start + size, other + other_size)
    return slice(first - start, last - start), slice(first - other, last - other)


def _carry(steps: list, cleans: list[Tensor], change: _Change, kept: list[_Change]) -> Iterator[_Change]:
    """What becomes of a change in the course of some steps, whose clean outputs are known; in parts, at strides."""
    for index, (step, clean) in enumerate(zip(steps, cleans, strict=False)):
        if step == "push":
            kept.append(change)
        elif step == "swap":
            change, kept[-1] = kept[-1], change
        elif step == "add":
            change = _sum(change, kept.pop(), clean)
        elif kernel := _kernel(step):
            every = [s // math.gcd(s, distance) for s, distance in zip(kernel.stride, change.step, strict=True)]
            if every != [1, 1]:  # only positions whose distance is a multiple of the stride lie alike
                alike = itertools.product(*(range(min(n, size)) for n, size in zip(every, change.grid, strict=True)))
                for top, left in alike:
                    rows, columns = slice(top, None, every[0]), slice(left, None, every[1])
                    branches = [branch.some(rows, columns) for branch in kept]
                    yield from _carry(steps[index:], cleans[index:], change.some(rows, columns), branches)
                return
            change = _through(change, step, kernel, clean)
        else:
            change = replace(change, clean=clean, values=step(change.values))
    yield change


def _through(change: _Change, layer: nn.Module, kernel: _Kernel, clean: Tensor) -> _Change:
    reached = [_reached(kernel, axis, change.start[axis], change.size[axis]) for axis in (0, 1)]
    start, size = zip(*reached, strict=True)
    needed = [
        (first * s - p, (length - 1) * s + (k - 1) * d + 1)
        for first, length, k, s, p, d in zip(
            start, size, kernel.size, kernel.stride, kernel.padding, kernel.dilation, strict=True
        )
    ]
    patches = change.cut(*zip(*needed, strict=True), outside=kernel.outside)
    if isinstance(layer, nn.Conv2d):
        values = conv2d(patches, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)
    elif isinstance(layer, nn.MaxPool2d):
        values = max_pool2d(patches, layer.kernel_size, layer.stride, 0, layer.dilation)
    else:
        values = avg_pool2d(patches, layer.kernel_size, layer.stride, divisor_override=layer.divisor_override)
    step = tuple(t // s for t, s in zip(change.step, kernel.stride, strict=True))
    return _Change(clean, values, start, step, change.numbers)


def _reached(kernel: _Kernel, axis: int, start: int, size: int) -> Pair:
    """The outputs that see an interval of inputs: the first, and how many."""
    k, s, p, d = (each[axis] for each in (kernel.size, kernel.stride, kernel.padding, kernel.dilation))
    first = -((p + start - (k - 1) * d) // -s)  # rounded up
    return first, max(1, (p + start + size - 1) // s - first + 1)


def _sum(one: _Change, other: _Change, clean: Tensor) -> _Change:
    start = tuple(map(min, one.start, other.start))
    ends = [max(a.start[axis] + a.size[axis] for a in (one, other)) for axis in (0, 1)]
    size = tuple(end - first for end, first in zip(ends, start, strict=True))
    return _Change(clean, one.cut(start, size) + other.cut(start, size), start, one.step, one.numbers)


def _worthwhile(steps: list, cleans: list[Tensor], window: Pair, batch_size: int) -> tuple[int, int]:
    """How many steps to go with patches, and for how many positions at once.

    They cover at most LARGEST of a layer, and take no more memory than batch_size whole images; a block is not left in
    the middle.
    """
    interval, kept, count = [(0, length) for length in window], [], 0
    patch = sizes = cleans[0].shape[1] * math.prod(window)
    for index, step in enumerate(steps):
        if step == "push":
            kept.append(interval)
        elif step == "swap":
            interval, kept[-1] = kept[-1], interval
        elif step == "add":
            ends = [max(a + n, b + m) for (a, n), (b, m) in zip(interval, kept[-1], strict=True)]
            firsts = [min(a, b) for (a, _), (b, _) in zip(interval, kept.pop(), strict=True)]
            interval = [(first, end - first) for first, end in zip(firsts, ends, strict=True)]
        elif kernel := _kernel(step):
            interval = [_reached(kernel, axis, *interval[axis]) for axis in (0, 1)]
        channels, height, width = cleans[index + 1].shape[1:]
        area = interval[0][1] * interval[1][1]
        if area > LARGEST * height * width:
            break
        sizes = max(sizes, channels * area)
        if not kept:
            count, patch = index + 1, sizes
    return count, max(1, batch_size * max(clean[0].numel() for clean in cleans) // patch)
