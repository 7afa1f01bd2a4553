"""Marks and comments that a person gives: typed into grades.csv or the marking page, kept in marks.json, never lost.

marks.json is the one place where they are. Each run takes in what was typed into grades.csv since it was written, and
what is new in the files of the marking page, before it writes anything. An empty cell deletes nothing ("-" does), and a
mark that is replaced is kept beside the new one, under "earlier".
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labkit.files import write_json
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.reporting.table import harmless, read_table

FILE, PAGE = "marks.json", "marks-from-page.json"
WHOLE = ""  # stands for the whole submission among the tasks: a comment, and points that are added
DELETE = "-"
DAYS = "days late (by hand)"


@dataclass
class Marks:
    """What a person has given so far. Students are known by their key, tasks by their grade_id."""

    points: dict[str, dict[str, float]] = field(default_factory=dict)
    comments: dict[str, dict[str, str]] = field(default_factory=dict)
    days_late: dict[str, float] = field(default_factory=dict)  # where a person knows better
    extensions: dict[str, float] = field(default_factory=dict)  # days that single students have more
    columns: dict[str, dict[str, str]] = field(default_factory=dict)  # an instructor's own columns of grades.csv
    reusable: list[str] = field(default_factory=list)  # comments of the marking page
    taken: list[str] = field(default_factory=list)  # digests of the marking page's marks that were taken in
    earlier: list[dict[str, Any]] = field(default_factory=list)  # what was replaced

    def points_of(self, key: str, task: str) -> float | None:
        return self.points.get(key, {}).get(task)

    def comment_of(self, key: str, task: str = WHOLE) -> str:
        return self.comments.get(key, {}).get(task, "")

    def total_of(self, key: str) -> float:
        return round(sum(self.points.get(key, {}).values()), 2)

    def give(self, key: str, task: str, points: float | None, source: str) -> bool:
        """Points for one answer; None takes them back. Says whether that is new."""
        return self._replace_in(self.points, key, task, points, source)

    def say(self, key: str, task: str, comment: str, source: str) -> bool:
        """A comment on one answer, or on the whole; an empty one takes it back. Says whether that is new."""
        return self._replace_in(self.comments, key, task, comment or None, source)

    def set_days_late(self, key: str, days: float | None, source: str) -> bool:
        """Days where a person knows better; None takes them back. Says whether that is new."""
        return self._replace(self.days_late, key, days, {"student": key, "task": DAYS, "from": source})

    def _replace_in(self, table: dict[str, dict[str, Any]], key: str, task: str, value: Any, source: str) -> bool:
        row = table.get(key, {})
        is_new = self._replace(row, task, value, {"student": key, "task": task, "from": source})
        if row:
            table[key] = row
        return is_new

    def _replace(self, row: dict[str, Any], name: str, value: Any, about: dict[str, str]) -> bool:
        before = row.get(name)
        if before == value:
            return False
        if before is not None:
            self.earlier.append(about | {"was": before, "now": value})
        if value is None:
            row.pop(name)
        else:
            row[name] = value
        return True

    def students(self) -> set[str]:
        """The keys of all who have marks, comments, days or columns."""
        return set().union(self.points, self.comments, self.days_late, self.extensions, self.columns)

    def rename(self, keys: Mapping[str, str]) -> None:
        """Give students, known by their former key, the key that they have now."""
        tables: list[dict[str, Any]] = [self.points, self.comments, self.days_late, self.extensions, self.columns]
        for table in tables:
            for former in table.keys() & keys.keys():
                found, now = table.pop(former), table.get(keys[former])
                table[keys[former]] = found | now if isinstance(now, dict) else found if now is None else now


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


def plain(name: str) -> str:
    """The name of a column without the points that there are, which may have changed since it was written."""
    return re.sub(r" \((by hand, )?of [\d.]+\)$", lambda found: " (by hand)" if found[1] else " (of)", name)


def take_in_table(path: Path, assignment: Assignment, marks: Marks, known: set[str], keys: Mapping[str, str]) -> int:
    """What was typed into grades.csv.

    Args:
        path: of the table; need not be there.
        assignment: whose answers were marked.
        marks: are changed.
        known: names of columns that are written anew each time.
        keys: former keys of students -> those that they have now.

    Returns:
        How many cells said something new.

    Raises:
        ValueError: points that are no number, or more than there are, and says where; or a heading twice.
    """
    if not path.exists():
        return 0
    header, rows = read_table(path)
    headings = {cell.name: heading(assignment, cell.name) for cell in assignment.by_hand}
    own_points = {plain(points): points for points, _ in headings.values()}
    names = [own_points.get(plain(name), name) for name in header]
    for name in filter(None, names):
        same = [written for written, each in zip(header, names, strict=True) if each == name]
        if len(same) > 1:
            words = " and ".join(map(repr, same))
            raise ValueError(f"{path} has columns that mean the same, {words}: keep one, and delete the rest")
    written_anew, new = set(map(plain, known)), 0
    for line, cells in enumerate(rows, start=2):
        row = dict(zip(names, cells, strict=True))
        key = keys.get(row.get("key", ""), row.get("key", ""))
        if not key:
            continue
        for cell in assignment.by_hand:
            points, comment = (row.get(name, "").strip() for name in headings[cell.name])
            if points:
                given = _number(points, cell.points, f"{path}, line {line}, {headings[cell.name][0]}")
                new += marks.give(key, cell.name, given, "grades.csv")
            new += _say(marks, key, cell.name, comment)
        new += _say(marks, key, WHOLE, row.get("comment", "").strip())
        days = row.get(DAYS, "").strip()
        if days:
            new += marks.set_days_late(key, _number(days, 10_000, f"{path}, line {line}, {DAYS}"), "grades.csv")
        before_own = marks.columns.get(key, {})
        own = {harmless(name): text for name, text in row.items() if name and plain(name) not in written_anew and text}
        own = {name: text for name, text in own.items() if text != harmless(before_own.get(name, ""))}
        if own:
            marks.columns[key], new = before_own | own, new + len(own)
    return new


def take_in_page(path: Path, assignment: Assignment, marks: Marks, keys: Mapping[str, str]) -> tuple[int, list[str]]:
    """What is new in a file that the marking page has written. What was taken in once is not taken in again, so that
    a mark that was given elsewhere since then stays.

    Returns:
        How many marks were new; a sentence for each that replaced one which the page did not know: that is kept as
        earlier.

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
    most, count, replaced = {cell.name: cell.points for cell in assignment.by_hand}, 0, []
    every = [(keys.get(key, key), task, mark) for key, tasks in given.items() for task, mark in tasks.items()]
    for key, task, mark in every:
        if task not in most and task != WHOLE:
            raise ValueError(f"{path}: the assignment has no answer in words called {task!r}")
        digest = hashlib.sha256(json.dumps([key, task, mark], sort_keys=True).encode()).hexdigest()[:16]
        if digest in marks.taken:
            continue
        before = {"points": marks.points_of(key, task), "comment": marks.comment_of(key, task)}
        new = {"points": mark.get("points"), "comment": str(mark.get("comment", ""))}
        if new["points"] is not None:
            new["points"] = _number(str(new["points"]), most.get(task, 10_000), f"{path}, {key}, {task}")
        if before not in (mark.get("base", before), new):
            where = f"{key}, {task or 'the whole'}"
            replaced.append(f"{where}: {_in_words(new)} from {path.name} replaced {_in_words(before)}")
        marks.give(key, task, new["points"], path.name)
        marks.say(key, task, new["comment"], path.name)
        marks.taken.append(digest)
        count += 1
    marks.reusable = list(dict.fromkeys([*marks.reusable, *map(str, found.get("reusable", []))]))
    return count, replaced


def _in_words(mark: Mapping[str, Any]) -> str:
    points = "no points" if mark["points"] is None else f"{mark['points']:g} points"
    return f"{points}, “{mark['comment']}”" if mark["comment"] else points


def _say(marks: Marks, key: str, task: str, comment: str) -> bool:
    if not comment or comment == harmless(marks.comment_of(key, task)).strip():  # as it was written
        return False
    return marks.say(key, task, "" if comment == DELETE else comment, "grades.csv")


def _number(text: str, most: float, where: str) -> float | None:
    """The number in a cell, None if it says that there shall be none."""
    if text in (DELETE, f"'{DELETE}"):
        return None
    try:
        number = float(text.removeprefix("'").replace(",", "."))
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise ValueError(f'{where}: {text!r} is refused: a number from 0 to {most:g} is wanted, or "{DELETE}" for none')
    return number
