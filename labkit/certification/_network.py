"""A network as the certificates see it: its layers as steps, the box of its inputs, the margins at its end."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.parametrize import is_parametrized

from labkit.certification._steps import (
    AveragePool,
    Box,
    Convolution,
    Dense,
    Flatten,
    MaxPool,
    Relu,
    Residual,
    Scale,
    Step,
    through,
)
from labkit.core import check_batch, check_not_negative, check_takes
from labkit.layers import children_of, has_hooks, is_plain, is_sequential
from labkit.models import Normalize, ResidualBlock

ROUNDING = 1e-9  # taken off every bound, as a fraction of the numbers in it: thousands of times the error of float64


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
    return [_in_precision(step, dtype) for step in found[:-1]] + found[-1:]


def _in_precision(step: Step, dtype: torch.dtype) -> Step:
    if isinstance(step, Scale):
        return Scale(step.factor.to(dtype), step.shift.to(dtype))
    if isinstance(step, Convolution | Dense):
        step.layer.to(dtype)
    if isinstance(step, Residual):
        one, other = ([_in_precision(each, dtype) for each in way] for way in step.ways)
        return Residual((one, other))
    return step


def rescale(layer: nn.Conv2d | nn.Linear, scale: Scale) -> None:
    """Take what scales a layer's outputs into its own weights."""
    factor, shift = scale.factor.flatten(), scale.shift.flatten()
    bias = layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
    layer.weight *= factor.view(-1, *(1,) * (layer.weight.ndim - 1))
    layer.bias = nn.Parameter(bias * factor + shift, requires_grad=False)


def bounded_layers(model: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of a sequential network by name, blocks taken apart, those without effect in eval mode left out.

    Raises:
        ValueError: the network is not sequential, or a part of it has hooks or parametrizations.
    """
    for name, module in model.named_modules():
        if has_hooks(module) or is_parametrized(module):
            place = repr(name) if name else type(model).__name__
            raise ValueError(
                f"bounds are known for layers without hooks and parametrizations, {place} has some; remove them"
            )
    if not is_sequential(model):
        raise ValueError(f"bounds are known for sequential networks, got {path or 'a '}{type(model).__name__}")
    for name, layer in children_of(model).items():
        if is_sequential(layer):
            yield from bounded_layers(layer, f"{path}{name}.")
        elif not is_plain(layer, nn.Dropout, nn.Identity):
            yield f"{path}{name}", layer


def step_of(name: str, layer: nn.Module) -> Step:
    """A layer in eval mode as its bounds see it: with its own weights, in their precision, open to gradients.

    Raises:
        ValueError: no bounds are known for such a layer; it is named.
    """
    if is_plain(layer, Normalize):
        mean, std = layer.get_buffer("mean"), layer.get_buffer("std")
        return Scale(1 / std, -mean / std)
    if is_plain(layer, nn.BatchNorm2d, nn.BatchNorm1d) and layer.running_mean is not None:
        assert layer.running_var is not None
        return scale_of(layer, layer.running_mean, layer.running_var)
    if is_plain(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return Convolution(layer)
    if is_plain(layer, nn.Linear):
        return Dense(layer)
    if is_plain(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1):
        return Flatten()
    if is_plain(layer, nn.AvgPool2d):
        return AveragePool(layer)
    if is_plain(layer, nn.ReLU):
        return Relu()
    if is_plain(layer, nn.MaxPool2d):
        return MaxPool(layer)
    if is_plain(layer, ResidualBlock) and is_plain(layer.relu, nn.ReLU):
        body, shortcut = (
            [step_of(f"{name}.{inner}", each) for inner, each in bounded_layers(way)]
            for way in (layer.body, layer.shortcut)
        )
        return Residual((body, shortcut))
    known = (
        "Normalize, Conv2d with zero padding, BatchNorm with running statistics, Linear, Flatten, ReLU, MaxPool2d, "
        "AvgPool2d, Dropout, ResidualBlock"
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
