"""Fooling images: a network is certain about them, and they are far from everything it was trained on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from labkit.core import check_batch, log_odds
from labkit.data import ImageSet
from labkit.layers import is_sequential, run

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

    images: Tensor
    confidence: Tensor
    steps: Tensor
    restarts: Tensor


def fooling(
    model: nn.Module,
    classes: Tensor,
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
    progress: Callable = iter,
) -> Fooling:
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

    Returns:
        The images, their confidence, the steps and restarts each of them took.

    Raises:
        ValueError: a model that is not sequential or in training mode; an unknown class or layer; no reference image
            of a class; an option out of its range.

    Source:
        The search of jalexvig/cnn_backwork, with the distance of an image to itself left out; after Nguyen, Yosinski
        and Clune 2015, arXiv:1412.1897.
    """
    options = {
        "layers": layers, "reference_weight": reference_weight, "batch_weight": batch_weight,
        "class_weight": class_weight, "saturating": saturating, "per_neuron": per_neuron, "confidence": confidence,
        "steps": steps, "learning_rate": learning_rate, "patience": patience, "clip": clip, "seed": seed,
        "memory": memory, "progress": progress,
    }  # fmt: skip
    *_, last = fooling_steps(model, classes, reference=reference, **options)
    return last


def fooling_steps(
    model: nn.Module,
    classes: Tensor,
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
    progress: Callable = iter,
) -> Iterator[Fooling]:
    """The state of `fooling` before the first step of each group of classes and after each step; the last one is its
    result. Classes that are not yet being searched show their noise, with a confidence of 0."""
    layers = _checked_layers(model, layers)
    _check(model, classes, reference, layers, confidence, steps, learning_rate, patience, memory)
    labels = classes.unique().tolist()
    noise = {label: torch.Generator(classes.device).manual_seed(seed * 10_007 + label) for label in labels}
    shape = reference.images.shape[1:]
    images = torch.empty(len(classes), *shape, dtype=reference.images.dtype, device=classes.device)
    for label in labels:
        images[classes == label] = _uniform((int((classes == label).sum()), *shape), noise[label], images)
    nothing = torch.zeros_like(classes)
    state = Fooling(images, nothing.to(images.dtype), nothing - 1, nothing)
    weights = {"reference": reference_weight, "batch": batch_weight, "class": class_weight, "saturating": saturating}
    for group in _groups(model, labels, classes, reference, layers, memory):
        near = {label: _Reference(model, reference, label, layers, per_neuron) for label in group}
        run = torch.isin(classes, torch.tensor(group, device=classes.device)).nonzero()[:, 0]  # not yet at rest
        first = second = torch.zeros_like(state.images)  # Adam's two running means
        age, stuck = nothing, nothing
        for step in progress(range(steps + 1)):
            gradient, p = _gradient_and_confidence(model, state.images[run], classes[run], near, layers, weights)
            risen = p > state.confidence[run]
            reached = torch.where((state.steps[run] < 0) & (p >= confidence), step, state.steps[run])
            state = replace(
                state,
                confidence=state.confidence.index_copy(0, run, p),
                steps=state.steps.index_copy(0, run, reached),
            )
            yield state
            keep = _unfinished(classes[run], p, confidence)
            if step == steps or not keep.any():
                break
            run, gradient, p, risen = run[keep], gradient[keep], p[keep], risen[keep]

            age, stuck = age.index_add(0, run, nothing[run] + 1), stuck.index_copy(0, run, (stuck[run] + 1) * ~risen)
            first = first.index_copy(0, run, 0.9 * first[run] + 0.1 * gradient)
            second = second.index_copy(0, run, 0.999 * second[run] + 0.001 * gradient.square())
            t = age[run, None, None, None]
            change = (first[run] / (1 - 0.9**t)) / ((second[run] / (1 - 0.999**t)).sqrt() + 1e-8)
            moved = state.images[run] - learning_rate * change

            anew = run[(stuck[run] >= patience) & (p < min(CERTAIN, confidence))]
            images = state.images.index_copy(0, run, moved.clamp(0, 1) if clip else moved)
            for one in anew.tolist():
                images[one] = _uniform((1, *shape), noise[classes[one].item()], images)[0]
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


