"""What the network says of the images."""

from labkit.plot import percent
from labkit.report.drawing import mean_of, pixels_of, rate_of
from labkit.report.measuring import Found
from labkit.report.part import Part
from labkit.report.sections import Gallery, Section, Statement, Tile
from labkit.report.subject import Subject

CHAPTER = "04_training_cifar10"


def show(section: Section, subject: Subject, found: Found) -> None:
    count = len(subject.images)
    if subject.labels is not None:
        right = int((subject.predicted == subject.labels).sum())
        rate, interval = rate_of(right, count)
        words = f"It classifies {right:,} of {count:,} images correctly, {rate}."
        section.statements.append(Statement(words, CHAPTER, rate, interval, count, headline=True))
    mean, interval = mean_of(subject.confidence)
    words = f"Its mean confidence in what it says is {percent(mean)}."
    section.statements.append(Statement(words, CHAPTER, f"{mean:.2f}", interval, count))
    section.blocks.append(Gallery([tile(subject, index) for index in subject.shown.tolist()]))


def tile(subject: Subject, index: int) -> Tile:
    """An image with what the network says of it, and the truth where that is another."""
    said = f"{subject.classes[int(subject.predicted[index])]} {percent(float(subject.confidence[index]))}"
    tone, label = "", ""
    if subject.labels is not None:
        right = bool(subject.predicted[index] == subject.labels[index])
        tone = "good" if right else "bad"
        said = f"{'✓' if right else '✗'} {said}"
        label = "" if right else f"\ntrue: {subject.classes[int(subject.labels[index])]}"
    return Tile(pixels_of(subject.images[index]), f"{said}{label}\n{subject.files[index]}", tone=tone)


PART = Part("predictions", "What it says", show)
