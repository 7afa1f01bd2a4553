"""What is under the microscope: a network, images, and how much of everything is measured."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_batch, check_choice, check_classes, check_counts
from labkit.evaluation.randomisation import randomised
from labkit.layers import find_layer, layer_outputs, run
from labkit.report.networks import behind, inner

OTHER = 7919  # added to the seed where a network may have been initialised with the seed itself
UNITS = 4  # that are looked into
METHODS = ("saliency", "smoothgrad", "integrated_gradients", "grad_cam", "guided_backprop", "occlusion")


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, its images and labels, and the options of a report.

    Attributes:
        name: of the network, as the page says it.
        model: images (N, C, H, W) with pixels in [0, 1] -> logits (N, K), in eval mode.
        images: (N, C, H, W), with the model's dtype and on its device.
        labels: (N,) int64; None where they are unknown.
        classes: K names.
        files: N names of the images.
        logits: (N, K), what the network says of the images.
        layer: the layer that is looked into; "" where no layer has maps.
        no_layer: why there is none.
        methods: the attribution methods to compare.
        examples: how many of the images are looked at one by one.
        batch_size: images that are in memory at once.
        seed: fixes every random choice.
    """

    name: str
    model: nn.Module
    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"] | None
    classes: tuple[str, ...]
    files: tuple[str, ...]
    logits: Float[Tensor, "n k"]
    layer: str
    no_layer: str
    methods: tuple[str, ...]
    examples: int
    batch_size: int
    seed: int

    @cached_property
    def predicted(self) -> Int64[Tensor, " n"]:
        return self.logits.argmax(1)

    @cached_property
    def confidence(self) -> Float[Tensor, " n"]:
        return self.logits.softmax(1).amax(1)

    @cached_property
    def truth(self) -> Int64[Tensor, " n"]:
        """The labels; where there are none, what the network says."""
        return self.predicted if self.labels is None else self.labels

    @cached_property
    def shown(self) -> Int64[Tensor, " m"]:
        """The images that are looked at one by one: spread evenly over all of them."""
        count = min(self.examples, len(self.images))
        return torch.arange(count) * len(self.images) // count

    @cached_property
    def fill(self) -> float:
        """What replaces a pixel that is taken away: the mean of all pixels."""
        return self.images.mean().item()

    @cached_property
    def forgetful(self) -> nn.Module:
        """The network with all of its layers as before their training.

        Raises:
            ValueError: they cannot be set back.
        """
        normalize, network = inner(self.model)
        *_, (_, random) = randomised(network, seed=self.seed + OTHER)
        pairs = zip(network.parameters(), random.parameters(), strict=True)
        kept = [torch.equal(one, other) for one, other in pairs if one.ndim > 1]
        if sum(kept) > len(kept) / 2:
            raise ValueError(
                f"{sum(kept)} of the network's {len(kept)} weight matrices cannot be set back to random ones"
            )
        return behind(normalize, random)

    @cached_property
    def units(self) -> list[int]:
        """The channels of the layer that are looked into: those whose largest activation differs most over the images.

        Raises:
            ValueError: there is no layer with maps.
        """
        if not self.layer:
            raise ValueError(f"There are no units to look into: {self.no_layer}")
        outputs = layer_outputs(self.model, self.images, self.layer, self.batch_size)
        peaks = torch.cat([output.flatten(2).amax(2) for output in outputs])
        return peaks.std(0, correction=0).topk(min(UNITS, peaks.shape[1])).indices.tolist()

    @property
    def image_size(self) -> tuple[int, int]:
        return self.images.shape[2], self.images.shape[3]

    def key(self) -> str:
        """Digest of all that what is measured depends on, and how it is cut into units."""
        options = (self.layer, self.examples, self.batch_size, self.seed, self.classes, version("labkit"))
        digest = hashlib.sha256(f"{self.model}\0{options}".encode())
        tensors = [*self.model.state_dict().values(), self.images, self.truth]
        for tensor in tensors:
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


