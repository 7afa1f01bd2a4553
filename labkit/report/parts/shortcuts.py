"""Shortcuts: does one aspect of an image, such as a corner or a colour, decide alone what the network says?"""

import json

import torch
from torch import Tensor

from labkit.evaluation.shortcuts import FEWEST, find_shortcuts
from labkit.report.drawing import pixels_of
from labkit.report.measuring import Figures, Found, Task, as_tensor, as_text
from labkit.report.part import Part
from labkit.report.sections import Gallery, Section, Statement, Tile
from labkit.report.subject import Subject

CHAPTER = "20_your_own_network"
ASPECTS = 70  # that are tried, about
PAIRS = 25  # of images a class that try each of them
SHOWN = 6  # images of a finding


def tasks(subject: Subject) -> list[Task]:
    if subject.labels is None:
        return []
    enough = int((subject.labels.bincount() >= FEWEST).sum())
    passes = ASPECTS * PAIRS * max(enough, 1) / len(subject.images)
    return [Task("shortcuts", "the search for shortcuts", search, torch.arange(len(subject.images)), passes, rank=1)]


def search(subject: Subject, chosen: Tensor) -> Figures:
    """The findings of `find_shortcuts`, as text."""
    images, labels = subject.images[chosen], subject.truth[chosen]
    options = {"names": subject.classes, "batch_size": subject.batch_size, "seed": subject.seed}
    findings = find_shortcuts(subject.model, images, labels, **options)  # pyright: ignore[reportArgumentType]
    rows = [[f.kind, f.classes, f.where, f.effect, f.interval, f.sentence] for f in findings]
    return {"findings": as_tensor(json.dumps(rows))}


def show(section: Section, subject: Subject, found: Found) -> None:
    measured = found["shortcuts"]
    if measured.problem:
        section.problems.append(measured.problem)
    if not len(measured.chosen):
        return
    count, seed = len(measured.chosen), subject.seed
    findings = json.loads(as_text(measured.figures["findings"]))
    for kind, classes, where, effect, (low, high), sentence in findings:
        figure, ends = f"{100 * effect:.0f} points", f"{100 * low:.0f} to {100 * high:.0f} points"
        one = Statement(f"Shortcut: {sentence}", CHAPTER, figure, ends, count, seed, headline=True, alarm=True)
        section.statements.append(one)
        section.blocks.append(_examples(subject, kind, classes, where))
    if not findings:
        words = "No region, position, colour or texture decides alone what it says, as far as swaps can tell."
        section.statements.append(Statement(words, CHAPTER, "0 findings", "", count, seed))


def _examples(subject: Subject, kind: str, classes: list[int], where: list[int]) -> Gallery:
    """Images of the classes that a finding is about, the region marked by a frame."""
    own = torch.isin(subject.truth, torch.tensor(classes, device=subject.truth.device))
    tiles = []
    for index in own.nonzero()[:SHOWN, 0].tolist():
        pixels = pixels_of(subject.images[index])
        if kind == "region":
            top, left, height, width = where
            frame = torch.zeros(pixels.shape[:2], dtype=torch.bool)
            frame[top : top + height, left : left + width] = True
            frame[top + 1 : top + height - 1, left + 1 : left + width - 1] = False
            pixels[frame] = torch.tensor([230, 159, 0], dtype=torch.uint8)  # the palette's orange
        tiles.append(Tile(pixels, subject.classes[int(subject.truth[index])]))
    return Gallery(tiles, f"{kind.capitalize()}: images of the classes that it gives away")


PART = Part("shortcuts", "Shortcuts", show, tasks, needs_labels="Whether it takes a shortcut")
