"""Layers by name: finding one, and running a network as far as it and no further."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from labkit.core import check_batch
from labkit.data import ImageSet


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """The layer of that name; layers inside a block have dots in theirs, such as "block2.0.conv_dw".

    Raises:
        ValueError: there is none; the message lists what there is, in the network or in the block that was named.
    """
    found, path = model, []
    for part in str(layer).split("."):
        known = dict(found.named_children())
        if part not in known:
            place = f"{'.'.join(path)!r} has" if path else "the network has"
            raise ValueError(f"unknown layer {layer!r}; {place} {', '.join(known) or 'no layers inside it'}")
        found = known[part]
        path.append(part)
    return found


def run_to(model: nn.Module, layer: str, images: Tensor) -> Tensor:
    """The output of a layer. What comes after it in an `nn.Sequential` is not run."""
    if not is_sequential(model):
        return _hooked(model, layer, images)
    first, _, rest = layer.partition(".")
    for name, child in model.named_children():
        if name == first:
            return run_to(child, rest, images) if rest else child(images)
        images = child(images)
    raise AssertionError(f"{layer!r} has not been looked up with find_layer")


def is_sequential(model: nn.Module) -> bool:
    """Whether a network runs its children one after the other, and nothing else."""
    return type(model).forward is nn.Sequential.forward


def _hooked(model: nn.Module, layer: str, images: Tensor) -> Tensor:
    """The output of a layer inside a block that is not a plain sequence."""
    caught = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    try:
        model(images)
    finally:
        hook.remove()
    if not caught:
        raise ValueError(f"layer {layer!r} is part of the network, but is not run")
    return caught[-1]


def layer_outputs(model: nn.Module, images: Tensor | ImageSet, layer: str, batch_size: int) -> Iterator[Tensor]:
    """The outputs of a layer, batch by batch, without gradients; no more than one batch is held at a time.

    Raises:
        ValueError: at once, and not at the first batch: bad images, model in training mode, unknown layer,
            batch_size < 1.
    """
    pixels = pixels_of(images)
    check_batch(model, pixels)
    find_layer(model, layer)
    check_batch_size(batch_size)
    return _outputs(model, pixels, layer, batch_size)


def _outputs(model: nn.Module, pixels: Tensor, layer: str, batch_size: int) -> Iterator[Tensor]:
    for batch in pixels.split(batch_size):
        with torch.no_grad():
            output = run_to(model, layer, batch)
        yield output


def pixels_of(images: Tensor | ImageSet) -> Tensor:
    """The images themselves, of a tensor or of an ImageSet."""
    return images.images if isinstance(images, ImageSet) else images


def check_batch_size(batch_size: int) -> None:
    """Refuse a batch of no images: raises ValueError unless batch_size is an integer from 1 up."""
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer from 1 up, got {batch_size!r}")
