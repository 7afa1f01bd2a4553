"""Learning platforms: who is who in Moodle's and Canvas' own tables, and marks as these import them.

An instructor exports a table (Moodle: the assignment's *Download grading worksheet*; Canvas: *Gradebook, Export*), and
gets the same table back with grades in it, in the columns that the platform asks for.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labkit.files import write_bytes
from labkit.grading.reporting.table import decoded

MOODLE_NEEDS = ("Identifier", "Full name", "Grade")
CANVAS_NEEDS = ("Student", "ID", "Section")
CANVAS_KEEPS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Root Account", "Section")
DATES = ("%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %H:%M", "%d %B %Y, %I:%M %p", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class Person:
    """A student as a platform knows them."""

    number: str  # the platform's own, as it stands in the names of files
    name: str
    login: str = ""
    email: str = ""
    handed_in: datetime | None = None


@dataclass(frozen=True)
class Roster:
    """A platform's table."""

    platform: str  # "moodle" or "canvas"
    header: list[str]
    rows: list[list[str]]

    def cell(self, row: list[str], name: str) -> str:
        """One field of a row, "" if the table has no such column."""
        place = self.header.index(name) if name in self.header else len(row)
        return row[place].strip() if place < len(row) else ""

    def person(self, row: list[str]) -> Person:
        """Who a row is about."""
        if self.platform == "moodle":
            return Person(
                re.sub(r"\D", "", self.cell(row, "Identifier")),
                self.cell(row, "Full name"),
                self.cell(row, "ID number") or self.cell(row, "Username"),
                self.cell(row, "Email address"),
                _date(self.cell(row, "Last modified (submission)")),
            )
        login = self.cell(row, "SIS Login ID")
        return Person(self.cell(row, "ID"), self.cell(row, "Student"), login, login if "@" in login else "")

    def find(self, student: str, number: str) -> Person | None:
        """The person that a submission is from: by the platform's number, else by a name, login or e-mail of their own.

        Args:
            student: as the submission is called.
            number: the platform's, "" if the name of the submission had none.
        """
        people = [self.person(row) for row in self.rows]
        if number:
            return next((person for person in people if person.number == number), None)
        wanted = _plain(student)
        same = [p for p in people if wanted in (_plain(p.name), _plain(p.login), _plain(p.email), _sorted(p.name))]
        return same[0] if len(same) == 1 else None


def read_roster(path: Path) -> Roster:
    """A table that Moodle or Canvas exported.

    Raises:
        ValueError: it is another table; says which columns there should be.
    """
    header, *rows = list(csv.reader(io.StringIO(decoded(path.read_bytes()), newline=""))) or [[]]
    for platform, needed in (("moodle", MOODLE_NEEDS), ("canvas", CANVAS_NEEDS)):
        if set(needed) <= set(header):
            return Roster(platform, header, [row for row in rows if any(row)])
    raise ValueError(
        f"{path} is neither Moodle's grading worksheet (columns {', '.join(MOODLE_NEEDS)}) nor Canvas' gradebook "
        f"(columns {', '.join(CANVAS_NEEDS)}); its columns are {', '.join(header) or 'none'}"
    )


def write_export(
    path: Path, roster: Roster, assignment: str, grades: Mapping[str, float], comments: Mapping[str, str]
) -> int:
    """The platform's own table with grades in it, to be imported there.

    Args:
        path: to be written.
        roster: the table as exported.
        assignment: its name; in Canvas the column begins with it.
        grades: number of a person -> points. Who is not in it keeps what stands there.
        comments: number of a person -> what Moodle shows as feedback.

    Returns:
        How many grades were written.

    Raises:
        ValueError: the table has no column for them.
    """
    if roster.platform == "moodle":
        columns, keep = {"Grade": grades, "Feedback comments": comments}, roster.header
        columns = {name: values for name, values in columns.items() if name in roster.header}
    else:
        name = _canvas_column(roster, assignment)
        columns, keep = {name: grades}, [each for each in CANVAS_KEEPS if each in roster.header] + [name]
    file, written = io.StringIO(newline=""), 0
    writer = csv.writer(file)
    writer.writerow(keep)
    for row in roster.rows:
        number = roster.person(row).number
        written += number in grades
        cells = {name: roster.cell(row, name) for name in keep}
        cells |= {name: _text(values[number]) for name, values in columns.items() if number in values}
        writer.writerow(cells.values())
    write_bytes(path, file.getvalue().encode("utf-8"))  # both refuse a mark before the first column's name
    return written


def _canvas_column(roster: Roster, assignment: str) -> str:
    own = [name for name in roster.header if re.search(r" \(\d+\)$", name)]
    found = [name for name in own if _plain(name).startswith(_plain(assignment))]
    if len(found) != 1:
        raise ValueError(
            f'Canvas\' table needs one column that begins with {assignment!r}, as "{assignment} (1234)"; '
            f"it has {', '.join(own) or 'none'}: make the assignment in Canvas first, and export again"
        )
    return found[0]


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _sorted(name: str) -> str:
    """As Canvas names files: "Lovelace, Ada" and "Ada Lovelace" are lovelaceada."""
    words = name.casefold().split()
    return _plain(name) if "," in name else _plain("".join([*words[-1:], *words[:-1]]))


def _date(text: str) -> datetime | None:
    for pattern in DATES:
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            continue
    return None