class _Reference:
    """What the reference images of one label look like to the compared layers, and which is nearest."""

    def __init__(self, model: nn.Module, reference: ImageSet, label: int, layers: dict, per_neuron: bool):
        parts = []
        with torch.no_grad():
            for batch in reference.images[reference.labels == label].split(250):
                values, _ = layer_values(model, batch, layers)
                parts.append({name: value.flatten(1) for name, value in values.items()})
                dense = {name for name, value in values.items() if value.ndim == 2}
        self.values = {}
        for name in layers:  # one layer after the other, so that no more than one is held twice
            self.values[name] = torch.cat([part.pop(name) for part in parts])  # (R, D)
        self.per_neuron = dense if per_neuron else set()
        self.squares = {name: value.square().sum(1) for name, value in self.values.items()}
        self.columns = {name: self.values[name].T.contiguous().sort(dim=1).values for name in self.per_neuron}  # (D, R)

    def nearest(self, name: str, values: Tensor) -> Tensor:
        """(n, D): for each row of values the nearest of the label's values at that layer."""
        values = values.detach()
        if name in self.per_neuron:
            columns, wanted = self.columns[name], values.T.contiguous()
            above = torch.searchsorted(columns, wanted).clamp(max=columns.shape[1] - 1)
            below = (above - 1).clamp(min=0)
            low, high = columns.gather(1, below), columns.gather(1, above)
            return torch.where((wanted - low).abs() < (high - wanted).abs(), low, high).T
        # the nearest by |r|^2 - 2 v r, which a matrix product gives; its distance is then taken exactly
        chosen = torch.addmm(self.squares[name], values, self.values[name].T, alpha=-2).argmin(1)
        return self.values[name][chosen]


def layer_values(model: nn.Module, images: Tensor, layers: Iterable[str]) -> tuple[dict[str, Tensor], Tensor]:
    """The outputs of the named layers, and the logits, of one run; "input" is the images."""
    outputs = {"input": images, **run(model, images, {*layers, ""} - {"input"})}
    return {name: outputs[name] for name in layers}, outputs[""]


def costs(values: Tensor, nearest: Tensor) -> tuple[Tensor, Tensor]:
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


def _gradient_and_confidence(model, images, classes, near, layers, weights) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        values, logits = layer_values(model, images, layers)
        odds = log_odds(logits, classes)
        class_cost = (-odds).sigmoid() if weights["saturating"] else -odds
        total = 0.0
        for label in classes.unique().tolist():
            mine = classes == label
            total = total + weights["class"] * class_cost[mine].mean()
            for name, coefficient in layers.items():
                here = values[name].flatten(1)[mine]
                from_reference, from_batch = costs(here, near[label].nearest(name, here))
                total = total + coefficient * (weights["reference"] * from_reference + weights["batch"] * from_batch)
        (gradient,) = torch.autograd.grad(total, images)
    return gradient, odds.detach().sigmoid()


def _unfinished(classes: Tensor, p: Tensor, confidence: float) -> Tensor:
    """(n,) bool: the images of a label with one image at least below the wanted confidence."""
    return torch.isin(classes, classes[p < confidence])


def _uniform(shape: tuple, rng: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=rng, dtype=like.dtype, device=like.device)


def _groups(model, labels, classes, reference, layers, memory) -> Iterator[list[int]]:
    """The labels in groups whose reference values, and images on their way through the network, fit into memory."""
    with torch.no_grad():
        values, _ = layer_values(model, reference.images[:1], layers)
    size = sum(value.numel() * value.element_size() for value in values.values())
    group, used = [], 0
    for label in labels:
        # an image on its way takes some twelve times its compared values: all layers, and what their gradients need
        needed = size * (int((reference.labels == label).sum()) + 12 * int((classes == label).sum()))
        if group and used + needed > memory:
            yield group
            group, used = [], 0
        group, used = [*group, label], used + needed
    yield group


def _checked_layers(model: nn.Module, layers: dict[str, float] | None) -> dict[str, float]:
    if not is_sequential(model):
        raise ValueError(f"the model must be an nn.Sequential, whose layers run in order, got {type(model).__name__}")
    children = dict(model.named_children())
    if layers is None:
        pools = (nn.MaxPool2d, nn.AvgPool2d)
        dense = [name for name, child in children.items() if isinstance(child, nn.Linear)][:-1]
        names = ["input", *(name for name, child in children.items() if isinstance(child, pools) or name in dense)]
        return dict(zip(names, torch.logspace(-5, -2, len(names)).tolist(), strict=True))
    for name in layers:
        if name != "input" and name not in children:
            raise ValueError(f"unknown layer {name!r}; the network has input, {', '.join(children)}")
    return layers


def _check(model, classes, reference, layers, confidence, steps, learning_rate, patience, memory) -> None:
    if len(reference) == 0:
        raise ValueError("reference must hold images to stay away from, it holds 0")
    check_batch(model, reference.images[:1])
    if not isinstance(classes, Tensor) or classes.dtype != torch.int64 or classes.ndim != 1 or len(classes) == 0:
        got = f"{classes.dtype} of shape {tuple(classes.shape)}" if isinstance(classes, Tensor) else repr(classes)
        raise ValueError(f"classes must be int64 of shape (N,), N at least 1, got {got}")
    with torch.no_grad():
        count = model(reference.images[:1]).shape[1]
    for label in classes.unique().tolist():
        if not 0 <= label < count:
            raise ValueError(f"classes must lie in 0..{count - 1}, got {label}")
        if not (reference.labels == label).any():
            raise ValueError(f"reference holds no image of class {label}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate!r}")
    for name, value in {"steps": steps, "patience": patience, "memory": memory}.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer from 1 up, got {value!r}")
