"""Finding each student's notebook in what a learning platform hands out. What lies beside it never reaches a box."""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from labkit.grading.authoring.assignments import Cell, read_cells
from labkit.grading.marking.archives import File, Source, SubmissionError, files_in
from labkit.grading.marking.results import sentence

LARGEST_CODE = 2**20  # characters of all its cells
MOST_CELLS = 2000
SYSTEM = {"__macosx", "thumbs.db", "desktop.ini"}  # what systems add; so do all names that begin with a dot
TABLES = {".csv", ".tsv", ".xls", ".xlsx", ".ods"}  # which platforms add, beside what was handed in
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(file|onlinetext)_?(?P<late>)")
CANVAS = re.compile(r"^(?P<name>[^\W_]+?)(?P<late>_LATE)?_(?P<number>\d+)_\d+_")


@dataclass(frozen=True)
class Submission:
    """What one student handed in: a notebook, or the reason why there is none."""

    student: str
    content: bytes = b""  # empty as long as it was not read
    problem: str = ""
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()  # notebooks that were handed in beside it
    source: Source | None = None
    name: str = ""  # as the platform's file says; others may have the same
    number: str = ""  # the platform's own for this student, "" if its file names none
    late: bool = False  # whether the platform's file says so
    former: str = ""  # the key that earlier versions of labkit gave, if it was another

    @property
    def key(self) -> str:
        """What names the student in all records. It stays the same when somebody of the same name hands in."""
        return slug(f"{self.name} ({self.number})" if self.number else self.name or self.student)

    def load(self) -> "Submission":
        """With its content read, or the reason why it cannot be."""
        if self.source is None:
            return self
        try:
            return replace(self, content=self.source.read(), source=None)
        except SubmissionError as error:
            return replace(self, problem=str(error), source=None)

    @cached_property
    def digest(self) -> str:
        """It stands for the content, or the reason why there is none, and for what was found beside it."""
        read = self.load()
        words = "\n".join([read.problem, *self.notes, *self.others])
        return hashlib.sha256(words.encode("utf-8", "replace") + b"\0" + read.content).hexdigest()

    def cells(self) -> list[Cell]:
        """Its cells.

        Raises:
            SubmissionError: there is no notebook, or none that can be read.
        """
        read = self.load()
        if read.problem:
            raise SubmissionError(read.problem)
        try:
            cells = read_cells(json.loads(read.content))
        except RecursionError:
            raise SubmissionError("the notebook cannot be read: nested too deep") from None
        except ValueError as error:
            raise SubmissionError(f"the notebook cannot be read: {error}") from None
        size = sum(len(cell.source) for cell in cells)
        if size > LARGEST_CODE or len(cells) > MOST_CELLS:
            at_most = f"at most {MOST_CELLS} cells and {LARGEST_CODE / 1e6:.0f} million"
            raise SubmissionError(f"{len(cells)} cells with {size:,} characters, {at_most} are run")
        return cells


def find_submissions(place: Path, assignment: str, *, leave_out: Collection[Path] = ()) -> list[Submission]:
    """Every submission below a folder, or in a zip file, sorted by student.

    Args:
        place: the folder or zip file.
        assignment: name of the notebook that is wanted where there are several, without ".ipynb".
        leave_out: files and folders that nobody handed in.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: it is a file, but not a zip.
    """
    files = _unwrapped([_of_a_student(file) for file in files_in(Path(place), leave_out=leave_out)], assignment)
    entries: dict[tuple[str, str], dict[str, list[File]]] = {}
    formers: dict[tuple[str, str], str] = {}
    late = set()
    for file in files:
        name, number, is_late, former = _student(file.path, assignment)
        entries.setdefault((name, number), {}).setdefault(file.path.parts[0], []).append(file)
        formers.setdefault((name, number), slug(former))
        late |= {(name, number)} if is_late else set()
    names = [name for name, _ in entries]
    found = []
    for name, number in sorted(entries):
        alone = names.count(name) == 1
        student = name if alone else f"{name} ({number or 'no number'})"  # two of the same name
        chosen = _choose(student, entries[name, number], assignment)
        one = replace(chosen, name=name, number=number, late=(name, number) in late)
        former = formers[name, number] if alone else slug(student)
        found.append(replace(one, former=former if former != one.key else ""))
    return found


