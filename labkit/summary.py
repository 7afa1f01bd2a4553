"""A network as a table: output shape, parameters and neurons of every layer."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.layers import run
from labkit.models import check_image_shape


@dataclass(frozen=True)
class Row:
    """One layer of a network's table. Neurons are the outputs of layers that compute weighted sums."""

    name: str
    layer: str
    output: tuple[int, ...]  # without the batch axis
    parameters: int
    neurons: int

    @property
    def parameters_per_neuron(self) -> float:
        return self.parameters / self.neurons if self.neurons else 0.0


@dataclass(frozen=True)
class Summary:
    """A network as a table, one row a layer in the order in which they run."""

    rows: tuple[Row, ...]
    parameters: int  # of the whole network, those that layers share counted once

    @property
    def neurons(self) -> int:
        return sum(row.neurons for row in self.rows)

    @property
    def stages(self) -> dict[str, tuple[int, ...]]:
        """Name -> output shape of the layers that a picture of the network shows, as ``plot.architecture`` takes it."""
        return {row.name: row.output for row in self.rows if row.parameters or "Pool" in row.layer}

    def cells(self) -> list[tuple[str, ...]]:
        """The table as text: a header, one line a layer, the totals."""
        lines = [("name", "layer", "output", "parameters", "neurons", "parameters / neuron")]
        for row in self.rows:
            each = f"{row.parameters_per_neuron:,.2f}" if row.neurons else ""
            output = " × ".join(map(str, row.output))
            lines.append((row.name, row.layer, output, f"{row.parameters:,}", f"{row.neurons:,}", each))
        return [*lines, ("total", "", "", f"{self.parameters:,}", f"{self.neurons:,}", "")]

    def __str__(self) -> str:
        lines = self.cells()
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        align = [str.ljust, str.ljust, str.ljust, str.rjust, str.rjust, str.rjust]
        return "\n".join(
            "  ".join(pad(cell, width) for pad, cell, width in zip(align, line, widths, strict=True)).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        header, *body = self.cells()
        head = "".join(f"<th>{cell}</th>" for cell in header)
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in body)
        return f'<table class="network-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def summary(model: nn.Module, image_shape: tuple[int, int, int]) -> Summary:
    """Output shape, parameters and neurons of every layer, measured by sending one blank image through.

    Args:
        model: any network; its mode and weights are left as they are.
        image_shape: (C, H, W) of one image.

    Raises:
        ValueError: image_shape is not three positive integers, or the model cannot take such an image.
    """
    check_image_shape(image_shape)
    modes = {module: module.training for module in model.modules()}
    reference = next(model.parameters(), torch.zeros(()))
    blank = torch.zeros(1, *image_shape, dtype=reference.dtype, device=reference.device)
    try:
        with torch.no_grad():
            outputs = run(model.eval(), blank)
    except RuntimeError as error:
        raise ValueError(f"the network cannot take an image of shape {tuple(image_shape)}: {error}") from error
    finally:
        for module, training in modes.items():
            module.training = training
    modules = dict(model.named_modules(remove_duplicate=False))
    leaves = {name: output for name, output in outputs.items() if not any(modules[name].children())}
    return Summary(tuple(_row(name, modules[name], output) for name, output in leaves.items()), _parameters(model))


def _row(name: str, layer: nn.Module, output: Tensor) -> Row:
    neurons = output[0].numel() if isinstance(layer, nn.Conv2d | nn.Linear) else 0
    return Row(name, type(layer).__name__, tuple(output.shape[1:]), _parameters(layer), neurons)


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
