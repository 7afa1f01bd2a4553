"""Measuring for a report: in small units, each kept as soon as it is done, in the time that there is.

A task measures one thing, such as a method's maps; a unit is a task on a few of the images. Units do not depend on each
other, so that a report that was killed goes on where it was, and a cluster may take them in any order.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from labkit.core import Progress
from labkit.files import replacing
from labkit.report.subject import Subject

Figures = dict[str, Tensor]
Measure = Callable[[Subject, Tensor], Figures]


@dataclass(frozen=True, eq=False)
class Task:
    """One thing to measure.

    Attributes:
        name: its own, also that of its files.
        title: what the page calls it.
        measure: (subject, indices of images) -> tensors; each with a row an image, unless the task takes all at once.
            It can be pickled.
        chosen: the images that it is for.
        passes: what it takes for one image, in forward passes of the network; a gradient counts as three.
        at_once: images in a unit; 0 for all of them.
        rank: tasks with a lower one come first.
    """

    name: str
    title: str
    measure: Measure
    chosen: Tensor
    passes: float
    at_once: int = 0
    rank: int = 0

    def units(self) -> list["Unit"]:
        parts = self.chosen.split(self.at_once or len(self.chosen))
        return [Unit(self, part, index) for index, part in enumerate(parts)]


@dataclass(frozen=True, eq=False)
class Unit:
    """A task on some of its images."""

    task: Task
    chosen: Tensor
    index: int

    @property
    def name(self) -> str:
        return f"{self.task.name}-{self.index:04}"

    @property
    def passes(self) -> float:
        return self.task.passes * len(self.chosen)


@dataclass
class Measured:
    """What came of a task.

    Attributes:
        chosen: the images that were measured.
        figures: by name, as the task's function returned them; those of several units one after the other.
        missing: how many images were not, as the budget did not reach.
        problem: why it failed; "" if it did not.
    """

    chosen: Tensor
    figures: Figures = field(default_factory=dict)
    missing: int = 0
    problem: str = ""


Found = dict[str, Measured]  # by the name of the task
Runner = Callable[[Subject, Iterator[Unit]], Iterator[tuple[Unit, Figures | Exception]]]


def here(subject: Subject, units: Iterator[Unit]) -> Iterator[tuple[Unit, Figures | Exception]]:
    """Measure one unit after the other in this process."""
    for unit in units:
        yield unit, attempted(subject, unit.task.measure, unit.chosen)


def attempted(subject: Subject, measure: Measure, chosen: Tensor) -> Figures | Exception:
    """What a function measures, on the CPU; or why it does not: a foreign network may raise anything."""
    try:
        return {name: each.detach().cpu() for name, each in measure(subject, chosen).items()}
    except Exception as error:  # one part must not take the others with it
        return error


def measure_all(
    subject: Subject,
    tasks: Sequence[Task],
    *,
    run: Runner = here,
    folder: Path | None = None,
    budget: float | None = None,
    progress: Progress = iter,
) -> tuple[Found, float]:
    """Measure all tasks, the most telling units first.

    Args:
        subject: what is measured.
        tasks: what to measure.
        run: where units are measured.
        folder: where each unit is kept when it is done; what is there is not measured again.
        budget: seconds; units that would not end in time are left out.
        progress: wraps a loop over forward passes.

    Returns:
        What was found, by the names of the tasks; and how many forward passes it took, those that were kept included.
    """
    units = [unit for task in tasks for unit in task.units()]
    units.sort(key=lambda unit: (unit.task.rank, unit.index))  # stable: tasks of one rank take turns
    done: dict[Unit, Figures] = {}
    problems: dict[str, str] = {}
    clock = _Clock(budget)
    bar = _Bar(progress, sum(unit.passes for unit in units))

    def wanted() -> Iterator[Unit]:
        for unit in units:
            if (kept := _kept(folder, unit)) is not None:
                done[unit] = kept
                bar.advance(unit.passes)
            elif unit.task.name in problems:
                bar.advance(unit.passes)
            elif clock.allows(unit.passes):
                yield unit

    for unit, figures in run(subject, wanted()):
        clock.note(unit.passes)
        bar.advance(unit.passes)
        if isinstance(figures, Exception):
            problems.setdefault(unit.task.name, in_a_sentence(figures))
            continue
        done[unit] = figures
        if folder is not None:
            with replacing(folder / f"{unit.name}.safetensors") as path:
                save_file({name: each.contiguous() for name, each in figures.items()}, path)
    bar.close()
    return {task.name: _joined(task, done, problems.get(task.name, "")) for task in tasks}, clock.passes


def as_tensor(text: str) -> Tensor:
    """A text as a tensor, to be kept among figures."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def as_text(tensor: Tensor) -> str:
    """The text again."""
    return bytes(tensor.tolist()).decode()


def in_a_sentence(error: Exception) -> str:
    """The first line of what an error says, without the names of classes where it speaks for itself."""
    line = (str(error).strip().splitlines() or [""])[0]
    return line if isinstance(error, ValueError) and line else f"{type(error).__name__}: {line}".rstrip(": ")


def _joined(task: Task, done: dict[Unit, Figures], problem: str) -> Measured:
    mine = sorted((unit for unit in done if unit.task is task), key=lambda unit: unit.index)
    if not mine or problem:
        missing = 0 if problem else len(task.chosen)
        return Measured(task.chosen[:0], missing=missing, problem=problem)
    parts = [done[unit] for unit in mine]
    figures = parts[0] if len(parts) == 1 else {name: torch.cat([each[name] for each in parts]) for name in parts[0]}
    chosen = torch.cat([unit.chosen for unit in mine])
    return Measured(chosen, figures, missing=len(task.chosen) - len(chosen))


def _kept(folder: Path | None, unit: Unit) -> Figures | None:
    try:
        return None if folder is None else load_file(folder / f"{unit.name}.safetensors")
    except (FileNotFoundError, SafetensorError):
        return None


class _Clock:
    """Whether there is time for more, from how long a pass has taken so far."""

    def __init__(self, budget: float | None):
        self.budget, self.start, self.passes = budget, time.monotonic(), 0.0

    def note(self, passes: float) -> None:
        self.passes += passes

    def allows(self, passes: float) -> bool:
        if self.budget is None:
            return True
        elapsed = time.monotonic() - self.start
        return elapsed + passes * elapsed / max(self.passes, 1) <= self.budget


class _Bar:
    """A progress bar over forward passes, advanced by hand, so that it knows what a unit weighs."""

    def __init__(self, progress: Progress, passes: float):
        self.left, self.place = iter(progress(range(max(round(passes), 1)))), 0.0

    def advance(self, passes: float) -> None:
        before = round(self.place)
        self.place += passes
        for _ in range(round(self.place) - before):
            next(self.left, None)

    def close(self) -> None:
        for _ in self.left:  # a bar that is not at its end would stay open
            pass
