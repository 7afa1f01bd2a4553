"""Filters: the weights of a convolution, as images."""

from jaxtyping import Float
from torch import Tensor, nn

from labkit.core import check_counts
from labkit.layers import find_layer


def filters(
    model: nn.Module, layer: str, *, count: int = 4, channels: int = 8
) -> Float[Tensor, "filters channels h w"]:
    """The kernels of a convolution, one small image each.

    A kernel with one input channel is a grey image and one with three is a colour image, so all of them are given. One
    with more has no colours: of such a layer the first `channels` channels of the first `count` filters are given, each
    to be looked at on its own.

    Args:
        model: any network.
        layer: the name of a convolution, such as "conv1"; inside a block with dots, such as "block2.0.conv_dw".
        count: filters to give of a layer whose kernels have more than three input channels.
        channels: channels to give of each of them.

    Returns:
        (filters, channels, h, w), a copy of the weights: signed, in output per unit of input.

    Raises:
        ValueError: unknown layer (the message lists the known ones); a layer that is no convolution; count or channels
            below 1.

    Source:
        Krizhevsky, Sutskever and Hinton 2012, Figure 3; for deeper layers the assignment of EE6132 (IIT Madras).
    """
    found = find_layer(model, layer)
    if not isinstance(found, nn.Conv2d):
        convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
        raise ValueError(
            f"layer {layer!r} is a {type(found).__name__} and has no filters; "
            f"the network's convolutions: {', '.join(convolutions) or 'none'}"
        )
    check_counts(count=count, channels=channels)
    weights = found.weight.detach().clone()
    return weights if weights.shape[1] in (1, 3) else weights[:count, :channels]
