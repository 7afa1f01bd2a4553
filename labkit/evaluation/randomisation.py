"""Cascading randomisation: does a map notice when the network forgets, layer by layer, what it has learnt?"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_batch, importance


@dataclass(frozen=True)
class Cascade:
    """A method's maps as the network is randomised from the top.

    Attributes:
        layers: the lowest layer that is random at each stage but the first, from the last layer down.
        maps: (stages, N, H, W), importances: of the trained network, then after each of the layers.
        correlations: (stages, N), each map's rank correlation with that of the trained network; 1 at the first.
    """

    layers: tuple[str, ...]
    maps: Float[Tensor, "stages n h w"]
    correlations: Float[Tensor, "stages n"]


def cascade(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    method: Callable[..., Tensor],
    *,
    seed: int = 0,
) -> Cascade:
    """Cascading randomisation: a method's maps, and their correlation with the first, as more layers are randomised.

    The layers are the network's children that have weights; batch norms are randomised with the layer below them, and
    parameters of the network's own with the lowest. Each gets weights as before its training; where a module has no way
    to make such (`reset_parameters`), its own are shuffled. The model itself is left as it is.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode, with its layers as children.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image, the same at every stage.
        method: (model, images, classes) -> maps, read as in `importance`; give it options by functools.partial.
        seed: fixes the random weights.

    Returns:
        The maps at every stage, and how well each agrees with that of the trained network.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; no layers with weights.

    Source:
        Adebayo et al. 2018, arXiv:1810.03292.
    """
    check_batch(model, images, classes)
    maps = [importance(method(model, images, classes), images)]
    layers = []
    for name, network in randomised(model, seed=seed):
        layers.append(name)
        maps.append(importance(method(network, images, classes), images))
    correlations = torch.stack([rank_correlation(maps[0], later) for later in maps])
    return Cascade(tuple(layers), torch.stack(maps), correlations)


def randomised(model: nn.Module, *, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a network, with ever more layers as before their training: the last one, the last two, ..., all.

    Yields:
        The name of the lowest random layer, and the network.

    Raises:
        ValueError: the network has no children with weights.
    """
    home = next((weight.device for weight in model.parameters()), None)
    network, random = copy.deepcopy(model).cpu(), torch.Generator().manual_seed(seed).get_state()
    children = [(name, child) for name, child in network.named_children() if list(child.parameters())]
    if not children:
        raise ValueError("cascading randomisation needs a network with layers as children, found none with weights")
    lowest = children[0][0]
    for name, child in reversed(children):
        with torch.random.fork_rng(devices=[]):  # reset_parameters draws from the global generator only
            torch.set_rng_state(random)
            for module in [*child.modules(), *([network] if name == lowest else [])]:
                _forget(module)
            random = torch.get_rng_state()
        if name == lowest or not isinstance(child, nn.modules.batchnorm._NormBase):
            yield name, copy.deepcopy(network).to(home)


@torch.no_grad()
def _forget(module: nn.Module) -> None:
    """Give a module weights as before its training; where it has no way to make them, shuffle its own."""
    for reset in ("reset_parameters", "_reset_parameters"):  # the latter is that of attention
        if callable(way := getattr(module, reset, None)):
            way()
            return
    for weights in module.parameters(recurse=False):
        weights.copy_(weights.flatten()[torch.randperm(weights.numel())].view_as(weights))


def rank_correlation(maps: Float[Tensor, "n h w"], others: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Spearman's correlation of each map (N, H, W) with its counterpart, (N,); 0 where a map is the same all over."""
    ranks = [_mean_ranks(values.flatten(1)) for values in (maps, others)]
    first, second = (rank - rank.mean(1, keepdim=True) for rank in ranks)
    scale = first.norm(dim=1) * second.norm(dim=1)
    return torch.where(scale > 0, (first * second).sum(1) / scale, 0).float()


def _mean_ranks(flat: Tensor) -> Tensor:
    """How many values of its row (N, M) each one exceeds, equal ones counted by half."""
    ordered, flat = flat.sort(1).values, flat.contiguous()
    return (torch.searchsorted(ordered, flat) + torch.searchsorted(ordered, flat, right=True)).double() / 2
