"""Nearest distances: how far images are from the nearest one of a reference set, layer by layer."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_classes, check_counts, check_eval
from labkit.data import ImageSet
from labkit.layers import layer_values


def nearest_distances(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    reference: ImageSet,
    layers: Sequence[str],
    batch_size: int = 250,
) -> dict[str, Float[Tensor, " n"]]:
    """How far each image is from the nearest reference image of its class, at several layers.

    Args:
        model: an `nn.Sequential`, images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), any real pixels.
        classes: (N,) int64, whose reference images count.
        reference: at least one image of each of the classes. They are streamed, one batch at a time.
        layers: names of layers; "input" is the image.
        batch_size: reference images to compare with at a time.

    Returns:
        name -> (N,), the root of the mean squared difference over all numbers of the layer.

    Raises:
        ValueError: classes of another dtype or number; model in training mode; an unknown layer; a class without a
            reference image; batch_size < 1.
    """
    check_eval(model)
    check_classes(classes, len(images))
    check_counts(batch_size=batch_size)
    with torch.no_grad():
        own = {name: value.flatten(1) for name, value in layer_values(model, images, layers)[0].items()}
        found = {name: torch.full_like(value[:, 0], torch.inf) for name, value in own.items()}
        for label in classes.unique().tolist():
            mine, members = classes == label, reference.images[reference.labels == label]
            if not len(members):
                raise ValueError(f"reference holds no image of class {label}")
            for batch in members.split(batch_size):
                for name, value in layer_values(model, batch, layers)[0].items():
                    ours, theirs = own[name][mine], value.flatten(1)
                    nearest = theirs[torch.cdist(ours, theirs).argmin(1)]  # which is rounded; the distance is not
                    found[name][mine] = found[name][mine].minimum((ours - nearest).square().mean(1).sqrt())
    return found
