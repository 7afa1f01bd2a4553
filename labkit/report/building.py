"""A report: everything measured, then shown as one page."""

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import Progress, check_positive
from labkit.files import write_bytes
from labkit.report.cluster import on_cluster
from labkit.report.measuring import Found, here, measure_all
from labkit.report.page import render
from labkit.report.part import Part
from labkit.report.parts import (
    attribution,
    calibration,
    failures,
    fooling,
    network,
    occlusion,
    predictions,
    shortcuts,
    units,
)
from labkit.report.sections import Section
from labkit.report.subject import METHODS, Subject, subject_of

PARTS: tuple[Part, ...] = tuple(  # in the order of the page
    each.PART
    for each in (
        *(shortcuts, predictions, calibration, failures, attribution, occlusion),
        *(units, fooling, network),
    )
)


@dataclass(frozen=True, eq=False)
class Report:
    """What was found; it shows itself in a notebook.

    Attributes:
        subject: the network, the images and the options.
        found: by the name of each task, what it measured: tensors.
        sections: what the page shows of it.
        seconds: how long it took.
        passes: how many forward passes were run for it.
        book: the address of the built book, "" if it is not known.
    """

    subject: Subject
    found: Found
    sections: list[Section]
    seconds: float
    passes: float
    book: str = ""

    @property
    def html(self) -> str:
        """The page: one file that needs no other and no network."""
        return render(self.subject, self.sections, self.seconds, self.passes, self.book)

    @property
    def complete(self) -> bool:
        """Whether the budget left nothing out."""
        return not any(each.missing for each in self.found.values())

    def save(self, path: Path | str) -> Path:
        """Write the page, whole or not at all."""
        write_bytes(path, self.html.encode())
        return Path(path)

    def _repr_html_(self) -> str:
        frame = 'style="width:100%;height:80vh;border:1px solid #b5b5b5" title="report"'
        return f'<iframe {frame} srcdoc="{html.escape(self.html)}"></iframe>'


def report(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"] | None = None,
    *,
    name: str = "the network",
    classes: Sequence[str] = (),
    files: Sequence[str] = (),
    layer: str | None = None,
    methods: Sequence[str] = METHODS,
    examples: int = 16,
    batch_size: int = 32,
    budget: float | None = None,
    scheduler: str | None = None,
    folder: Path | str | None = None,
    book: str = "",
    seed: int = 0,
    progress: Progress = iter,
) -> Report:
    """Put a network under the microscope: what it says, where it looks, which map to trust, what fools it.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1]. They are given the dtype and the device of the weights.
        labels: (N,) int64, the true classes; without them, nothing is said about mistakes.
        name: what the page calls the network.
        classes: names of the K classes; by default their numbers.
        files: names of the images; by default their numbers.
        layer: the layer to look into; by default the last one with maps.
        methods: the attribution methods to compare.
        examples: how many images, spread evenly over all, are looked at one by one.
        batch_size: images that are in memory at once.
        budget: seconds; what is less telling is left out, and the page says so.
        scheduler: the address of a Dask cluster that measures, such as "tcp://host:8786"; the result is the same.
        folder: where to keep what is measured, so that a report that was killed goes on from there.
        book: the address of the built book, for links to its chapters.
        seed: fixes every random choice.
        progress: wraps the loop over forward passes, e.g. ``tqdm``; silent by default.

    Returns:
        A Report; `save` writes it as a page.

    Raises:
        ValueError: no images, pixels outside [0, 1], a model in training mode, weights that are not finite, labels or
            names that do not fit its classes, an unknown layer or method, a scheduler that does not answer.
        ModuleNotFoundError: a scheduler, and distributed is not installed.
    """
    if budget is not None:
        check_positive(budget=budget)
    start = time.monotonic()
    options = {"layer": layer, "methods": methods, "examples": examples, "batch_size": batch_size, "seed": seed}
    subject = subject_of(model, images, labels, name=name, classes=classes, files=files, **options)  # pyright: ignore[reportArgumentType]
    tasks = [task for part in PARTS for task in part.tasks(subject)]
    run = here if scheduler is None else on_cluster(scheduler)
    kept = None if folder is None else Path(folder) / subject.key()
    found, passes = measure_all(subject, tasks, run=run, folder=kept, budget=budget, progress=progress)
    sections = [part.section(subject, found) for part in PARTS]
    sections.sort(key=lambda section: not (section.statements or section.blocks))  # what says nothing comes last
    return Report(subject, found, sections, time.monotonic() - start, passes, book)
