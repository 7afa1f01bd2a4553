"""What is written when everything is marked: grades.csv, a page a student, a page for the class, words on the screen.

Whatever a student wrote is text: the templates escape it, and the pages forbid scripts on top of that.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from labkit.extras import needs
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.records import slug
from labkit.grading.marking.results import Result

with needs("grade"):
    from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Task:
    """How a class did on one task."""

    name: str
    of: float
    mean: float
    full: int  # students with all points
    none: int  # students without any
    failing: list[tuple[str, int]]  # parts and how many students failed them, most first

    @property
    def fraction(self) -> float:
        return self.mean / self.of if self.of else 0.0


def title(grade_id: str) -> str:
    """check-output-size -> output-size."""
    return grade_id.removeprefix("check-")


def number(value: float) -> str:
    """2.0 -> 2, 2.25 -> 2.25."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def tasks_of(assignment: Assignment, results: list[Result]) -> list[Task]:
    """Every task marked by machine, in the notebook's order."""
    found = []
    graded = [result for result in results if not result.problem]
    for cell in assignment.tests:
        marks = [result.tasks[cell.name] for result in graded]
        failing: dict[str, int] = {}
        for mark in marks:
            for part in mark.parts:
                failing[part.what] = failing.get(part.what, 0) + (part.words is not None)
        most = sorted(((what, count) for what, count in failing.items() if count), key=lambda item: -item[1])
        points = [mark.points for mark in marks]
        mean = sum(points) / len(points) if points else 0.0
        full, none = sum(p == cell.points for p in points), sum(p == 0 for p in points)
        found.append(Task(cell.name, cell.points, mean, full, none, most))
    return found


def write_grades(path: Path, assignment: Assignment, results: list[Result]) -> None:
    """grades.csv: a line a student. Points by hand are left open; who cannot be graded has no points, and a reason."""
    by_hand = [f"{title(cell.name)} (by hand, of {number(cell.points)})" for cell in assignment.by_hand]
    tasks = [f"{title(cell.name)} (of {number(cell.points)})" for cell in assignment.tests]
    total = f"total by machine (of {number(sum(cell.points for cell in assignment.tests))})"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "status", *tasks, *by_hand, total, "reason", "notes"])
        for result in results:
            status = "cannot be graded" if result.problem else "open: by hand" if by_hand else "graded"
            marks = ["" if result.problem else number(result.tasks[cell.name].points) for cell in assignment.tests]
            total = "" if result.problem else number(result.total)
            words = [_text(result.problem), _text("; ".join(result.notes))]
            writer.writerow([_text(result.student), status, *marks, *[""] * len(by_hand), total, *words])


def write_pages(folder: Path, assignment: Assignment, results: list[Result]) -> None:
    """index.html for the class, feedback/STUDENT.html for each student."""
    environment = Environment(
        loader=PackageLoader("labkit.grading.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"title_of": title, "number": number, "slug": slug}
    of = sum(cell.points for cell in assignment.tests)
    common = {"assignment": assignment, "of": of, "by_hand_of": sum(cell.points for cell in assignment.by_hand)}
    (folder / "feedback").mkdir(parents=True, exist_ok=True)
    page = environment.get_template("student.html")
    for result in results:
        path = folder / "feedback" / f"{slug(result.student)}.html"
        path.write_text(page.render(result=result, **common), encoding="utf-8")
    graded = [result for result in results if not result.problem]
    tasks = sorted(tasks_of(assignment, results), key=lambda task: task.fraction)
    page = environment.get_template("class.html")
    content = page.render(results=results, graded=graded, tasks=tasks, **common)
    (folder / "index.html").write_text(content, encoding="utf-8")


def summary(assignment: Assignment, results: list[Result]) -> str:
    """What is printed at the end."""
    graded = [result for result in results if not result.problem]
    refused = [result for result in results if result.problem]
    of = sum(cell.points for cell in assignment.tests)
    lines = [f"{assignment.name}: {len(graded)} of {len(results)} submissions graded"]
    if graded:
        mean = sum(result.total for result in graded) / len(graded)
        lines.append(f"mean {number(mean)} of {number(of)} points")
        width = max((len(title(cell.name)) for cell in assignment.tests), default=0)
        for task in tasks_of(assignment, results):
            points = f"{number(task.mean):>6} of {number(task.of):<4}"
            lines.append(f"  {title(task.name):<{width}} {points} {task.full} full, {task.none} none")
    if assignment.by_hand:
        names = ", ".join(f"{title(cell.name)} ({number(cell.points)})" for cell in assignment.by_hand)
        lines.append(f"to be marked by hand: {names}")
    lines += [f"cannot be graded: {result.student}: {result.problem}" for result in refused]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _text(words: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{words}" if words[:1] in ("=", "+", "-", "@", "\t", "\r") else words
