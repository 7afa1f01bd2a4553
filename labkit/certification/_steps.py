"""The layers of a network as the certificates see them: affine layers, and nonlinear ones between bounds."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, max_pool2d_with_indices, pad
from torch.nn.grad import conv2d_input

from labkit.layers import pair, window_of


class Box:
    """The numbers that a layer's outputs lie between, (N, ...): given by their ends, or by centre and radius."""

    def __init__(self, **given: Tensor):
        self.__dict__.update(given)  # what is not given follows from it once it is asked for

    @cached_property
    def lower(self) -> Tensor:
        return self.centre - self.radius

    @cached_property
    def upper(self) -> Tensor:
        return self.centre + self.radius

    @cached_property
    def centre(self) -> Tensor:
        return (self.lower + self.upper).div_(2)

    @cached_property
    def radius(self) -> Tensor:
        return (self.upper - self.lower).div_(2)


class Affine(Protocol):
    """A layer that is a matrix and a shift.

    Attributes:
        terms: how many products an output adds up; 0 where it is one of the inputs.
    """

    @property
    def terms(self) -> int: ...

    def forward(self, x: Tensor) -> Tensor:
        """x (N, ...) -> (N, ...)."""
        ...

    def widen(self, radius: Tensor, slack: float = 0.0) -> Tensor:
        """How far the outputs may move when the inputs move by up to the radius: the matrix of magnitudes.

        And this fraction of the shift, for its rounding.
        """
        ...

    def back(self, rows: Tensor, shape: torch.Size) -> Tensor:
        """Rows (R, ...) that weigh the outputs, as rows (R, *shape) that weigh the inputs: rows times the matrix."""
        ...


@dataclass(frozen=True)
class Scale:
    """Each channel times a factor, plus a shift: normalisation, batch norm in eval mode."""

    factor: Tensor  # (1, C, ...)
    shift: Tensor
    terms = 1

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift

    def widen(self, radius: Tensor, slack: float = 0.0) -> Tensor:
        wide = radius * self.factor.abs()
        return wide + slack * self.shift.abs() if slack else wide

    def back(self, rows: Tensor, shape: torch.Size) -> Tensor:
        return rows * self.factor


@dataclass(frozen=True)
class Convolution:
    layer: nn.Conv2d

    @property
    def terms(self) -> int:
        return self.layer.weight[0].numel()

    @cached_property
    def magnitudes(self) -> Tensor:
        return self.layer.weight.abs()

    def _slide(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        layer = self.layer
        return conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    def forward(self, x: Tensor) -> Tensor:
        return self._slide(x, self.layer.weight, self.layer.bias)

    def widen(self, radius: Tensor, slack: float = 0.0) -> Tensor:
        return self._slide(radius, self.magnitudes, _part(self.layer.bias, slack))

    def back(self, rows: Tensor, shape: torch.Size) -> Tensor:
        layer = self.layer
        slides: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)  # pairs, though annotated as numbers
        return conv2d_input((len(rows), *shape), layer.weight, rows, *slides)


@dataclass(frozen=True)
class Dense:
    layer: nn.Linear

    @property
    def terms(self) -> int:
        return self.layer.in_features

    @cached_property
    def magnitudes(self) -> Tensor:
        return self.layer.weight.abs()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)

    def widen(self, radius: Tensor, slack: float = 0.0) -> Tensor:
        return linear(radius, self.magnitudes, _part(self.layer.bias, slack))

    def back(self, rows: Tensor, shape: torch.Size) -> Tensor:
        return rows @ self.layer.weight


@dataclass(frozen=True)
class Flatten:
    terms = 0

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def widen(self, radius: Tensor, slack: float = 0.0) -> Tensor:
        return radius.flatten(1)

    def back(self, rows: Tensor, shape: torch.Size) -> Tensor:
        return rows.reshape(len(rows), *shape)


@dataclass(frozen=True)
class AveragePool:
    layer: nn.AvgPool2d

    @property
    def terms(self) -> int:
        height, width = pair(self.layer.kernel_size)
        return height * width

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)

    def widen(self, radius: Tensor, slack: float = 0.0) -> Tensor:
        return self.layer(radius)

    def back(self, rows: Tensor, shape: torch.Size) -> Tensor:
        with torch.enable_grad():
            x = rows.new_zeros(len(rows), *shape).requires_grad_()
            (found,) = torch.autograd.grad(self.layer(x), x, rows)
        return found


@dataclass(frozen=True)
class Relu:
    """max(x, 0), between two lines where it is not known on which side of 0 its input lies."""

    def forward(self, box: Box) -> Box:
        return Box(lower=box.lower.clamp_min(0), upper=box.upper.clamp_min(0))

    def below(self, rows: Tensor, box: Box) -> tuple[Tensor, Tensor]:
        """Rows (N, R, ...) that weigh the outputs, as rows that weigh the inputs and a constant (N, R): never above."""
        lower, upper = box.lower[:, None], box.upper[:, None]
        unsure = (lower < 0) & (upper > 0)
        chord = torch.where(unsure, upper / (upper - lower).clamp_min(1e-300), (lower >= 0).to(rows))
        floor = torch.where(unsure, (upper > -lower).to(rows), chord)  # the steeper of the two that loses less
        offset = torch.where(unsure, -chord * lower, torch.zeros_like(chord))
        negative = rows.clamp_max(0)
        return torch.where(rows > 0, rows * floor, rows * chord), (negative * offset).flatten(2).sum(2)


