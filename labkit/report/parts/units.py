"""What it looks for: the images that excite units of a layer, which images look alike to it, and ideal images."""

from functools import partial
from textwrap import shorten

import torch
from torch import Tensor, nn

from labkit import plot
from labkit.core import input_gradient
from labkit.features.clusters import clusters
from labkit.features.top_images import top_images
from labkit.images import gaussian_blur
from labkit.layers import layer_outputs, run
from labkit.report.drawing import pixels_of, rate_of
from labkit.report.measuring import Figures, Found, Measured, Task, as_tensor, as_text, in_a_sentence
from labkit.report.methods import GRADIENT
from labkit.report.part import Part
from labkit.report.sections import Chart, Gallery, Section, Statement, Tile, Words
from labkit.report.subject import UNITS, Subject
from labkit.synthesis.class_model import class_model
from labkit.training import predict

CHAPTER = "07_neurons_and_clusters"
IDEAL = "12_the_ideal_class"
TOP = 6  # images of a unit, and of a cluster; of a unit at most half of all, else they would tell nothing
MOST = 6  # clusters
FEWEST = 12  # images, below which clusters tell nothing
NAME = 28  # letters of a class in a legend
STEPS = 64  # of an ideal image
BLUR = 40  # the side of an image in standard deviations of the blur with which some begin
LOGIT = 10.0  # of a class that is named with certainty, about


def tasks(subject: Subject) -> list[Task]:
    everything = torch.arange(len(subject.images))
    frequent = subject.predicted.bincount().argsort(descending=True, stable=True)[:UNITS].cpu()
    frequent = frequent[[bool((subject.predicted == label).any()) for label in frequent.tolist()]]
    passes = STEPS * GRADIENT
    made = Task("units-classes", "images made for classes", class_images, frequent, passes, at_once=1, rank=5)
    if not subject.layer:
        return [made]
    places = torch.arange(min(UNITS, len(subject.images)))
    excite = Task("units-top", "the images that excite units most", top, everything, 1 + UNITS, rank=4)
    alike = Task("units-clusters", "clusters of images", grouped, everything, 1, rank=4)
    grown = Task("units-ideal", "images grown for units", unit_images, places, passes, at_once=1, rank=6)
    return [excite, *([alike] if len(everything) >= FEWEST else []), made, grown]


