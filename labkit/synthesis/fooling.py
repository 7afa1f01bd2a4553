"""Fooling images: a network is certain about them, and they are far from everything it was trained on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import (
    Progress,
    check_batch,
    check_classes,
    check_counts,
    check_logits,
    check_not_negative,
    check_positive,
    check_within,
    last_of,
    log_odds,
    value_and_grad,
)
from labkit.data import ImageSet
from labkit.layers import children_of, find_layer, is_sequential, layer_values
from labkit.synthesis._reference import Reference, groups_in_memory

CERTAIN = 0.99  # an image above it is never drawn anew, however slowly it still rises


@dataclass(frozen=True)
class Fooling:
    """How far the search has come.

    Attributes:
        images: (N, C, H, W), in [0, 1] only if the search clips.
        confidence: (N,), the network's confidence in each image's class, in [0, 1].
        steps: (N,) int64, the step at which an image first had the wanted confidence, -1 where it never had.
        restarts: (N,) int64, how often an image was stuck and drawn anew.
    """

    images: Float[Tensor, "n c h w"]
    confidence: Float[Tensor, " n"]
    steps: Int64[Tensor, " n"]
    restarts: Int64[Tensor, " n"]


def fooling_steps(
    model: nn.Module,
    classes: Int64[Tensor, " n"],
    *,
    reference: ImageSet,
    layers: dict[str, float] | None = None,
    reference_weight: float = 0.5,
    batch_weight: float = 0.5,
    class_weight: float = 10.0,
    saturating: bool = False,
    per_neuron: bool = False,
    confidence: float = 0.999,
    steps: int = 200,
    learning_rate: float = 0.01,
    patience: int = 5,
    clip: bool = False,
    seed: int = 0,
    memory: int = 2**29,
    progress: Progress = iter,
) -> Iterator[Fooling]:
    """Fooling images: the network is certain of their classes, yet they are unlike its training images and each other.

    Adam descends three costs from uniform noise. The class cost is `class_weight` times the mean negative log-odds of
    the wanted class, log((1 - p) / p) for a confidence of p. At each compared layer, one over the mean squared
    distance to the nearest reference image of the class keeps away from what the network knows, and one over the mean
    squared distance between two images of the batch keeps the images apart. A batch is all images of one class; it has
    no influence on the others, and rests once all its images have the wanted confidence at the same time.

    Args:
        model: an `nn.Sequential`, images (N, C, H, W) -> logits (N, K), in eval mode.
        classes: (N,) int64, one for each image to find; repeat a class to get several images of it.
        reference: the images to stay away from, usually the whole training set; those of an image's own class count.
        layers: the name of each layer to compare and its coefficient; "input" is the image. By default the input,
            what leaves each pooling layer and each dense layer but the last, with coefficients that rise
            geometrically from 1e-5 to 1e-2.
        reference_weight: weight of the distances to reference images.
        batch_weight: weight of the distances within the batch; a batch of one image has none.
        class_weight: weight of the class.
        saturating: descend 1 - p, as first published, in the place of the log-odds. Where p is nearly 0, the gradient
            of 1 - p is too, the other costs win, and an image may be drawn anew for ever.
        per_neuron: in dense layers, take the minimum over the reference images for each neuron by itself. No image
            is that near; the first published search did so.
        confidence: where to stop, between 0 and 1.
        steps: where to give up.
        learning_rate: Adam's, in pixel units a step.
        patience: draw an image anew whose confidence is below 0.99 and has not risen for so many steps.
        clip: keep the pixels in [0, 1].
        seed: fixes the noise.
        memory: bytes to keep to, about: as many classes are searched at once as fit, one at least.
        progress: wraps the loop over the steps of each group of classes, e.g. ``tqdm``; silent by default.

    Yields:
        The images, their confidence, the steps and restarts each of them took: before the first step of each group of
        classes and after each step. Classes that are not yet being searched show their noise, with a confidence of 0.

    Raises:
        ValueError: a model that is not sequential or in training mode; an unknown class or layer; no reference image
            of a class; an option out of its range.

    Source:
        The search of jalexvig/cnn_backwork, with the distance of an image to itself left out; after Nguyen, Yosinski
        and Clune 2015, arXiv:1412.1897.
    """
    coefficients = _checked_layers(model, layers)
    _check_inputs(model, classes, reference)
    check_not_negative(reference_weight=reference_weight, batch_weight=batch_weight, class_weight=class_weight)
    check_within(0, 1, ends="()", confidence=confidence)
    check_positive(learning_rate=learning_rate)
    check_counts(steps=steps, patience=patience, memory=memory)
    weights = _Weights(reference_weight, batch_weight, class_weight, saturating)
    labels = classes.unique().tolist()
    noise = {label: torch.Generator(classes.device).manual_seed(seed * 10_007 + label) for label in labels}
    pixels = reference.images

    def drawn(label: int, count: int) -> Tensor:
        size = (count, *pixels.shape[1:])
        return torch.rand(size, generator=noise[label], dtype=pixels.dtype, device=classes.device)

    def states() -> Iterator[Fooling]:
        images = pixels.new_empty(len(classes), *pixels.shape[1:])
        for label in labels:
            images[classes == label] = drawn(label, int((classes == label).sum()))
        zeros = torch.zeros_like(classes)
        state = Fooling(images, zeros.to(images.dtype), zeros - 1, zeros)
        for group in groups_in_memory(model, labels, classes, reference, coefficients, memory):
            near = {label: Reference(model, reference, label, coefficients, per_neuron) for label in group}
            active = torch.isin(classes, torch.tensor(group, device=classes.device)).nonzero()[:, 0]  # not yet at rest
            first = second = torch.zeros_like(state.images)  # Adam's two running means
            age, stuck = zeros, zeros
            for step in progress(range(steps + 1)):
                gradient, p = _gradient(model, state.images[active], classes[active], near, coefficients, weights)
                risen = p > state.confidence[active]
                reached = torch.where((state.steps[active] < 0) & (p >= confidence), step, state.steps[active])
                state = replace(
                    state,
                    confidence=state.confidence.index_copy(0, active, p),
                    steps=state.steps.index_copy(0, active, reached),
                )
                yield state
                keep = torch.isin(classes[active], classes[active][p < confidence])  # labels with an image below it
                if step == steps or not keep.any():
                    break
                active, gradient, p, risen = active[keep], gradient[keep], p[keep], risen[keep]

                age = age.index_add(0, active, torch.ones_like(active))
                stuck = stuck.index_copy(0, active, (stuck[active] + 1) * ~risen)
                first = first.index_copy(0, active, 0.9 * first[active] + 0.1 * gradient)
                second = second.index_copy(0, active, 0.999 * second[active] + 0.001 * gradient.square())
                t = age[active, None, None, None]
                change = (first[active] / (1 - 0.9**t)) / ((second[active] / (1 - 0.999**t)).sqrt() + 1e-8)
                moved = state.images[active] - learning_rate * change

                anew = active[(stuck[active] >= patience) & (p < min(CERTAIN, confidence))]
                images = state.images.index_copy(0, active, moved.clamp(0, 1) if clip else moved)
                for one in anew.tolist():
                    images[one] = drawn(int(classes[one]), 1)[0]
                first, second = first.index_fill(0, anew, 0), second.index_fill(0, anew, 0)
                age, stuck = age.index_fill(0, anew, 0), stuck.index_fill(0, anew, 0)
                state = replace(
                    state,
                    images=images,
                    confidence=state.confidence.index_fill(0, anew, 0),
                    steps=state.steps.index_fill(0, anew, -1),
                    restarts=state.restarts.index_add(0, anew, torch.ones_like(anew)),
                )
            del near  # before the next group's is made

    return states()


fooling = last_of(fooling_steps)


class _Weights(NamedTuple):
    """What the three costs count for, and whether the class cost saturates."""

    reference: float
    batch: float
    label: float
    saturating: bool


def costs(values: Float[Tensor, "n d"], nearest: Float[Tensor, "n d"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The reference cost and the batch cost of one label at one layer.

    Args:
        values: (n, D), the layer's values for the images of the batch.
        nearest: (n, D), for each of them the nearest reference values.

    Returns:
        One over the mean squared distance to the nearest, and one over the mean squared distance between two different
        images of the batch, both averaged over the layer. The latter is 0 for a batch of one.
    """
    n = len(values)
    apart = (values - nearest).square().mean(1).mean()
    if n == 1:
        return 1 / apart, torch.zeros_like(apart)
    # The mean over all pairs i != j of |v_i - v_j|^2 is twice the unbiased variance, summed over the layer.
    return 1 / apart, 1 / (2 * values.var(0).mean())


