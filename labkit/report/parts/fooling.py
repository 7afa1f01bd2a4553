"""What fools it: accuracy against eps, the smallest change of each image, and whether the attack may be believed."""

import json
import math

import torch
from torch import Tensor

from labkit import plot
from labkit.attacks.minimum_norm import minimum_norm
from labkit.evaluation.audit import audit
from labkit.evaluation.intervals import wilson_interval
from labkit.report.drawing import median_of, pixels_of
from labkit.report.measuring import Figures, Found, Measured, Task, as_tensor, as_text
from labkit.report.methods import GRADIENT
from labkit.report.part import Part
from labkit.report.sections import Chart, Frames, Gallery, Section, Statement, Table, Tile, Words
from labkit.report.subject import Subject

CHAPTER = "15_a_small_push"
AUDIT = "18_a_network_that_resists"
STEPS = 10  # of PGD in each step of the bisection
LARGEST = 0.5  # distance that is looked for
TOLERANCE = 0.1  # where the bisection stops
AUDITED = 8  # images
POINTS = 24  # of the curve


def tasks(subject: Subject) -> list[Task]:
    right = subject.shown[(subject.predicted == subject.truth)[subject.shown].cpu()][: min(AUDITED, subject.batch_size)]
    at_once = min(4, subject.batch_size)
    passes = 6 * STEPS * GRADIENT
    nearest = Task("fooling-smallest", "smallest changes", smallest, subject.shown, passes, at_once=at_once, rank=3)
    signs = Task("fooling-audit", "the audit of the attack", audited, right, 240, rank=4)
    return [nearest, signs] if len(right) else [nearest]


def smallest(subject: Subject, chosen: Tensor) -> Figures:
    """The nearest adversarial example that PGD finds for each image.

    Returns:
        images (n, C, H, W), distances (n,) in pixel units, infinite where nothing was found, said (n,).
    """
    options = {"steps": STEPS, "tolerance": TOLERANCE, "largest": LARGEST, "batch_size": subject.batch_size}
    found = minimum_norm(subject.model, subject.images[chosen], subject.truth[chosen], **options)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        said = subject.model(found.images).argmax(1)
    return {"images": found.images, "distances": found.distances, "said": said}


def audited(subject: Subject, chosen: Tensor) -> Figures:
    """The audit at twice the median distance of a single step: the signs as text, and eps."""
    images, classes = subject.images[chosen], subject.truth[chosen]
    reached = minimum_norm(subject.model, images, classes, attack="fgsm", tolerance=0.3).distances
    eps = min(max(2 * reached.nan_to_num(posinf=1.0).median().item(), 1 / 255), 0.5)
    options = {"steps": 12, "restarts": 2, "queries": 60, "seed": subject.seed}
    found = audit(subject.model, images, classes, eps=eps, **options)  # pyright: ignore[reportArgumentType]
    signs = [[sign.name, sign.masked, sign.sentence] for sign in found.signs]
    return {"signs": as_tensor(json.dumps(signs)), "eps": torch.tensor([eps])}


def show(section: Section, subject: Subject, found: Found) -> None:
    for name, add in (("fooling-smallest", _add_distances), ("fooling-audit", _add_audit)):
        measured = found.get(name)
        if measured is None:
            section.problems.append("No image is classified correctly, so that there is nothing to audit.")
        elif measured.problem:
            section.problems.append(measured.problem)
        elif len(measured.chosen):
            add(section, subject, measured)


