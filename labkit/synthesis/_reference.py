"""What the images that a search keeps away from look like to a network, layer by layer."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from labkit.data import ImageSet
from labkit.layers import layer_values


class Reference:
    """What the reference images of one label look like to the compared layers, and which is nearest."""

    def __init__(self, model: nn.Module, reference: ImageSet, label: int, layers: Iterable[str], per_neuron: bool):
        images, dense = reference.images[reference.labels == label], set()
        self.values: dict[str, Tensor] = {}  # (R, D), filled in place: a list of parts, joined, would be held twice
        self.squares: dict[str, Tensor] = {}  # (R,)
        with torch.no_grad():
            for rows in torch.arange(len(images)).split(250):
                values, _ = layer_values(model, images[rows], layers)
                dense = {name for name, value in values.items() if value.ndim == 2}
                for name, value in values.items():
                    flat = value.flatten(1)
                    if name not in self.values:
                        self.values[name] = flat.new_empty(len(images), flat.shape[1])
                        self.squares[name] = flat.new_empty(len(images))
                    self.values[name][rows] = flat
                    self.squares[name][rows] = flat.square().sum(1)
        self.per_neuron = dense if per_neuron else set()
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


def groups_in_memory(
    model: nn.Module, labels: list[int], classes: Tensor, reference: ImageSet, layers: Iterable[str], memory: int
) -> Iterator[list[int]]:
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
