"""Learning platforms: who is who in Moodle's and Canvas' own tables, and marks as these import them.

An instructor exports a table (Moodle, in English or German: the assignment's *Download grading worksheet*; Canvas:
*Gradebook, Export*), and gets the same table back with grades in it, in the columns that the platform asks for.
"""

import calendar
import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labkit.files import write_bytes
from labkit.grading.reporting.table import read_table

HANDED_IN = "Last modified (submission)"
GERMAN = {  # what Moodle's columns are called there
    "Identifier": "ID",
    "Full name": "Vollständiger Name",
    "Email address": "E-Mail-Adresse",
    "Grade": "Bewertung",
    HANDED_IN: "Zuletzt geändert (Abgabe)",
    "Feedback comments": "Feedback als Kommentar",  # codespell:ignore
}
MOODLE_NEEDS = ("Identifier", "Full name", "Grade")
MOODLE_NEEDS_IN_GERMAN = tuple(GERMAN[name] for name in MOODLE_NEEDS)
CANVAS_NEEDS = ("Student", "ID", "Section")
CANVAS_KEEPS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Root Account", "Section")
DATES = (
    "%d %B %Y, %I:%M %p",
    "%d %B %Y, %H:%M",
    "%B %d, %Y, %I:%M %p",
    "%d. %B %Y, %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
)
GERMAN_MONTHS = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"  # codespell:ignore


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

    def column(self, name: str) -> str:
        """What a column of Moodle's is called in this table, which may be in German."""
        return name if name in self.header or self.platform != "moodle" else GERMAN.get(name, name)

    def cell(self, row: list[str], name: str) -> str:
        """One field of a row, "" if the table has no such column."""
        name = self.column(name)
        return row[self.header.index(name)].strip() if name in self.header else ""

    def person(self, row: list[str]) -> Person:
        """Who a row is about."""
        if self.platform == "moodle":
            return Person(
                re.sub(r"\D", "", self.cell(row, "Identifier")),
                self.cell(row, "Full name"),
                self.cell(row, "ID number") or self.cell(row, "Username"),
                self.cell(row, "Email address"),
                _date(self.cell(row, HANDED_IN)),
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
    header, rows = read_table(path)
    needs = (("moodle", MOODLE_NEEDS), ("moodle", MOODLE_NEEDS_IN_GERMAN), ("canvas", CANVAS_NEEDS))
    for platform, needed in needs:
        if set(needed) <= set(header):
            return Roster(platform, header, rows)
    raise ValueError(
        f"{path} is neither Moodle's grading worksheet (columns {', '.join(MOODLE_NEEDS)}; in German "
        f"{', '.join(MOODLE_NEEDS_IN_GERMAN)}) nor Canvas' gradebook (columns {', '.join(CANVAS_NEEDS)}); its columns "
        f"are {', '.join(header) or 'none'}. In any other language, switch Moodle to English before the export"
    )


def check_dates(roster: Roster | None) -> None:
    """That it is known when each student handed in, as `--due` needs it.

    Raises:
        ValueError: nothing says so, or in a way that cannot be read.
    """
    if roster is None or roster.column(HANDED_IN) not in roster.header:
        raise ValueError(
            f'--due needs the dates when students handed in: the column "{HANDED_IN}" of Moodle\'s grading worksheet, '
            'given as --roster. Where there is none, leave --due out and type "days late (by hand)" into grades.csv'
        )
    for row in roster.rows:
        text = roster.cell(row, HANDED_IN)
        if text not in ("", "-") and _date(text) is None:
            raise ValueError(
                f'"{HANDED_IN}" is {text!r}, which cannot be read as a date: "Friday, 20 November 2026, 6:31 PM", '
                '"Friday, November 20, 2026, 6:31 PM", "Freitag, 20. November 2026, 18:31" and "2026-11-20 18:31" can'
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
        both = {roster.column("Grade"): grades, roster.column("Feedback comments"): comments}
        columns, keep = {name: values for name, values in both.items() if name in roster.header}, roster.header
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
    """As Moodle writes it in English, with its months first too, or in German; with the day of the week or without."""
    text = re.sub(r"^[^\W\d]+, ", "", " ".join(text.split()))
    months: dict[str, str] = dict(zip(GERMAN_MONTHS.split(), calendar.month_name[1:], strict=True))
    text = re.sub(r"[^\W\d]+", lambda word: months.get(word[0], word[0]), text)
    for pattern in DATES:
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            continue
    return None
