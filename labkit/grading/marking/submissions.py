"""Finding students' notebooks in what a learning platform hands out: folders, zips, zips in zips, single files.

Archives are looked through by their lists of files; nothing is unpacked, so no path in them can lead anywhere. Only
the one notebook that counts is read, when its turn comes, and at most so many bytes of it. Links are not followed. What
lies beside a notebook never reaches a box.
"""

import hashlib
import io
import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from labkit.grading.authoring.assignments import Cell, read_cells

LARGEST_NOTEBOOK = 64 * 2**20  # with its pictures
LARGEST_CODE = 2**20  # characters of all its cells
MOST_CELLS = 2000
MOST_MEMBERS = 10_000
LARGEST_LIST = 4 * 2**20  # bytes of a zip's list of files
END, END_64 = b"PK\x05\x06", b"PK\x06\x07"  # how the last records of a zip begin
READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # ways of compression
IGNORED = {"__MACOSX", ".ipynb_checkpoints", ".DS_Store", "Thumbs.db"}
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(file|onlinetext)_?(?P<late>)")
CANVAS = re.compile(r"^(?P<name>[^\W_]+?)(?P<late>_LATE)?_(?P<number>\d+)_\d+_")


class SubmissionError(Exception):
    """This submission cannot be graded; the message says why."""


@dataclass(frozen=True)
class Source:
    """Where a notebook is: a file, or a member of a zip, or of a zip in a zip."""

    path: Path
    members: tuple[int, ...] = ()  # places in the lists of files, from the outside in

    def read(self) -> bytes:
        """All of it.

        Raises:
            SubmissionError: it is too large, or cannot be read, whatever the reason.
        """
        try:
            if not self.members:
                with self.path.open("rb") as file:
                    return _limited(file, self.path.name)
            with zipfile.ZipFile(self.path) as archive:
                content = _member(archive, self.members[0])
            for place in self.members[1:]:
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    content = _member(archive, place)
            return content
        except SubmissionError:
            raise
        except Exception as error:  # zipfile alone raises ten kinds
            words = f"cannot be read: {type(error).__name__}: {error}" if str(error) else f"cannot be read: {error!r}"
            raise SubmissionError(f"{_name(self.path.name)} {words}") from error


def _member(archive: zipfile.ZipFile, place: int) -> bytes:
    member = archive.infolist()[place]
    name = _name(PurePosixPath(member.filename).name)
    if member.compress_type not in READ:
        raise SubmissionError(f"{name} is compressed in an unusual way: only stored and deflated files are read")
    try:
        with archive.open(member) as file:
            return _limited(file, name)  # whatever size the archive claims
    except SubmissionError:
        raise
    except Exception as error:
        words = str(error) or type(error).__name__
        raise SubmissionError(f"{name} cannot be read from the archive, which may be damaged: {words}") from error


def _limited(file: IO[bytes], name: str) -> bytes:
    content = file.read(LARGEST_NOTEBOOK + 1)
    if len(content) > LARGEST_NOTEBOOK:
        raise SubmissionError(f"{name} is larger than {LARGEST_NOTEBOOK // 2**20} MB")
    return content