def _gradient(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    near: dict[int, Reference],
    coefficients: dict[str, float],
    weights: _Weights,
) -> tuple[Tensor, Tensor]:
    """The gradient of the three costs, (n, C, H, W), and each image's confidence, (n,)."""

    def loss(pixels: Tensor) -> tuple[Tensor, Tensor]:
        values, logits = layer_values(model, pixels, coefficients)
        odds = log_odds(logits, classes)
        class_cost = (-odds).sigmoid() if weights.saturating else -odds
        total = class_cost.new_zeros(())
        for label in classes.unique().tolist():
            mine = classes == label
            total = total + weights.label * class_cost[mine].mean()
            for name, coefficient in coefficients.items():
                own = values[name].flatten(1)[mine]
                from_reference, from_batch = costs(own, near[label].nearest(name, own))
                total = total + coefficient * (weights.reference * from_reference + weights.batch * from_batch)
        return total, odds.detach().sigmoid()

    (_, confidence), gradient = value_and_grad(loss, images, has_aux=True)
    return gradient, confidence


def _checked_layers(model: nn.Module, layers: dict[str, float] | None) -> dict[str, float]:
    if not is_sequential(model):
        raise ValueError(f"the model must be an nn.Sequential, whose layers run in order, got {type(model).__name__}")
    children = children_of(model)
    if layers is None:
        pools = (nn.MaxPool2d, nn.AvgPool2d)
        dense = [name for name, child in children.items() if isinstance(child, nn.Linear)][:-1]
        names = ["input", *(name for name, child in children.items() if isinstance(child, pools) or name in dense)]
        return dict(zip(names, torch.logspace(-5, -2, len(names)).tolist(), strict=True))
    for name in layers.keys() - {"input"}:
        find_layer(model, name)
    return layers


def _check_inputs(model: nn.Module, classes: Tensor, reference: ImageSet) -> None:
    if len(reference) == 0:
        raise ValueError("reference must hold images to stay away from, it holds 0")
    check_batch(model, reference.images[:1])
    check_classes(classes)
    with torch.no_grad():
        check_logits(model(reference.images[:1]).expand(len(classes), -1), classes)
    for label in classes.unique().tolist():
        if not (reference.labels == label).any():
            raise ValueError(f"reference holds no image of class {label}")