def slug(student: str) -> str:
    """A file name for any student's name: readable, and its own."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", student).strip("-")[:40]
    return f"{readable or 'student'}-{hashlib.sha256(student.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _of_a_student(file: File) -> File:
    """The file; without what it holds where no student has written it, so that its folder still counts."""
    return replace(file, source=None, problem="") if any(map(_is_system, file.path.parts[1:])) else file


def _is_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM


def _is_stray(path: PurePosixPath) -> bool:
    """Whether no student handed in what lies there: hidden files, those of systems, and tables beside the students'."""
    top = path.parts[0]
    is_table = len(path.parts) == 1 and path.suffix.lower() in TABLES
    return _is_system(top) or (is_table and not MOODLE.match(top) and not CANVAS.match(top))


def _unwrapped(files: list[File], assignment: str) -> list[File]:
    """Without the one folder that everything lies in, if it holds a folder or file a student and is none itself.
    Without what no student handed in, too."""
    files = [file for file in files if not _is_stray(file.path)]
    inside = [PurePosixPath(*file.path.parts[1:]) for file in files]
    tops = {file.path.parts[0] for file in files}
    below = {path.parts[0] for path in inside if path.parts and not _is_stray(path)}
    single = len(tops) == 1 and all(path.parts for path in inside) and not any(map(_is_zip, tops))
    own = f"{assignment}.ipynb" in below or below == {assignment} or (len(below) == 1 and tops != {assignment})
    if not single or own:
        return files
    return _unwrapped([replace(file, path=path) for file, path in zip(files, inside, strict=True)], assignment)


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _student(path: PurePosixPath, assignment: str) -> tuple[str, str, bool, str]:
    """Name, number, lateness, and the name that earlier versions of labkit read, out of ada/..., ada.ipynb, ada.zip,
    ada-NAME.ipynb, NAME-ada/..., or what platforms make of them: Ada L_12_assignsubmission_file_/...,
    adalovelace_LATE_12_34_x.zip."""
    name = path.parts[0]
    for pattern in (MOODLE, CANVAS):
        match = pattern.match(name)
        if match:
            return match["name"], match["number"], bool(match["late"]), match["name"]
    name = re.sub(r"\.(ipynb|zip)$", "", name, flags=re.IGNORECASE)
    former = re.sub(rf"[ _-]+{re.escape(assignment)}$", "", name, flags=re.IGNORECASE) or name
    title = re.escape(assignment).replace("_", "[ _-]")
    name = re.sub(rf"^{title}[ _-]+|[ _-]+{title}$", "", name, flags=re.IGNORECASE) or name
    return name, "", False, former


def _choose(student: str, entries: dict[str, list[File]], assignment: str) -> Submission:
    """The one notebook that counts."""
    every = [file for files in entries.values() for file in files]
    with_notebooks = sorted(top for top, files in entries.items() if any(file.source or file.problem for file in files))
    if len(with_notebooks) > 1:
        return Submission(student, problem=f"handed in more than once: {', '.join(with_notebooks)}")
    problems = tuple(file.problem for file in every if file.problem)
    notebooks = [file for file in every if file.source is not None and not file.problem]
    named = [file for file in notebooks if file.path.name.lower() == f"{assignment}.ipynb".lower()]
    chosen = named if len(named) == 1 else notebooks
    if len(chosen) == 1:
        others = _names([file for file in notebooks if file not in chosen])
        return Submission(student, notes=_few(problems), others=others, source=chosen[0].source)
    if notebooks:
        names = ", ".join(_names(notebooks))
        return Submission(student, problem=f"which notebook counts? There are {names}", notes=_few(problems))
    names = ", ".join(_names([file for file in every if not file.empty]))
    nothing = f"there is no notebook{f', only {names}' if names else ''}"
    return Submission(student, problem="; ".join(_few(problems)) or nothing)


def _names(files: list[File]) -> tuple[str, ...]:
    """What files are called below the student's folder, or beside the others'."""
    return _few(tuple(sentence("/".join(file.path.parts[1:]) or file.path.name, 100) for file in files))


def _few(words: tuple[str, ...]) -> tuple[str, ...]:
    """The first ten, and how many more there are."""
    more = len(words) - 10
    return words if more <= 0 else (*words[:10], f"and {more} more")
