"""Occlusion: hide one part of each image after another, and what the network says instead."""

from torch import Tensor

from labkit.plot import percent
from labkit.report.drawing import pixels_of, rate_of
from labkit.report.measuring import Found
from labkit.report.methods import windows
from labkit.report.part import Part
from labkit.report.sections import Gallery, Section, Statement, Tile, Words
from labkit.report.subject import Subject

CHAPTER = "08_occlusion"


def show(section: Section, subject: Subject, found: Found) -> None:
    measured = found.get("attribution-occlusion")
    if measured is None:
        section.problems.append("Occlusion is not among the methods of this report.")
        return
    if not len(measured.chosen):
        section.problems.append(measured.problem or "Occlusion was not measured.")
        return
    figures = measured.figures
    rows = list(zip(measured.chosen.tolist(), figures["probability"], figures["predicted"], strict=True))
    changed = sum(bool((said != subject.predicted[index].cpu()).any()) for index, _, said in rows)
    rate, interval = rate_of(changed, len(rows))
    (height, width), _ = windows(subject)
    words = (
        f"Hiding one patch of {height} × {width} pixels is enough to change what it says in {changed} of {len(rows)} "
        f"images, {rate}."
    )
    section.statements.append(Statement(words, CHAPTER, rate, interval, len(rows)))
    text = "Each image with the patch hidden that costs the predicted class most, and what the network says instead."
    section.blocks += [Words(text), Gallery([_tile(subject, *row) for row in rows])]


def _tile(subject: Subject, index: int, probability: Tensor, predicted: Tensor) -> Tile:
    (height, width), (down, across) = windows(subject)
    row, column = divmod(int(probability.argmin()), probability.shape[1])
    image = subject.images[index].clone()
    image[:, row * down : row * down + height, column * across : column * across + width] = subject.fill
    own, said = int(subject.predicted[index]), int(predicted[row, column])
    before, after = percent(float(subject.confidence[index])), percent(float(probability[row, column]))
    caption = f"{subject.classes[own]} {before} → {after}"
    if said != own:
        caption += f"\nsays {subject.classes[said]}"
    others = [int(each) for each in predicted.flatten().unique() if int(each) not in (own, said)]
    if others:
        caption += f"\nelsewhere: {', '.join(subject.classes[each] for each in others[:3])}"
    return Tile(pixels_of(image), caption, tone="bad" if said != own else "")


PART = Part("occlusion", "What it needs to see", show)