def _add_distances(section: Section, subject: Subject, measured: Measured) -> None:
    distances, count = measured.figures["distances"].double(), len(measured.chosen)
    right = distances[distances > 0]
    if not len(right):
        section.problems.append("It gets all of these images wrong without any change.")
        return
    median, (low, high) = median_of(right)
    words = (
        f"To turn half of the images that it classifies correctly into another class, a change of {_of_255(median)} of "
        "255 in each pixel is enough; that is what one attack finds, and another may need less."
    )
    if not math.isfinite(median):
        words = (
            f"Half of the images that it classifies correctly, or more, withstand every change of up to "
            f"{_of_255(LARGEST)} of 255 in each pixel that one attack tries."
        )
    if subject.labels is None:
        words = words.replace("the images that it classifies correctly", "the images")
    ends = f"{_of_255(low)} to {_of_255(high)}"
    statement = Statement(words, CHAPTER, f"{_of_255(median)} of 255", ends, len(right), headline=True)
    section.statements.append(statement)
    reached = right[right.isfinite()]
    most = min(1.1 * reached.max().item(), LARGEST) if len(reached) else LARGEST
    eps = torch.linspace(0, most, POINTS, dtype=torch.float64)
    left = (distances[None] > eps[:, None]).sum(1)
    ends = wilson_interval(left, torch.tensor(count))
    series = {"classified correctly": (left / count, *ends)}
    label = "eps: the largest change of a pixel, of 255"
    figure = plot.lines(255 * eps, series, xlabel=label, ylabel="still correct", percent=True)
    alt = (
        f"Accuracy against eps: {left[0]} of {count} images at 0, half of them at {_of_255(median)} of 255, then less."
    )
    section.blocks.append(Chart(figure, alt))
    section.blocks.append(_frames(subject, measured))


def _frames(subject: Subject, measured: Measured) -> Frames:
    """The images, what was added, and what came of it."""
    galleries: list[list[Tile]] = [[], [], []]
    figures = measured.figures
    columns = figures["images"], figures["distances"].tolist(), figures["said"].tolist()
    for index, changed, distance, said in zip(measured.chosen.tolist(), *columns, strict=True):
        image, label = subject.images[index].cpu(), subject.classes[int(subject.truth[index])]
        added = changed - image
        difference = 0.5 + added / (2 * added.abs().max()).clamp(min=1e-12)
        if not math.isfinite(distance):
            after = f"{label}\nnothing found"
        elif distance == 0:
            after = f"says {subject.classes[said]}\nwithout any change"
        else:
            after = f"says {subject.classes[said]}\nafter {_of_255(distance)} of 255"
        galleries[0].append(Tile(pixels_of(image), f"{label}\n{subject.files[index]}"))
        galleries[1].append(Tile(pixels_of(difference), f"{label}\n{_of_255(distance)} of 255"))
        galleries[2].append(Tile(pixels_of(changed), after, tone="bad" if math.isfinite(distance) else "good"))
    values = ["the images", "what was added, enlarged to full contrast", "what fools the network"]
    return Frames("shown", values, [Gallery(tiles) for tiles in galleries], start=2)


def _add_audit(section: Section, subject: Subject, measured: Measured) -> None:
    signs = json.loads(as_text(measured.figures["signs"]))
    masked = [name for name, is_masked, _ in signs if is_masked]
    eps = _of_255(measured.figures["eps"].item())
    if masked:
        words = (
            f"The audit finds {len(masked)} of {len(signs)} signs of masked gradients ({', '.join(masked)}): attacks "
            "fail here for the wrong reason, and the distances above are too large."
        )
    else:
        words = f"The audit finds none of {len(signs)} signs of masked gradients: the attack may be believed so far."
    figure = f"{len(masked)} of {len(signs)} signs at eps {eps} of 255"
    count = len(measured.chosen)
    one = Statement(words, AUDIT, figure, "", count, subject.seed, headline=bool(masked), alarm=bool(masked))
    section.statements.append(one)
    rows = [[name, "masked" if is_masked else "ok", sentence] for name, is_masked, sentence in signs]
    section.blocks.append(Words("What the audit looked at:"))
    section.blocks.append(Table(["sign", "verdict", "what was found"], rows, f"Audit at eps {eps} of 255", folded=True))


def _of_255(distance: float) -> str:
    if not math.isfinite(distance):
        return f"more than {255 * LARGEST:.0f}"
    return f"{255 * distance:.0f}" if 255 * distance >= 10 else f"{255 * distance:.2g}"


PART = Part("fooling", "What fools it", show, tasks)
