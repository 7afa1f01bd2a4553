"""Marks and comments that a person gives: typed into grades.csv or the marking page, kept in marks.json, never lost.

marks.json is the one place where they are. Each run takes in what was typed into grades.csv since it was written, and
what the marking page exported, before it writes anything. An empty cell deletes nothing ("-" does), and a mark that is
replaced is kept beside the new one, under "earlier".
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labkit.files import write_json
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.records import slug
from labkit.grading.reporting.table import harmless, read_table

FILE, PAGE = "marks.json", "marks-from-page.json"
WHOLE = ""  # stands for the whole submission among the tasks: a comment, and points that are added or taken off
DELETE = "-"
DAYS = "days late (by hand)"


@dataclass
class Marks:
    """What a person has given so far. Students are known by the slug of their name, tasks by their grade_id."""

    points: dict[str, dict[str, float]] = field(default_factory=dict)
    comments: dict[str, dict[str, str]] = field(default_factory=dict)
    days_late: dict[str, float] = field(default_factory=dict)  # where a person knows better
    extensions: dict[str, float] = field(default_factory=dict)  # days that single students have more
    columns: dict[str, dict[str, str]] = field(default_factory=dict)  # an instructor's own columns of grades.csv
    reusable: list[str] = field(default_factory=list)  # comments of the marking page
    earlier: list[dict[str, Any]] = field(default_factory=list)  # what was replaced

    def points_of(self, student: str, task: str) -> float | None:
        return self.points.get(slug(student), {}).get(task)

    def comment_of(self, student: str, task: str = WHOLE) -> str:
        return self.comments.get(slug(student), {}).get(task, "")

    def total_of(self, student: str) -> float:
        return round(sum(self.points.get(slug(student), {}).values()), 2)

    def give(self, key: str, task: str, points: float | None, source: str) -> None:
        """Points for one answer; None takes them back."""
        self._replace(self.points, key, task, points, source)

    def say(self, key: str, task: str, comment: str, source: str) -> None:
        """A comment on one answer, or on the whole; an empty one takes it back."""
        self._replace(self.comments, key, task, comment or None, source)

    def _replace(self, table: dict[str, dict[str, Any]], key: str, task: str, value: Any, source: str) -> None:
        before = table.get(key, {}).get(task)
        if before == value:
            return
        if before is not None:
            self.earlier.append({"student": key, "task": task, "was": before, "now": value, "from": source})
        if value is None:
            table[key].pop(task)
        else:
            table.setdefault(key, {})[task] = value


def load(folder: Path) -> Marks:
    """The marks of a folder of results.

    Raises:
        ValueError: marks.json is there and cannot be read: better stop than start anew.
    """
    path = folder / FILE
    if not path.exists():
        return Marks()
    try:
        return Marks(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} holds the marks given by hand and cannot be read: {error}") from error


def save(folder: Path, marks: Marks) -> None:
    """Write marks.json, whole or not at all."""
    write_json(folder / FILE, asdict(marks), indent=1)


def heading(assignment: Assignment, task: str) -> tuple[str, str]:
    """The names of a task's two columns in grades.csv: points and comment."""
    of = next(cell.points for cell in assignment.by_hand if cell.name == task)
    title = task.removeprefix("check-")
    return f"{title} (by hand, of {of:g})", f"{title} (comment)"


def take_in_table(path: Path, assignment: Assignment, marks: Marks, known: set[str]) -> int:
    """What was typed into grades.csv.

    Args:
        path: of the table; need not be there.
        assignment: whose answers were marked.
        marks: are changed.
        known: names of columns that are written anew each time.

    Returns:
        How many cells said something new.

    Raises:
        ValueError: points that are no number, or more than there are; says where.
    """
    if not path.exists():
        return 0
    before = _count(marks)
    for line, row in enumerate(read_table(path), start=2):
        key = row.get("key", "")
        if not key:
            continue
        for cell in assignment.by_hand:
            points, comment = (row.get(name, "").strip() for name in heading(assignment, cell.name))
            if points:
                where = f"{path}, line {line}, {heading(assignment, cell.name)[0]}"
                marks.give(key, cell.name, _points(points, cell.points, where), "grades.csv")
            _say(marks, key, cell.name, comment)
        _say(marks, key, WHOLE, row.get("comment", "").strip())
        days = row.get(DAYS, "").strip()
        if days:
            marks.days_late[key] = _points(days, 10_000, f"{path}, line {line}, {DAYS}") or 0.0
        before_own = marks.columns.get(key, {})
        own = {name: text for name, text in row.items() if name and name not in known and text}
        own = {name: text for name, text in own.items() if text != harmless(before_own.get(name, ""))}
        if own:
            marks.columns[key] = before_own | own
    return _count(marks) - before


def take_in_page(path: Path, assignment: Assignment, marks: Marks) -> list[str]:
    """What the marking page has written or exported.

    Returns:
        A sentence for each mark that was given elsewhere meanwhile: the page's counts, the other is kept as earlier.

    Raises:
        ValueError: it is no file of the marking page, or of another assignment; or points are no points.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        given, name = found["marks"], found["assignment"]
    except (ValueError, TypeError, KeyError) as error:
        why = f"it is not JSON ({error})" if isinstance(error, ValueError) else "it holds no marks"
        raise ValueError(f"{path} is no file that the marking page wrote: {why}") from error
    if name != assignment.name:
        raise ValueError(f"{path} holds marks of {name!r}, not of {assignment.name!r}")
    most, conflicts = {cell.name: cell.points for cell in assignment.by_hand}, []
    for key, tasks in given.items():
        for task, mark in tasks.items():
            if task not in most and task != WHOLE:
                raise ValueError(f"{path}: the assignment has no answer in words called {task!r}")
            before = {
                "points": marks.points.get(key, {}).get(task),
                "comment": marks.comments.get(key, {}).get(task, ""),
            }
            base = mark.get("base", before)
            new = {"points": mark.get("points"), "comment": str(mark.get("comment", ""))}
            if new["points"] is not None:
                new["points"] = _points(str(new["points"]), most.get(task, 10_000), f"{path}, {key}, {task}")
            if before not in (base, new):
                conflicts.append(f"{key}, {task or 'the whole'}: {before} was given elsewhere, the page says {new}")
            marks.give(key, task, new["points"], path.name)
            marks.say(key, task, new["comment"], path.name)
    marks.reusable = list(dict.fromkeys([*marks.reusable, *map(str, found.get("reusable", []))]))
    return conflicts


def _say(marks: Marks, key: str, task: str, comment: str) -> None:
    if comment and comment != harmless(marks.comments.get(key, {}).get(task, "")).strip():  # not as it was written
        marks.say(key, task, "" if comment == DELETE else comment, "grades.csv")


def _points(text: str, most: float, where: str) -> float | None:
    if text in (DELETE, f"'{DELETE}"):
        return None
    try:
        points = float(text.removeprefix("'").replace(",", "."))
    except ValueError:
        raise ValueError(f"{where}: {text!r} is no number of points") from None
    if not 0 <= points <= most:
        raise ValueError(f"{where}: {text} points, and there are 0 to {most:g}")
    return points


def _count(marks: Marks) -> int:
    tables: list[Mapping[str, Mapping[str, Any]]] = [marks.points, marks.comments, marks.columns]
    return sum(len(row) for table in tables for row in table.values()) + len(marks.earlier)