def top(subject: Subject, chosen: Tensor) -> Figures:
    """For each of the chosen units, the images that excite it most.

    Returns:
        indices (units, k), values (units, k), rectangles (units, k, 4), the whole image where it is not known what a
        unit sees; why (text), why it is not.
    """
    images, k = subject.images[chosen], min(TOP, -(-len(chosen) // 2))
    options = {"k": k, "batch_size": subject.batch_size}
    try:
        found = [top_images(subject.model, images, subject.layer, unit=unit, **options) for unit in subject.units]
    except Exception as error:  # torch.fx raises many kinds of errors on foreign networks
        outputs = layer_outputs(subject.model, images, subject.layer, subject.batch_size)
        peaks = torch.cat([output[:, subject.units].flatten(2).amax(2) for output in outputs])
        values, indices = peaks.T.topk(k)
        whole = torch.tensor([0, 0, *subject.image_size]).expand(len(subject.units), k, 4)
        return {"indices": indices, "values": values, "rectangles": whole, "why": as_tensor(in_a_sentence(error))}
    rows = {name: torch.stack([getattr(each, name) for each in found]) for name in ("indices", "values", "rectangles")}
    return {**rows, "why": as_tensor("")}


def grouped(subject: Subject, chosen: Tensor) -> Figures:
    """The images in clusters of similar activations: labels (N,), distances (N,), embedding (N, 2)."""
    k = min(MOST, max(len(chosen) // 4, 2))
    options = {"k": k, "seed": subject.seed, "batch_size": subject.batch_size}
    found = clusters(subject.model, subject.images[chosen], subject.layer, **options)  # pyright: ignore[reportArgumentType]
    return {"labels": found.labels, "distances": found.distances, "embedding": found.embedding}


class _Units(nn.Module):
    """A network whose logits are the mean activations of a layer's channels, of the size that logits have."""

    def __init__(self, subject: Subject):
        super().__init__()
        self.model, self.layer, self.size = subject.model, subject.layer, torch.ones(())
        with torch.no_grad():
            self.size = self(subject.images[: subject.batch_size]).abs().amax(0).clamp(min=1e-6) / LOGIT

    def forward(self, images: Tensor) -> Tensor:
        return run(self.model, images, [self.layer])[self.layer].mean((2, 3)) / self.size.to(images)


def class_images(subject: Subject, chosen: Tensor) -> Figures:
    """The image that the network finds most like each of these classes, (n, C, H, W)."""
    return _ideal(subject, subject.model, chosen)


def unit_images(subject: Subject, chosen: Tensor) -> Figures:
    """An image grown to excite each of these of the chosen units.

    Grey gives many a unit of a deep layer no gradient. Such a unit begins with a blurred copy of the image that excites
    it most.

    Returns:
        images (n, C, H, W), confidence (n,), blurred (n,), which of them began with such a copy.
    """
    units = torch.tensor([subject.units[place] for place in chosen.tolist() if place < len(subject.units)])
    units, excited = units.to(subject.images.device), _Units(subject).eval()
    begun = torch.full_like(subject.images[:1], 0.5).repeat(len(units), 1, 1, 1)
    silent = input_gradient(excited, begun, units).flatten(1).abs().amax(1) == 0
    if silent.any():
        best = predict(excited, subject.images, batch_size=subject.batch_size)[:, units[silent]].argmax(0)
        begun[silent] = gaussian_blur(subject.images[best], max(subject.image_size) / BLUR)
    return _ideal(subject, excited, units, start=begun) | {"blurred": silent}


def _ideal(subject: Subject, model: nn.Module, classes: Tensor, start: str | Tensor = "mean") -> Figures:
    channels, height, width = subject.images.shape[1:]
    find = partial(class_model, start=start, steps=STEPS, image_shape=(channels, height, width), seed=subject.seed)
    found = find(model, classes.to(subject.images.device))
    with torch.no_grad():
        return {"images": found, "confidence": subject.model(found.to(subject.images)).softmax(1).amax(1)}


def show(section: Section, subject: Subject, found: Found) -> None:
    if not subject.layer:
        section.problems.append(f"There are no units to look into: {subject.no_layer}.")
    layer = subject.layer.removeprefix("network.")
    for name, add in (
        ("units-top", _add_top),
        ("units-ideal", _add_units),
        ("units-classes", _add_classes),
        ("units-clusters", _add_clusters),
    ):
        measured = found.get(name)
        if measured is not None and measured.problem:
            section.problems.append(measured.problem)
        elif measured is not None and len(measured.chosen):
            add(section, subject, measured, layer)
    if subject.layer and "units-clusters" not in found:
        count = len(subject.images)
        section.problems.append(f"So few images ({count}) form no clusters that tell something; {FEWEST} or more may.")


def _add_top(section: Section, subject: Subject, measured: Measured, layer: str) -> None:
    figures = measured.figures
    if why := as_text(figures["why"]):
        section.problems.append(f"What the units see is not known ({why}), so that whole images are shown.")
    agree = 0
    for row, unit in enumerate(subject.units):
        indices = figures["indices"][row].tolist()
        said = [int(subject.truth[index]) for index in indices]
        agree += max(said.count(each) for each in said)
        tiles = []
        for index, value, box in zip(indices, figures["values"][row], figures["rectangles"][row].tolist(), strict=True):
            above, left, height, width = box
            label = subject.classes[int(subject.truth[index])]
            patch = subject.images[index][:, above : above + max(height, 1), left : left + max(width, 1)]
            tiles.append(Tile(pixels_of(patch), f"{label}\nactivation {value:.2g}"))
        section.blocks.append(Gallery(tiles, f"Unit {unit} of {layer!r}: what excites it most"))
    count = figures["indices"].numel()
    rate, interval = rate_of(agree, count)
    words = (
        f"The units of {layer!r} that differ most between the images: {rate} of the images that excite one most are of "
        "one class."
    )
    if len(subject.truth.unique()) > 1:
        section.statements.append(Statement(words, CHAPTER, rate, interval, count))


def _add_units(section: Section, subject: Subject, measured: Measured, layer: str) -> None:
    named = zip(measured.figures["images"], subject.units, measured.figures["blurred"], strict=False)
    begun = {False: "from grey", True: "from a blurred image"}
    tiles = [Tile(pixels_of(image), f"unit {unit}\n{begun[bool(blurred)]}") for image, unit, blurred in named]
    section.blocks.append(Gallery(tiles, f"Grown to excite units of {layer!r}"))


def _add_classes(section: Section, subject: Subject, measured: Measured, layer: str) -> None:
    sure = measured.figures["confidence"].tolist()
    rows = list(zip(measured.figures["images"], measured.chosen.tolist(), sure, strict=True))
    tiles = [Tile(pixels_of(image), f"{subject.classes[label]} {plot.percent(p)}") for image, label, p in rows]
    names = ", ".join(subject.classes[label] for _, label, _ in rows)
    least = plot.percent(min(sure))
    words = f"Images made from nothing to be as much as possible like {names}; confidence at least {least}."
    section.statements.append(Statement(words, IDEAL, least, "", len(rows), subject.seed))
    section.blocks.append(Gallery(tiles, "Made from nothing for the classes that it names most often"))


def _add_clusters(section: Section, subject: Subject, measured: Measured, layer: str) -> None:
    labels, distances = measured.figures["labels"], measured.figures["distances"]
    count = int(labels.amax()) + 1
    truth = subject.truth.cpu()
    members = [(labels == cluster).nonzero()[:, 0] for cluster in range(count)]
    main = [int(truth[each].bincount().argmax()) for each in members]
    agree = [int((truth[each] == own).sum()) for each, own in zip(members, main, strict=True)]
    rate, interval = rate_of(sum(agree), len(labels))
    words = f"To {layer!r} the images fall into {count} clusters; {rate} of them are of their cluster's main class."
    if len(subject.truth.unique()) > 1:
        section.statements.append(Statement(words, CHAPTER, rate, interval, len(labels), subject.seed))
    numbered = list(enumerate(zip(members, main, agree, strict=True), 1))
    names = {
        number: shorten(f"{number}, {count / len(each):.0%} {subject.classes[own]}", NAME, placeholder="…")
        for number, (each, own, count) in numbered
    }
    groups = {names[number]: each for number, (each, *_) in numbered}
    figure = plot.scatter(measured.figures["embedding"], groups, xlabel="the plane in which they differ most")
    section.blocks += [Words(f"The images as {layer!r} sees them:"), Chart(figure, words)]
    for number, (each, own, count) in numbered:
        nearest = each[distances[each].argsort(stable=True)][:TOP].tolist()
        tiles = [Tile(pixels_of(subject.images[i]), subject.classes[int(truth[i])]) for i in nearest]
        title = f"Cluster {number}: {len(each)} images, {count} of them {subject.classes[own]}; those at its centre"
        section.blocks.append(Gallery(tiles, title))


PART = Part("units", "What it looks for", show, tasks)
