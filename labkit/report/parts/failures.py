"""Failures: which classes it takes for which, and what the images that it gets wrong have in common."""

import math
from collections import Counter

from torch import Tensor

from labkit.evaluation.baselines import edges
from labkit.report.drawing import rate_of
from labkit.report.measuring import Found
from labkit.report.part import Part
from labkit.report.parts.predictions import tile
from labkit.report.sections import Gallery, Section, Statement, Table
from labkit.report.subject import Subject

CHAPTER = "04_training_cifar10"
GROUPS, EACH = 5, 8  # groups that are shown, and images of each
LEAST = 5  # images, right and wrong, below which nothing is said of what they have in common


def show(section: Section, subject: Subject, found: Found) -> None:
    wrong = subject.predicted != subject.truth
    count = int(wrong.sum())
    if not count:
        rate, interval = rate_of(0, len(wrong))
        words = f"It gets none of {len(wrong)} images wrong."
        section.statements.append(Statement(words, CHAPTER, rate, interval, len(wrong)))
        return
    indices = wrong.nonzero()[:, 0].tolist()
    groups = Counter((int(subject.truth[index]), int(subject.predicted[index])) for index in indices).most_common()
    (true, said), most = groups[0]
    rate, interval = rate_of(most, count)
    words = f"The most frequent mistake: {subject.classes[true]} taken for {subject.classes[said]}, {most} of {count}."
    if most == 1:
        words = f"No two of its {count} mistakes are of the same kind."
    section.statements.append(Statement(words, CHAPTER, rate, interval, count))
    section.statements += _in_common(subject, wrong)
    members: dict[tuple[int, int], list[int]] = {}
    for index in sorted(indices, key=lambda index: -float(subject.confidence[index])):
        members.setdefault((int(subject.truth[index]), int(subject.predicted[index])), []).append(index)
    own = [pair for pair, size in groups[:GROUPS] if size > 1]
    for true, said in own:
        some = members.pop((true, said))
        title = f"{subject.classes[true]} taken for {subject.classes[said]}: {len(some)}"
        section.blocks.append(Gallery([tile(subject, index) for index in some[:EACH]], title))
    if members:
        others = [index for some in members.values() for index in some]
        title = f"{'Other mistakes' if own else 'The mistakes'}, the surest first: {len(others)}"
        others.sort(key=lambda index: -float(subject.confidence[index]))
        section.blocks.append(Gallery([tile(subject, index) for index in others[:EACH]], title))
    if len(groups) > GROUPS:
        rows = [[f"{subject.classes[true]} → {subject.classes[said]}", str(size)] for (true, said), size in groups]
        section.blocks.append(Table(["taken for", "images"], rows, f"All {len(groups)} kinds of mistakes", folded=True))


def _in_common(subject: Subject, wrong: Tensor) -> list[Statement]:
    """What the images that it gets wrong are, compared with the others; only what chance does not explain."""
    found = []
    if min(int(wrong.sum()), int((~wrong).sum())) < LEAST:
        return found
    qualities = _qualities(subject)
    for (more, less), values in qualities.items():
        bad, good = values[wrong].cpu().double(), values[~wrong].cpu().double()
        difference, half = (bad.mean() - good.mean()).item(), _half_width(bad, good, len(qualities))
        if abs(difference) <= half:
            continue
        words = (
            f"The images that it gets wrong are {more if difference > 0 else less} than the others: {bad.mean():.2f} "
            f"against {good.mean():.2f}."
        )
        ends = f"{difference - half:+.2f} to {difference + half:+.2f}, for all {len(qualities)} comparisons together"
        found.append(Statement(words, CHAPTER, f"{difference:+.2f}", ends, len(wrong)))
    return found


def _qualities(subject: Subject) -> dict[tuple[str, str], Tensor]:
    """What can be said of an image without a network: (word for more, word for less) -> (N,)."""
    images = subject.images
    found = {
        ("brighter", "darker"): images.mean((1, 2, 3)),
        ("richer in contrast", "poorer in contrast"): images.mean(1).flatten(1).std(1),
        ("richer in edges", "poorer in edges"): edges(subject.model, images, subject.predicted).mean((1, 2)),
    }
    if images.shape[1] == 3:
        found["more colourful", "less colourful"] = (images.amax(1) - images.amin(1)).mean((1, 2))
    return found


def _half_width(some: Tensor, others: Tensor, comparisons: int) -> float:
    """Of the interval of a difference of means (Welch's), wide enough for all comparisons together (Bonferroni)."""
    from scipy.stats import t as students_t  # here: it takes half a second

    first, second = (each.var().item() / len(each) for each in (some, others))
    if first + second == 0:
        return math.inf
    freedom = (first + second) ** 2 / (first**2 / (len(some) - 1) + second**2 / (len(others) - 1))
    return float(students_t.ppf(1 - 0.025 / comparisons, freedom)) * math.sqrt(first + second)


PART = Part("failures", "Where it fails", show, needs_labels="What it gets wrong")