@dataclass(frozen=True)
class MaxPool:
    """The largest of a window: at least the input with the largest lower bound, at most the largest upper bound."""

    layer: nn.MaxPool2d

    def forward(self, box: Box) -> Box:
        return Box(lower=self.layer(box.lower), upper=self.layer(box.upper))

    def below(self, rows: Tensor, box: Box) -> tuple[Tensor, Tensor]:
        """As `Relu.below`."""
        pooled, place = self._pooled(box.lower)
        height_width = box.lower.shape[2:].numel()
        flat_place = place.flatten(2)
        certain = pooled >= self._largest_beside(place, box.upper)  # that input is the largest, whatever they all are
        ceiling = torch.where(certain, torch.zeros_like(pooled), self._pooled(box.upper)[0])
        chosen = torch.where((rows > 0) | certain[:, None], rows, torch.zeros_like(rows))
        constant = ((rows - chosen) * ceiling[:, None]).flatten(2).sum(2)
        found = rows.new_zeros(*rows.shape[:3], height_width)
        index = flat_place[:, None].expand(*rows.shape[:3], -1)
        return found.scatter_add_(3, index, chosen.flatten(3)).view(*rows.shape[:2], *box.lower.shape[1:]), constant

    def _largest_beside(self, place: Tensor, x: Tensor) -> Tensor:
        """The largest number of each window, without the one at the window's own place."""
        window = window_of(self.layer)
        assert window is not None
        places = torch.arange(x.shape[2:].numel(), device=x.device).view(1, 1, *x.shape[2:])
        sides = []
        for axis, count in enumerate(place.shape[2:]):
            before, reach = window.padding[axis][0], window.reach(axis)
            end = (count - 1) * window.stride[axis] + reach  # of the last window; inputs beyond it are in none
            after = end - before - x.shape[2 + axis]
            sides = [before, after, *sides]
        numbers, places = (
            pad(each, sides, value=outside)
            .unfold(2, window.reach(0), window.stride[0])
            .unfold(3, window.reach(1), window.stride[1])[..., :: window.dilation[0], :: window.dilation[1]]
            for each, outside in ((x, -torch.inf), (places, -1))
        )  # (N, C, h, w, rows, columns) and (1, 1, h, w, rows, columns)
        return numbers.masked_fill(places == place[..., None, None], -torch.inf).amax((-2, -1))

    def _pooled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        layer = self.layer
        size, stride, padding, dilation = map(pair, (layer.kernel_size, layer.stride, layer.padding, layer.dilation))
        return max_pool2d_with_indices(x, size, stride, padding, dilation, layer.ceil_mode)


@dataclass(frozen=True)
class Residual:
    """Two ways through a block, each of steps one after the other, whose ends are added up, and a ReLU."""

    ways: tuple[list["Step"], list["Step"]]

    def forward(self, box: Box) -> Box:
        return Relu().forward(self._sum(self._boxes(box)))

    def below(self, rows: Tensor, box: Box) -> tuple[Tensor, Tensor]:
        """As `Relu.below`."""
        boxes = self._boxes(box)
        rows, constant = Relu().below(rows, self._sum(boxes))
        (one, first), (other, second) = (
            backward(way, before, rows) for way, before in zip(self.ways, boxes, strict=True)
        )
        return one + other, constant + first + second

    def _boxes(self, box: Box) -> list[list[Box]]:
        return [list(accumulate(way, lambda now, step: through(step, now), initial=box)) for way in self.ways]

    def _sum(self, boxes: list[list[Box]]) -> Box:
        one, other = (before[-1] for before in boxes)
        lower, upper = one.lower + other.lower, one.upper + other.upper
        if lower.dtype == torch.float32:  # moved outward by more than one sum can be rounded
            margin = torch.finfo(torch.float32).eps * (lower.abs() + upper.abs())
            lower, upper = lower - margin, upper + margin
        return Box(lower=lower, upper=upper)


Step = Scale | Convolution | Dense | Flatten | AveragePool | Relu | MaxPool | Residual
NONLINEAR = (Relu, MaxPool, Residual)


def through(step: Step, box: Box) -> Box:
    """The bounds of a layer's outputs, from those of its inputs alone: interval arithmetic.

    In float32 they are moved outward by as much as sums of so many terms can be rounded, in whatever order they are
    added up (Higham 2002, *Accuracy and Stability of Numerical Algorithms*, section 3.1).
    """
    if isinstance(step, NONLINEAR):
        return step.forward(box)
    centre, radius = box.centre, box.radius
    slack = 0.0  # what float64 rounds is taken off at the end
    if step.terms and centre.dtype == torch.float32:
        slack = (step.terms + 8) * torch.finfo(torch.float32).eps  # twice what such a sum can be rounded
        radius = centre.abs().add_(radius).mul_(slack).add_(radius)
    return Box(centre=step.forward(centre), radius=step.widen(radius, slack))


def backward(steps: list[Step], boxes: list[Box], rows: Tensor) -> tuple[Tensor, Tensor]:
    """From rows (N, R, ...) that weigh the outputs of the last step to the inputs of the first.

    Returns:
        Rows that weigh those inputs, and a constant (N, R): together never above what the given rows make of the
        outputs, as long as the inputs of each step lie in its box.
    """
    constant = rows.new_zeros(rows.shape[:2])
    for step, box in zip(reversed(steps), reversed(boxes[: len(steps)]), strict=True):
        if isinstance(step, NONLINEAR):
            rows, more = step.below(rows, box)
        else:
            shape = box.lower.shape[1:]
            shift = step.forward(box.lower.new_zeros(1, *shape))
            more = (rows * shift[:, None]).flatten(2).sum(2)
            rows = step.back(rows.flatten(0, 1), shape).view(*rows.shape[:2], *shape)
        constant = constant + more
    return rows, constant


def _part(bias: Tensor | None, slack: float) -> Tensor | None:
    return slack * bias.abs() if bias is not None and slack else None
