"""A network as the certificates see it: affine layers and nonlinear ones in turn."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, max_pool2d_with_indices, pad
from torch.nn.grad import conv2d_input

from labkit.core import check_batch, check_not_negative, check_takes
from labkit.layers import is_sequential, pair, window_of
from labkit.models import Normalize

ROUNDING = 1e-9  # taken off every bound, as a fraction of the numbers in it: thousands of times the error of float64


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


Step = Scale | Convolution | Dense | Flatten | AveragePool | Relu | MaxPool
NONLINEAR = (Relu, MaxPool)


def steps_of(model: nn.Module, dtype: torch.dtype = torch.float64, *, merged: bool = True) -> list[Step]:
    """The layers of a sequential network, apart from its own weights: in this precision, but the last in float64.

    Merged, a convolution or dense layer and the batch norm behind it are one step. Their product is rounded once, for
    which the slack of `through` has room.

    Raises:
        ValueError: the network is not sequential, or has a layer that no bounds are known for; it is named.
    """
    found: list[Step] = []
    for name, layer in bounded_layers(model):
        step = step_of(name, copy.deepcopy(layer).requires_grad_(False).double())
        before = found[-1] if found else None
        if merged and isinstance(step, Scale) and isinstance(before, Convolution | Dense):
            rescale(before.layer, step)
        else:
            found.append(step)
    for place, step in enumerate(found[:-1]):
        if isinstance(step, Scale):
            found[place] = Scale(step.factor.to(dtype), step.shift.to(dtype))
        elif isinstance(step, Convolution | Dense):
            step.layer.to(dtype)
    return found


def rescale(layer: nn.Conv2d | nn.Linear, scale: Scale) -> None:
    """Take what scales a layer's outputs into its own weights."""
    factor, shift = scale.factor.flatten(), scale.shift.flatten()
    bias = layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
    layer.weight *= factor.view(-1, *(1,) * (layer.weight.ndim - 1))
    layer.bias = nn.Parameter(bias * factor + shift, requires_grad=False)


def bounded_layers(model: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of a sequential network by name, blocks taken apart, those without effect in eval mode left out.

    Raises:
        ValueError: the network is not sequential.
    """
    if not is_sequential(model):
        raise ValueError(f"bounds are known for sequential networks, got {path or 'a '}{type(model).__name__}")
    for name, layer in model.named_children():
        if is_sequential(layer):
            yield from bounded_layers(layer, f"{path}{name}.")
        elif not isinstance(layer, nn.Dropout | nn.Identity):
            yield f"{path}{name}", layer


def step_of(name: str, layer: nn.Module) -> Step:
    """A layer in eval mode as its bounds see it: with its own weights, in their precision, open to gradients.

    Raises:
        ValueError: no bounds are known for such a layer; it is named.
    """
    if isinstance(layer, Normalize):
        mean, std = layer.get_buffer("mean"), layer.get_buffer("std")
        return Scale(1 / std, -mean / std)
    if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) and layer.running_mean is not None:
        assert layer.running_var is not None
        return scale_of(layer, layer.running_mean, layer.running_var)
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return Convolution(layer)
    if isinstance(layer, nn.Linear):
        return Dense(layer)
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1):
        return Flatten()
    if isinstance(layer, nn.AvgPool2d):
        return AveragePool(layer)
    if isinstance(layer, nn.ReLU):
        return Relu()
    if isinstance(layer, nn.MaxPool2d):
        return MaxPool(layer)
    known = (
        "Normalize, Conv2d with zero padding, BatchNorm with running statistics, Linear, Flatten, ReLU, MaxPool2d, "
        "AvgPool2d, Dropout"
    )
    raise ValueError(f"no bounds are known for layer {name!r}, {layer}; known: {known}")


def scale_of(layer: nn.BatchNorm2d | nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> Scale:
    """Batch norm with such a mean and variance of each channel."""
    factor = (1 if layer.weight is None else layer.weight) / (variance + layer.eps).sqrt()
    shift = (0 if layer.bias is None else layer.bias) - mean * factor
    shape = (1, -1, 1, 1) if isinstance(layer, nn.BatchNorm2d) else (1, -1)
    return Scale(factor.view(shape), shift.view(shape))


def input_box(images: Tensor, eps: float, dtype: torch.dtype = torch.float64) -> Box:
    """All images within eps in every pixel, and within [0, 1]; in float32 a little more, for what that has rounded."""
    box = box_around(images.double(), eps)
    if dtype == torch.float64:
        return box
    margin = 2 * torch.finfo(dtype).eps
    return Box(lower=(box.lower.to(dtype) - margin).clamp_min_(0), upper=box.upper.to(dtype) + margin)


def box_around(images: Tensor, eps: float) -> Box:
    """As `input_box`, in the images' own precision."""
    return Box(lower=(images - eps).clamp_min(0), upper=(images + eps).clamp_max(1))


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


def _part(bias: Tensor | None, slack: float) -> Tensor | None:
    return slack * bias.abs() if bias is not None and slack else None


def interval_margins(last: Step, box: Box, classes: Tensor) -> Tensor:
    """Lower bounds (N, K) of the margins from those before the last step; if dense, it is taken with the difference."""
    if not isinstance(last, Dense):
        box = through(last, box)
        return least(margin_rows(classes, box.lower.shape[1]).to(box.lower), box)
    logits, weight = last.forward(box.centre), last.layer.weight
    found = logits.gather(1, classes[:, None]) - logits
    for own in classes.unique().tolist():  # the rows of one class's margins are the same for all its images
        some = classes == own
        found[some] -= linear(box.radius[some], (weight[own] - weight).abs())
    return found


def least(rows: Tensor, box: Box) -> Tensor:
    """The least value (N, R) that rows (N, R, ...) can take within a box."""
    centre, radius = box.centre[:, None], box.radius[:, None]
    return (rows * centre - rows.abs() * radius).flatten(2).sum(2)


def margin_rows(classes: Tensor, count: int) -> Tensor:
    """(N, K, K): row k of an image takes logit k from that of its class."""
    unit = torch.eye(count, dtype=torch.float64, device=classes.device)
    return unit[classes][:, None] - unit


def finished(margins: Tensor, classes: Tensor) -> Tensor:
    """Bounds (N, K) less what float64 may have rounded; infinity at the class itself, which has no margin."""
    margins = margins - ROUNDING * (1 + margins.abs().amax(1, keepdim=True))
    return margins.scatter(1, classes[:, None], torch.inf)


def check_certificate(model: nn.Module, images: Tensor, classes: Tensor, eps: float) -> None:
    """What every certificate refuses: as `check_batch` and `check_takes`, and eps below 0."""
    check_batch(model, images, classes)
    check_not_negative(eps=eps)
    check_takes(model, images, classes)
