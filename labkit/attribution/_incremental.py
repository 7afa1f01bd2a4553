"""A network's logits for an image with a window occluded, for every position of the window, computed incrementally.

At each position the window changes, in each of the first layers, a small patch of the activations. Only these patches
are computed: of all positions at once, as one batch, cut from the clean activations by strided views. A layer with a
stride splits them into those that lie alike towards it. Where the patches have grown to half of a layer, they are put
into it, and the rest of the network runs as usual.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d

from labkit.attribution._patches import Interval, Patches
from labkit.layers import Pair, Window, children_of, has_hooks, is_plain, is_pointwise, is_sequential, window_of
from labkit.models import Normalize

LARGEST = 0.5  # share of a layer beyond which computing patches is not worth it
CACHE = 2**20  # numbers of one layer that a processor computes at once without waiting for its memory


@runtime_checkable
class Step(Protocol):
    """A part of the network that is computed patch by patch."""

    @property
    def stride(self) -> Pair: ...

    def run(self, x: Tensor, cleans: "dict[Step, Tensor] | None" = None) -> Tensor:
        """The whole output; where cleans are given, the outputs of steps inside are noted there."""
        ...

    def carry(self, patches: Patches, cleans: "dict[Step, Tensor]") -> Patches:
        """The patches of the output, from those of the input, which lie alike towards the stride.

        cleans holds the clean output of every step.
        """
        ...

    def reach(self, area: tuple[Interval, Interval]) -> "Iterator[tuple[Step, tuple[Interval, Interval]]]":
        """Which rows and columns change of the output of every step inside, and last of its own."""
        ...


@dataclass(frozen=True, eq=False)
class Pointwise:
    """A layer that looks at each place alone."""

    layer: nn.Module
    stride: Pair = (1, 1)

    def run(self, x: Tensor, cleans: dict[Step, Tensor] | None = None) -> Tensor:
        return self.layer(x.clone() if getattr(self.layer, "inplace", False) else x)

    def carry(self, patches: Patches, cleans: dict[Step, Tensor]) -> Patches:
        return replace(patches, clean=cleans[self], values=self.run(patches.values))

    def reach(self, area: tuple[Interval, Interval]) -> Iterator[tuple[Step, tuple[Interval, Interval]]]:
        yield self, area


@dataclass(frozen=True, eq=False)
class Windowed:
    """A layer that slides a window: a convolution or a pooling."""

    layer: nn.Module
    window: Window

    @property
    def stride(self) -> Pair:
        return self.window.stride

    def run(self, x: Tensor, cleans: dict[Step, Tensor] | None = None) -> Tensor:
        return self.layer(x)

    def carry(self, patches: Patches, cleans: dict[Step, Tensor]) -> Patches:
        reached = [self.window.seeing(axis, patches.start[axis], patches.size[axis]) for axis in (0, 1)]
        rows, columns = (self.window.seen(axis, *reached[axis]) for axis in (0, 1))
        assert self.window.outside is not None
        inputs, layer = patches.cut(rows, columns, self.window.outside), self.layer
        if isinstance(layer, nn.Conv2d):
            values = conv2d(inputs, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)
        elif isinstance(layer, nn.MaxPool2d):
            values = max_pool2d(inputs, layer.kernel_size, layer.stride, 0, layer.dilation)
        else:
            assert isinstance(layer, nn.AvgPool2d)
            values = avg_pool2d(inputs, layer.kernel_size, layer.stride, divisor_override=layer.divisor_override)
        step = (patches.step[0] // self.stride[0], patches.step[1] // self.stride[1])
        start = (reached[0][0], reached[1][0])
        return replace(patches, clean=cleans[self], values=values, start=start, step=step)

    def reach(self, area: tuple[Interval, Interval]) -> Iterator[tuple[Step, tuple[Interval, Interval]]]:
        yield self, (self.window.seeing(0, *area[0]), self.window.seeing(1, *area[1]))


@dataclass(frozen=True, eq=False)
class Residual:
    """Two branches whose outputs are added; no steps are a branch that hands on its input."""

    body: list[Step]
    shortcut: list[Step] = field(default_factory=list)

    @property
    def stride(self) -> Pair:
        return math.prod(step.stride[0] for step in self.body), math.prod(step.stride[1] for step in self.body)

    def run(self, x: Tensor, cleans: dict[Step, Tensor] | None = None) -> Tensor:
        return run_steps(self.body, x, cleans) + run_steps(self.shortcut, x, cleans)

    def carry(self, patches: Patches, cleans: dict[Step, Tensor]) -> Patches:
        one, other = (
            reduce(lambda each, step: step.carry(each, cleans), branch, patches)
            for branch in (self.body, self.shortcut)
        )
        return one.plus(other, cleans[self])

    def reach(self, area: tuple[Interval, Interval]) -> Iterator[tuple[Step, tuple[Interval, Interval]]]:
        ends = []
        for branch in (self.body, self.shortcut):
            here = area
            for step in branch:
                for inside, here in step.reach(here):  # noqa: B020  the last one is the step's own
                    yield inside, here
            ends.append(here)
        yield self, (_union(ends[0][0], ends[1][0]), _union(ends[0][1], ends[1][1]))


def _union(one: Interval, other: Interval) -> Interval:
    first = min(one[0], other[0])
    return first, max(sum(one), sum(other)) - first


def run_steps(steps: Iterable[Step], x: Tensor, cleans: dict[Step, Tensor] | None = None) -> Tensor:
    """The output of steps one after the other; where cleans are given, that of each is noted there."""
    for step in steps:
        x = step.run(x, cleans)
        if cleans is not None:
            cleans[step] = x
    return x


# A network as steps.


def local_steps(model: nn.Module) -> tuple[list[Step], nn.Module]:
    """The steps that a network begins with, and the rest of it."""
    if not is_plain(model, nn.Sequential) or has_hooks(model):
        return [], model
    steps: list[Step] = []
    for index, child in enumerate(model):
        inside = None if any(map(has_hooks, child.modules())) else steps_of(child)
        if inside is None:
            return steps, nn.Sequential(*list(model)[index:])
        steps += inside
    return steps, nn.Identity()


def steps_of(module: nn.Module) -> list[Step] | None:
    """One layer or block as steps; None where it cannot be computed patch by patch."""
    if is_plain(module, Normalize) or is_pointwise(module):
        return [Pointwise(module)]
    window = window_of(module)
    if window is not None and window.outside is not None and not window.ceil:
        return None if getattr(module, "return_indices", False) else [Windowed(module, window)]
    if is_sequential(module):
        return _chain(children_of(module).values())
    origin, name = type(module).__module__, type(module).__name__
    if origin.startswith("timm.") and name in ("DepthwiseSeparableConv", "InvertedResidual"):
        body = _chain(children_of(module).values())
        return [Residual(body)] if body is not None and module.has_skip else body
    if origin.startswith("torchvision.") and name in ("BasicBlock", "Bottleneck"):
        names = ["conv1", "bn1", "relu", "conv2", "bn2", *(["relu", "conv3", "bn3"] if name == "Bottleneck" else [])]
        body = _chain(module.get_submodule(each) for each in names)
        shortcut = _chain([] if module.downsample is None else [module.get_submodule("downsample")])
        relu = steps_of(module.get_submodule("relu"))
        return None if body is None or shortcut is None or relu is None else [Residual(body, shortcut), *relu]
    return None


def _chain(modules: Iterable[nn.Module]) -> list[Step] | None:
    chain: list[Step] = []
    for module in modules:
        inside = steps_of(module)
        if inside is None:
            return None
        chain += inside
    return chain


# One image.


class CleanRun:
    """A network's pass over a clean image, with what the first layers put out.

    Attributes:
        logits: (1, K), of the clean image.
        count: how many steps are worth going with patches, for a window and a batch size: see `worthwhile`.
    """

    def __init__(self, model: nn.Module, image: Tensor):
        self.image = image
        self.steps, self.rest = local_steps(model)
        self.cleans: dict[Step, Tensor] = {}
        self.logits = self.rest(run_steps(self.steps, image, self.cleans))

    def worthwhile(self, window: Pair, batch_size: int) -> tuple[int, int]:
        """How many steps to go with patches, and for how many positions at once.

        They cover at most LARGEST of a layer, and take no more memory than batch_size whole images.
        """
        area, count = ((0, window[0]), (0, window[1])), 0
        patch = largest = self.image.shape[1] * math.prod(window)
        for step in self.steps:
            for inside, area in step.reach(area):  # noqa: B020  the last one is the step's own
                channels, height, width = self.cleans[inside].shape[1:]
                if area[0][1] * area[1][1] > LARGEST * height * width:
                    return count, self._at_once(patch, batch_size)
                largest = max(largest, channels * area[0][1] * area[1][1])
            count, patch = count + 1, largest
        return count, self._at_once(patch, batch_size)

    def _at_once(self, patch: int, batch_size: int) -> int:
        return max(1, batch_size * max(x[0].numel() for x in (self.image, *self.cleans.values())) // patch)

    def occluded_logits(self, window: Pair, stride: Pair, fill: float, batch_size: int) -> Tensor:
        """Logits (rows, columns, K) with a window of fill at each position."""
        count, at_once = self.worthwhile(window, batch_size)
        local, full = self.steps[:count], self.steps[count:]
        if self.image.device.type == "cpu":
            order = list(self.cleans)
            begin = order.index(local[-1]) + 1 if local else 0
            largest = max(x[0].numel() for x in [self.image, *self.cleans.values()][begin:])
            batch_size = min(batch_size, max(4, CACHE // largest))
        positions = self._positions(window, stride, fill)
        logits = self.logits.new_empty(*positions.grid, self.logits.shape[1])
        waiting: list[Patches] = []
        for change in (each for part in positions.pieces(at_once) for each in _carry(local, part, self.cleans)):
            for piece in change.pieces(batch_size):
                waiting.append(piece)
                if sum(len(each.values) for each in waiting) >= batch_size:
                    self._finish(full, waiting, logits)
                    waiting = []
        if waiting:
            self._finish(full, waiting, logits)
        return logits

    def _positions(self, window: Pair, stride: Pair, fill: float) -> Patches:
        """The image with the window at every position."""
        image = self.image
        rows, columns = (range((image.shape[2 + axis] - window[axis]) // stride[axis] + 1) for axis in (0, 1))
        values = image.new_full((1, image.shape[1], *window), fill).expand(len(rows) * len(columns), -1, -1, -1)
        return Patches(image, values, (0, 0), stride, rows, columns)

    def _finish(self, full: list[Step], waiting: list[Patches], logits: Tensor) -> None:
        """Run the rest of the network on whole layers, and put the logits where their positions are."""
        found = self.rest(run_steps(full, torch.cat([each.whole() for each in waiting])))
        for each, part in zip(waiting, found.split([len(each.values) for each in waiting]), strict=True):
            rows, columns = (slice(axis.start, axis.stop, axis.step) for axis in (each.rows, each.columns))
            logits[rows, columns] = part.unflatten(0, each.grid)


def _carry(steps: list[Step], patches: Patches, cleans: dict[Step, Tensor]) -> Iterator[Patches]:
    """What becomes of patches in the course of some steps; in parts, where a step has a stride."""
    for index, step in enumerate(steps):
        parts = patches.alike(step.stride)
        if len(parts) > 1:
            for part in parts:
                yield from _carry(steps[index:], part, cleans)
            return
        patches = step.carry(parts[0], cleans)
    yield patches