def subject_of(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    *,
    name: str,
    classes: Sequence[str],
    files: Sequence[str],
    layer: str | None,
    methods: Sequence[str],
    examples: int,
    batch_size: int,
    seed: int,
) -> Subject:
    """What is put under the microscope, after all checks.

    Raises:
        ValueError: whatever a report cannot be made of, in one sentence.
    """
    check_counts(examples=examples, batch_size=batch_size)
    for method in methods:
        check_choice(METHODS, methods=method)
    check_weights(model)
    weight = next((each for each in model.parameters() if each.is_floating_point()), None)
    if weight is not None and isinstance(images, Tensor) and images.is_floating_point():
        images = images.to(weight)
        labels = None if labels is None else labels.to(weight.device)
    check_batch(model, images, labels)
    logits = _logits(model, images, batch_size)
    count = logits.shape[1]
    if len(classes) not in (0, count):
        raise ValueError(f"the network has {count} classes, got {len(classes)} names of classes")
    if labels is not None:
        check_classes(labels, len(images))
        if labels.amax() >= count:
            raise ValueError(f"the network has {count} classes, got the label {labels.amax().item()}")
    if len(files) not in (0, len(images)):
        raise ValueError(f"files must name all {len(images)} images, got {len(files)} names")
    found, why = _chosen_layer(model, images[:1], layer)
    return Subject(
        name=name,
        model=model,
        images=images,
        labels=labels,
        classes=tuple(classes) or tuple(f"class {index}" for index in range(count)),
        files=tuple(files) or tuple(f"image {index + 1}" for index in range(len(images))),
        logits=logits,
        layer=found,
        no_layer=why,
        methods=tuple(dict.fromkeys(methods)),
        examples=examples,
        batch_size=batch_size,
        seed=seed,
    )


def check_weights(model: nn.Module) -> None:
    """Refuse a network whose weights are not all finite."""
    for name, tensor in model.state_dict().items():
        wrong = (~tensor.isfinite()).sum().item() if isinstance(tensor, Tensor) and tensor.is_floating_point() else 0
        if wrong:
            raise ValueError(f"the network's weights must be finite, got {wrong} numbers in {name!r} that are not")


@torch.no_grad()
def _logits(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    try:
        parts = [model(batch) for batch in images.split(batch_size)]
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"the network cannot take images of shape {tuple(images.shape[1:])}: {reason}") from error
    first = parts[0]
    if not isinstance(first, Tensor) or first.ndim != 2 or first.shape[1] < 2:
        shape = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
        raise ValueError(f"the network must return logits (N, K) of at least 2 classes, got {shape}")
    logits = torch.cat(parts)
    if not logits.isfinite().all():
        raise ValueError("the network's logits must be finite, and for these images some are not")
    return logits


@torch.no_grad()
def _chosen_layer(model: nn.Module, image: Tensor, wanted: str | None) -> tuple[str, str]:
    """The layer to look into: the one that is wanted, or the last with maps; or why there is none."""
    normalize, _ = inner(model)
    if wanted is not None:
        layer = f"network.{wanted}" if normalize is not None and not wanted.startswith("network.") else wanted
        find_layer(model, layer)
        return layer, ""
    outputs = {name: out for name, out in run(model, image).items() if name and isinstance(out, Tensor)}
    names = list(outputs)
    maps = [name for name in names if outputs[name].ndim == 4 and outputs[name].shape[2:].numel() > 1]
    maps = [name for name in maps if "normalize" not in name]
    if not maps:
        return "", "the network has no layer with maps, such as a convolution's"
    tokens = [name for name in names if outputs[name].ndim == 3]
    if len(tokens) > len(maps):
        before = [name for name in maps if names.index(name) < names.index(tokens[0])]
        start = before[-1].removeprefix("network.") if before else "its input"
        shape = "(N, {}, {})".format(*outputs[tokens[0]].shape[1:])
        return "", f"from {start!r} on, the network is a grid of tokens {shape}, not maps"
    return maps[-1], ""
