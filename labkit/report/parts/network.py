"""The network itself: its table, a drawing, and what its layers see."""

import torch
from torch import nn

from labkit import plot
from labkit.features.receptive_field import receptive_field
from labkit.layers import children_of, is_pointwise, run
from labkit.report.measuring import Found, in_a_sentence
from labkit.report.networks import inner
from labkit.report.part import Part
from labkit.report.sections import Chart, Section, Statement, Table
from labkit.report.subject import Subject
from labkit.summary import summary

CHAPTER = "02_network_as_a_table"
STAGES = 6  # in the drawing


def show(section: Section, subject: Subject, found: Found) -> None:
    channels, height, width = shape = subject.images.shape[1:]
    table = summary(subject.model, (channels, height, width))
    header, *rows, total = [[name.removeprefix("network."), *rest] for name, *rest in table.cells()]
    shown = " × ".join(map(str, shape))
    count = table.parameters
    layers = f"{sum(row.parameters > 0 for row in table.rows)} of its {len(rows)} layers"
    listed = sum(row.parameters for row in table.rows)
    among = f", {listed:,} of them" if listed < count else ""
    section.statements += [
        Statement(
            f"{subject.name} maps images of {shown} to {len(subject.classes):,} classes with "
            f"{count:,} parameters{among} in {layers}.",
            CHAPTER,
            f"{count:,} parameters",
            images=1,
        )
    ]
    stages = _stages(subject)
    if len(stages) >= 2:
        drawn = {name.removeprefix("network.")[-10:]: size for name, size in stages.items()}
        words = ", ".join(f"{name} {' × '.join(map(str, size))}" for name, size in drawn.items())
        if len(drawn) == len(stages):
            section.blocks.append(Chart(plot.architecture(drawn), f"The network from left to right: {words}."))
    fields, why = _fields(subject, [name for name, size in stages.items() if len(size) == 3])
    if fields:
        last, (tall, wide) = list(fields.items())[-1]
        section.statements.append(
            Statement(
                f"A unit in the middle of {last.removeprefix('network.')!r} sees {tall} × {wide} pixels of the "
                f"image's {height} × {width}.",
                CHAPTER,
                f"{tall} × {wide} pixels",
                images=1,
            )
        )
        lines = [[name.removeprefix("network."), f"{h} × {w}"] for name, (h, w) in fields.items()]
        section.blocks.append(Table(["layer", "a unit sees (pixels)"], lines, "Receptive fields"))
    if why:
        section.problems.append(f"Receptive fields: {why}")
    section.blocks.append(Table(header, [*rows, total], f"All {len(rows)} layers", folded=True))


@torch.no_grad()
def _stages(subject: Subject) -> dict[str, tuple[int, ...]]:
    """Name -> output shape of some of the network's largest parts, in the order in which they run."""
    normalize, network = inner(subject.model)
    start = "" if normalize is None else "network."
    children = [name for name, child in children_of(network).items() if not is_pointwise(child)]
    while len(children) < 3 and len(inside := _inside(network, children)) > len(children):
        children = inside
    outputs = run(subject.model, subject.images[:1])
    sizes = {start + name: outputs.get(start + name) for name in children}
    shapes = {
        name: tuple(out.shape[1:])
        for name, out in sizes.items()
        if isinstance(out, torch.Tensor) and out.ndim in (2, 4) and name != "normalize"
    }
    places = [round(place) for place in torch.linspace(0, len(shapes) - 1, min(STAGES, len(shapes))).tolist()]
    return {name: size for index, (name, size) in enumerate(shapes.items()) if index in places}


def _inside(network: nn.Module, names: list[str]) -> list[str]:
    """The parts of these parts that compute something."""
    found = []
    for name in names:
        children = children_of(network.get_submodule(name))
        parts = [f"{name}.{part}" for part, child in children.items() if not is_pointwise(child)]
        found += parts or [name]
    return found


def _fields(subject: Subject, layers: list[str]) -> tuple[dict[str, tuple[int, int]], str]:
    """Height and width of what a unit in the middle of each layer sees; and why that is unknown."""
    found: dict[str, tuple[int, int]] = {}
    for layer in layers:
        try:
            with torch.no_grad():
                size = run(subject.model, subject.images[:1], [layer])[layer].shape[2:]
            unit = (size[0] // 2, size[1] // 2)
            box = receptive_field(subject.model, layer, unit=unit, image_size=subject.image_size)
        except Exception as error:  # torch.fx raises many kinds of errors on foreign networks
            return found, in_a_sentence(error)
        found[layer] = (int(box[2]), int(box[3]))
    return found, ""


PART = Part("network", "The network", show)