def _name(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace") if _is_broken(name) else name


def _is_broken(name: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in name)


@dataclass(frozen=True)
class Submission:
    """What one student handed in: a notebook, or the reason why there is none."""

    student: str
    content: bytes = b""  # empty as long as it was not read
    problem: str = ""
    notes: tuple[str, ...] = ()
    source: Source | None = None
    name: str = ""  # as the platform's file says; others may have the same
    number: str = ""  # the platform's own for this student, "" if its file names none
    late: bool = False  # whether the platform's file says so

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
        """It stands for the content, or the reason why there is none."""
        read = self.load()
        return hashlib.sha256(read.problem.encode("utf-8", "replace") + b"\0" + read.content).hexdigest()

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


@dataclass(frozen=True)
class _File:
    path: PurePosixPath  # below the place where submissions are
    source: Source | None = None
    problem: str = ""


def find_submissions(place: Path, assignment: str) -> list[Submission]:
    """Every submission below a folder, or in a zip file, sorted by student.

    Args:
        place: the folder or zip file.
        assignment: name of the notebook that is wanted where there are several, without ".ipynb".

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: it is a file, but not a zip.
    """
    place = Path(place)
    if not place.exists():
        raise FileNotFoundError(f"there is no {place}")
    if place.is_dir():
        files = list(_in_folder(place, PurePosixPath()))
    elif zipfile.is_zipfile(place):
        files = list(_in_zip(Source(place), PurePosixPath(), depth=0))
    else:
        raise ValueError(f"{place} is neither a folder nor a zip file")
    files = _unwrapped([file for file in files if not IGNORED & set(file.path.parts)], assignment)
    entries: dict[tuple[str, str], dict[str, list[_File]]] = {}
    late = set()
    for file in files:
        name, number, is_late = _student(file.path, assignment)
        entries.setdefault((name, number), {}).setdefault(file.path.parts[0], []).append(file)
        late |= {(name, number)} if is_late else set()
    names = [name for name, _ in entries]
    found = []
    for name, number in sorted(entries):
        student = name if names.count(name) == 1 else f"{name} ({number or 'no number'})"  # two of the same name
        chosen = _choose(student, entries[name, number], assignment)
        found.append(replace(chosen, name=name, number=number, late=(name, number) in late))
    return found


def _in_folder(folder: Path, below: PurePosixPath) -> Iterator[_File]:
    for entry in sorted(folder.iterdir()):
        path = below / _name(entry.name)
        if entry.is_symlink():
            yield _File(path, problem=f"{path.name} is a link, and links are not followed")
        elif entry.is_dir():
            yield from list(_in_folder(entry, path)) or [_File(path)]  # nobody vanishes
        elif not entry.is_file():
            yield _File(path, problem=f"{path.name} is not a file")
        elif _kind(path) == ".zip":
            yield from list(_in_zip(Source(entry), path, depth=1)) or [_File(path)]
        elif _kind(path) == ".ipynb":
            too_large = entry.stat().st_size > LARGEST_NOTEBOOK
            yield _too_large(path) if too_large else _File(path, Source(entry))
        else:
            yield _File(path)


def _kind(path: PurePosixPath) -> str:
    """.ipynb, .zip, whichever case it is written in."""
    return path.suffix.lower()


@contextmanager
def _opened(source: Source, *, trusted: bool) -> Iterator[zipfile.ZipFile]:
    """The archive; a student's only if its list of files is not too long, which zipfile would read in one piece."""
    with io.BytesIO(source.read()) if source.members else source.path.open("rb") as file:
        if not trusted and _list_size(file) > LARGEST_LIST:
            raise SubmissionError(f"{source.path.name} has a list of files that is too long")
        with zipfile.ZipFile(file) as archive:
            yield archive


def _list_size(file: IO[bytes]) -> float:
    """Bytes of a zip's list of files, as its last record says."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - 22 - 2**16 - 20, 0))
    end = file.read()
    if END_64 in end:
        return math.inf  # more than 4 GB, or it says so
    place = len(end) - 22 if end[-22:-18] == END and end[-2:] == b"\0\0" else end.rfind(END)
    return struct.unpack_from("<I", end, place + 12)[0] if 0 <= place <= len(end) - 22 else 0


def _in_zip(source: Source, below: PurePosixPath, *, depth: int) -> Iterator[_File]:
    """The members of a zip. One that would leave it is a problem of the submission it would have been part of."""
    try:
        with _opened(source, trusted=depth == 0) as archive:
            members = archive.infolist()
    except SubmissionError as error:
        yield _File(below, problem=str(error))
        return
    except Exception as error:
        yield _File(below, problem=f"{below.name} is not a zip file that can be read: {error}")
        return
    if len(members) > MOST_MEMBERS:
        yield _File(below, problem=f"{len(members)} files in {below.name}, at most {MOST_MEMBERS} are looked at")
        return
    for place, member in enumerate(members):
        inside = PurePosixPath(_name(member.filename.replace("\\", "/")))
        if inside.is_absolute() or ".." in inside.parts or not inside.parts:
            first = below if depth else PurePosixPath(next((p for p in inside.parts if p not in ("/", "..")), "?"))
            yield _File(first, problem=f"a path that leads out of the archive: {member.filename[:100]!r}")
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield _File(below / inside, problem=f"{inside.name} is a link, and links are not followed")
        elif member.is_dir():
            continue
        elif _kind(inside) == ".ipynb":
            too_large = member.file_size > LARGEST_NOTEBOOK
            here = Source(source.path, (*source.members, place))
            yield _too_large(below / inside) if too_large else _File(below / inside, here)
        elif _kind(inside) == ".zip" and depth < 1:
            inner = Source(source.path, (*source.members, place))
            yield from list(_in_zip(inner, below / inside, depth=depth + 1)) or [_File(below / inside)]
        elif _kind(inside) == ".zip":
            yield _File(below / inside, problem=f"{inside.name} is a zip in a zip in a zip")
        else:
            yield _File(below / inside)


def _too_large(path: PurePosixPath) -> _File:
    return _File(path, problem=f"{path.name} is larger than {LARGEST_NOTEBOOK // 2**20} MB")


def _unwrapped(files: list[_File], assignment: str) -> list[_File]:
    """Without the one folder that everything lies in, if it holds a folder or file a student and is none itself."""
    tops = {file.path.parts[0] for file in files}
    below = {file.path.parts[1] for file in files if len(file.path.parts) > 1}
    single = len(tops) == 1 and all(len(file.path.parts) > 1 for file in files) and not any(map(_is_zip, tops))
    own = f"{assignment}.ipynb" in below or below == {assignment} or (len(below) == 1 and tops != {assignment})
    if not single or own:
        return files
    return _unwrapped([replace(file, path=PurePosixPath(*file.path.parts[1:])) for file in files], assignment)


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _student(path: PurePosixPath, assignment: str) -> tuple[str, str, bool]:
    """Name, number and lateness, out of ada/..., ada.ipynb, ada.zip, ada-NAME.ipynb, or what platforms make of them:
    Ada L_12_assignsubmission_file_/..., adalovelace_LATE_12_34_x.zip."""
    name = path.parts[0]
    for pattern in (MOODLE, CANVAS):
        match = pattern.match(name)
        if match:
            return match["name"], match["number"], bool(match["late"])
    name = re.sub(r"\.(ipynb|zip)$", "", name, flags=re.IGNORECASE)
    return re.sub(rf"[ _-]+{re.escape(assignment)}$", "", name, flags=re.IGNORECASE) or name, "", False


def _choose(student: str, entries: dict[str, list[_File]], assignment: str) -> Submission:
    """The one notebook that counts."""
    if len(entries) > 1:
        return Submission(student, problem=f"handed in more than once: {', '.join(sorted(entries))}")
    (files,) = entries.values()
    problems = tuple(file.problem for file in files if file.problem)
    notebooks = [file for file in files if file.source is not None and not file.problem]
    named = [file for file in notebooks if file.path.name.lower() == f"{assignment}.ipynb".lower()]
    chosen = named if len(named) == 1 else notebooks
    if len(chosen) == 1:
        return Submission(student, notes=_few(problems), source=chosen[0].source)
    if notebooks:
        names = ", ".join(_few(tuple(str(file.path) for file in notebooks)))
        return Submission(student, problem=f"which notebook counts? There are {names}", notes=_few(problems))
    return Submission(student, problem="; ".join(_few(problems)) or "there is no notebook")


def _few(words: tuple[str, ...]) -> tuple[str, ...]:
    """The first ten, and how many more there are."""
    more = len(words) - 10
    return words if more <= 0 else (*words[:10], f"and {more} more")
