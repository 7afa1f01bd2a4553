"""What is written when everything is marked: grades.csv, mail.csv, pages, words on the screen.

Whatever a student wrote is text: the templates escape it, and the pages forbid scripts on top of that.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from labkit.files import write_bytes
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.results import Result
from labkit.grading.reporting.by_hand import DAYS, heading, plain
from labkit.grading.reporting.marking_page import write_marking_page
from labkit.grading.reporting.standing import Standing, most
from labkit.grading.reporting.table import write_table
from labkit.grading.reporting.words import environment, first_name_first, number, title

WORDS = ["reason", "notes"]


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
        failed = sorted(((what, count) for what, count in failing.items() if count), key=lambda item: -item[1])
        points = [mark.points for mark in marks]
        mean = sum(points) / len(points) if points else 0.0
        full, none = sum(p == cell.points for p in points), sum(p == 0 for p in points)
        found.append(Task(cell.name, cell.points, mean, full, none, failed))
    return found


def write_grades(path: Path, assignment: Assignment, found: list[Standing]) -> None:
    """grades.csv: a line a student. Columns for marks by hand hold what was given, and are there to be typed into."""
    header = columns(assignment)
    written = set(map(plain, header))  # an earlier version took a column for an own one when its points had changed
    every = {name for each in found for name in each.marks.columns.get(each.key, {})}
    own = sorted(name for name in every if plain(name) not in written)
    write_table(path, [*header, *own], ([*_row(assignment, each), *_own(each, own)] for each in found))


def columns(assignment: Assignment) -> list[str]:
    """The names of the columns of grades.csv, in their order."""
    by_hand = [name for cell in assignment.by_hand for name in heading(assignment, cell.name)]
    tasks = [f"{title(cell.name)} (of {number(cell.points)})" for cell in assignment.tests]
    machine = f"total by machine (of {number(sum(cell.points for cell in assignment.tests))})"
    people = ["student", "key", "number", "login", "e-mail", "status"]
    late = ["days late", DAYS, "taken off"]
    return [*people, *tasks, *by_hand, "comment", machine, *late, f"total (of {number(most(assignment))})", *WORDS]


def _row(assignment: Assignment, one: Standing) -> list[str]:
    result, marks, person = one.result, one.marks, one.person
    tasks = [number(result.tasks[cell.name].points) if result.tasks else "" for cell in assignment.tests]
    by_hand = []
    for cell in assignment.by_hand:
        points = marks.points_of(one.key, cell.name)
        by_hand += ["" if points is None else number(points), marks.comment_of(one.key, cell.name)]
    days = "late" if math.isnan(one.days_late) else number(one.days_late) if one.days_late else ""
    set_by_hand = marks.days_late.get(one.key)
    late = [days, "" if set_by_hand is None else number(set_by_hand), number(one.taken_off) if one.taken_off else ""]
    who = [one.student, one.key, one.number, person.login if person else "", person.email if person else ""]
    totals = [*late, "" if one.refused else number(one.total)]
    machine = "" if result.problem else number(result.total)
    words = [result.problem, "; ".join(result.notes)]
    return [*who, one.status, *tasks, *by_hand, marks.comment_of(one.key), machine, *totals, *words]


def _own(one: Standing, names: list[str]) -> list[str]:
    return [one.marks.columns.get(one.key, {}).get(name, "") for name in names]


def write_mail_merge(path: Path, assignment: Assignment, found: list[Standing]) -> None:
    """mail.csv: for a letter to each student whose work is marked to the end and whose e-mail is known.

    Made for what mail merges do with it. Columns have plain names, as `{{email}}` in Thunderbird and the fields of Word
    need them. No field holds a line break, and no name a comma, which would end the address. The page to be attached
    has its whole path. `key` comes first because some programs read the file's mark as part of the first column's name.
    """
    header = ["key", "email", "name", "assignment", "points", "of", "comment", "page"]
    of, name = number(most(assignment)), assignment.name.replace("_", " ")
    rows = []
    for each in found:
        if each.person is not None and each.person.email and each.status == "graded":
            page = (path.parent / "feedback" / f"{each.key}.html").resolve()
            comment = " ".join(each.comments.split())
            who = [each.key, each.person.email, first_name_first(each.person.name)]
            rows.append([*who, name, number(each.total), of, comment, str(page)])
    write_table(path, header, rows)


def write_pages(folder: Path, assignment: Assignment, found: list[Standing]) -> None:
    """index.html for the class, marking.html for whoever marks by hand, feedback/STUDENT.html for each student.

    Pages of students who are not among them any more are removed.
    """
    pages = environment()
    of = sum(cell.points for cell in assignment.tests)
    by_hand_of = sum(cell.points for cell in assignment.by_hand)
    common = {"assignment": assignment, "of": of, "by_hand_of": by_hand_of, "most": most(assignment)}
    feedback = folder / "feedback"
    for each in found:
        content = pages.get_template("student.html").render(one=each, result=each.result, **common)
        write_bytes(feedback / f"{each.key}.html", content.encode("utf-8", "replace"))
    kept = {f"{each.key}.html" for each in found}
    for path in feedback.glob("*.html"):
        if path.name not in kept and re.fullmatch(r".+-[0-9a-f]{8}\.html", path.name):
            path.unlink()
    results = [each.result for each in found]
    tasks = sorted(tasks_of(assignment, results), key=lambda task: task.fraction)
    content = pages.get_template("class.html").render(found=found, tasks=tasks, **common)
    write_bytes(folder / "index.html", content.encode("utf-8", "replace"))
    if assignment.by_hand:
        write_marking_page(folder / "marking.html", assignment, found)


def summary(assignment: Assignment, found: list[Standing]) -> str:
    """What is printed at the end."""
    results = [each.result for each in found]
    graded = [result for result in results if not result.problem]
    refused = [each.result for each in found if each.refused]
    of = sum(cell.points for cell in assignment.tests)
    lines = [f"{assignment.name}: {len(found) - len(refused)} of {len(found)} submissions graded"]
    if graded:
        mean = sum(result.total for result in graded) / len(graded)
        lines.append(f"mean {number(mean)} of {number(of)} points")
        width = max((len(title(cell.name)) for cell in assignment.tests), default=0)
        for task in tasks_of(assignment, results):
            points = f"{number(task.mean):>6} of {number(task.of):<4}"
            lines.append(f"  {title(task.name):<{width}} {points} {task.full} full, {task.none} none")
    if assignment.by_hand:
        names = ", ".join(f"{title(cell.name)} ({number(cell.points)})" for cell in assignment.by_hand)
        left = sum(len(each.open) for each in found if not each.result.problem)
        still = {0: "nothing is open", 1: "1 answer is open"}.get(left, f"{left} answers are open")
        lines.append(f"to be marked by hand: {names}; {still}")
    late = [each for each in found if each.days_late != 0]
    if late:
        unknown = sum(math.isnan(each.days_late) for each in late)
        words = f", of {unknown} nobody knows by how much" if unknown else ""
        lines.append(f"{len(late)} came late{words}; {number(sum(each.taken_off for each in late))} points taken off")
    lines += [f"cannot be graded: {result.student}: {result.problem}" for result in refused]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)
