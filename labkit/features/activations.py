"""Activations: what each layer of a network makes of an image."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from labkit.core import check_batch, check_counts
from labkit.data import ImageSet
from labkit.layers import is_sequential, layer_outputs, pixels_of, run


def activations(
    model: nn.Module,
    images: Float[Tensor, "n c h w"] | ImageSet,
    layer: str,
    *,
    channel_mean: bool = False,
    batch_size: int = 100,
) -> Float[Tensor, "n ..."]:
    """The outputs of one layer for each image. Layers after it are not run.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], or an ImageSet.
        layer: its name, such as "conv1"; inside a block with dots, such as "block2.0.conv_dw".
        channel_mean: average over the layer's channels.
        batch_size: images that are run at a time.

    Returns:
        (N, channels, h, w), or (N, units) for a dense layer; with channel_mean (N, h, w).

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; unknown layer (the message lists the known ones);
            channel_mean of a layer that has no maps; batch_size < 1.

    Source:
        Zeiler and Fergus 2013, arXiv:1311.2901.
    """
    outputs = layer_outputs(model, images, layer, batch_size)
    if channel_mean:
        outputs = (_mean_map(output, layer) for output in outputs)
    return torch.cat(list(outputs))


def all_activations(
    model: nn.Module, images: Float[Tensor, "n c h w"] | ImageSet, *, channel_mean: bool = False, batch_size: int = 100
) -> dict[str, Float[Tensor, "n ..."]]:
    """The outputs of every layer, from a single pass through the network.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode. The layers of an nn.Sequential are its children,
            blocks as a whole; those of any other module are the modules that hold no others, at whatever depth.
        images: (N, C, H, W), pixels in [0, 1], or an ImageSet.
        channel_mean: average each layer over its channels, and leave out layers that have no maps.
        batch_size: images that are run at a time.

    Returns:
        Name -> outputs as `activations` gives them, in the order in which the layers run. A layer that is not run is
        left out; of one that runs several times, the last output is given. All of them are held at once, which is much
        for many images: 0.9 MB an image for the CIFAR-10 network.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; batch_size < 1.
    """
    pixels = pixels_of(images)
    check_batch(model, pixels)
    check_counts(batch_size=batch_size)
    modules = dict(model.named_modules(remove_duplicate=False))
    if is_sequential(model):
        layers = {name for name in modules if name and "." not in name}
    else:
        layers = {name for name, module in modules.items() if not any(module.children())}
    found: dict[str, list[Tensor]] = {}
    for batch in pixels.split(batch_size):
        with torch.no_grad():
            outputs = run(model, batch, layers if is_sequential(model) else None)
        for name, output in outputs.items():
            if name not in layers or (channel_mean and output.ndim != 4):
                continue
            found.setdefault(name, []).append(_mean_map(output, name) if channel_mean else output)
    return {name: torch.cat(parts) for name, parts in found.items()}


def dead_channels(
    model: nn.Module, images: Float[Tensor, "n c h w"] | ImageSet, layer: str, *, batch_size: int = 100
) -> Bool[Tensor, " channels"]:
    """Which channels (or units of a dense layer) of a layer are zero at every position of every image.

    Ask for the output of a ReLU: only there does zero mean that nothing was found.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], or an ImageSet; a whole set will do, one batch is held at a time.
        layer: its name, as for `activations`.
        batch_size: images that are run at a time.

    Returns:
        (channels,) bool; its sum counts the dead ones.

    Raises:
        ValueError: as `activations`.
    """
    alive = torch.zeros((), dtype=torch.bool)
    for output in layer_outputs(model, images, layer, batch_size):
        alive = alive.to(output.device) | (output != 0).transpose(0, 1).flatten(1).any(1)
    return ~alive


def _mean_map(output: Tensor, layer: str) -> Tensor:
    if output.ndim != 4:
        raise ValueError(f"layer {layer!r} has no maps to average: its output has shape {tuple(output.shape)}")
    return output.mean(1)
