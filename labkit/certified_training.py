"""Certified training: learn from the worst that interval bounds allow, and not only from the images themselves."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labkit.certification._network import (
    bounded_layers,
    box_around,
    interval_margins,
    least,
    margin_rows,
    scale_of,
    step_of,
)
from labkit.certification._steps import NONLINEAR, Box, Dense, Scale, Step
from labkit.core import check_positive, check_within
from labkit.models import ResidualBlock


class Bounded(nn.Module):
    """A sequential network that runs on images and on the boxes around them in one go, as training needs it.

    The bounds are those of `labkit.certification.interval_bounds`, but in the network's own precision and open to
    gradients. In training mode, batch norm takes the mean and variance of the images for the boxes too, so that what is
    bounded is the very function that the images go through.

    Args:
        model: an `nn.Sequential`: images (N, C, H, W) -> logits (N, K).

    Raises:
        ValueError: it is not sequential, or has a layer that no bounds are known for; it is named.

    Source:
        Gowal et al. 2018, arXiv:1810.12715; Shi et al. 2021, arXiv:2103.17268, for batch norm.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self._layers = list(bounded_layers(model))
        for name, layer in self._layers:
            step_of(name, layer)  # refuses what it does not know

    def forward(
        self,
        images: Float[Tensor, "n c h w"],
        classes: Int64[Tensor, " n"],
        eps: float,
        around: Float[Tensor, "n c h w"] | None = None,
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
        """Logits, and lower bounds of the margins of each image's class (0 at the class itself), within eps.

        With `around`, the bounds are those around these images, and `images` are what an attack has made of them.
        """
        n, box = len(images), box_around(images if around is None else around, eps)
        x, radius = torch.cat([images, box.centre]), box.radius  # images and centres of boxes share the affine steps
        *hidden, (last_name, last) = self._layers
        for name, layer in hidden:
            step = _step(name, layer, x[:n])
            if isinstance(step, NONLINEAR):
                box = step.forward(Box(centre=x[n:], radius=radius))
                x, radius = torch.cat([layer(x[:n]), box.centre]), box.radius
            else:
                x, radius = step.forward(x), step.widen(radius)
        box = Box(centre=x[n:], radius=radius)
        return last(x[:n]), _margins(step_of(last_name, last), box, classes)


def _margins(last: Step, box: Box, classes: Tensor) -> Tensor:
    """As `interval_margins`, with sums that stay in float32 where matrix products do not."""
    if not isinstance(last, Dense):
        return interval_margins(last, box, classes)
    rows = margin_rows(classes, last.layer.out_features).to(last.layer.weight)
    constant = 0 if last.layer.bias is None else rows @ last.layer.bias
    return least(rows @ last.layer.weight, box) + constant


def _step(name: str, layer: nn.Module, images: Tensor) -> Step:
    """A layer as its bounds see it, where the images go into it as (N, C, ...)."""
    if isinstance(layer, ResidualBlock):
        raise ValueError(f"training with bounds knows no residual blocks, got layer {name!r}")
    if not (isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) and layer.training):
        return step_of(name, layer)
    dims, values = (0, *range(2, images.ndim)), images.float()
    mean = values.mean(dims)
    if values.numel() == len(mean):
        raise ValueError(
            f"batch norm {name!r} in training needs more than one value a channel, got {tuple(images.shape)}"
        )
    variance = (values.square().mean(dims) - mean.square()).clamp_min(0)
    _keep(layer, mean.detach(), variance.detach() * (values.numel() / (values.numel() - len(mean))))
    scale = scale_of(layer, mean, variance)
    return Scale(scale.factor.to(images), scale.shift.to(images))


def _keep(layer: nn.BatchNorm2d | nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """Move batch norm's running mean and variance on, as the layer itself does in training mode."""
    assert layer.running_mean is not None and layer.running_var is not None  # noqa: PT018
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    rate = 1 / layer.num_batches_tracked.item() if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(mean, rate)
    layer.running_var.lerp_(variance, rate)


def bounded_loss(
    logits: Float[Tensor, "n k"], margins: Float[Tensor, "n k"], classes: Int64[Tensor, " n"], kappa: float
) -> Float[Tensor, ""]:
    """kappa times the cross-entropy of the logits, plus 1 - kappa times that of the worst that the bounds allow."""
    return kappa * cross_entropy(logits, classes) + (1 - kappa) * cross_entropy(-margins, classes)


def eps_and_kappa(done: float, bounds: dict[str, Any]) -> tuple[float, float]:
    """eps and kappa after this fraction of the training.

    Both move linearly during the ramp: eps from 0 to its full size, kappa from 1 to where it ends.
    """
    part = min(1.0, done / bounds["ramp"])
    return bounds["eps"] * part, 1 - (1 - bounds["kappa"]) * part


def check_bounds(bounds: dict[str, Any]) -> None:
    """Refuse what is not {"eps": ..., "ramp": ..., "kappa": ...}: raises ValueError."""
    if set(bounds) != {"eps", "ramp", "kappa"}:
        raise ValueError(f"bounds must have eps, ramp and kappa, got {bounds!r}")
    check_positive(eps=bounds["eps"], ramp=bounds["ramp"])
    check_within(0, 1, ramp=bounds["ramp"], kappa=bounds["kappa"])


def interval_init(model: nn.Module) -> None:
    """Give convolutions and dense layers weights with which intervals stay as wide as they are, layer by layer.

    With the usual initialisation they grow by a factor of about the root of a layer's inputs, and a network of some
    depth begins with bounds that say nothing. Drawn from the global generator; biases begin at 0.

    Source:
        Shi et al. 2021, arXiv:2103.17268.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=math.sqrt(2 * math.pi) / layer.weight[0].numel())
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
