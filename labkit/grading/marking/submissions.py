"""Finding students' notebooks in what a learning platform hands out: folders, zips, zips in zips, single files.

Archives are read in memory, member by member and with size limits; nothing is unpacked, so no path in them can lead
anywhere. Links are not followed. Nothing but the notebook is taken: what lies beside it never reaches a box.
"""

import io
import json
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labkit.grading.authoring.assignments import Cell, read_cells

LARGEST_NOTEBOOK = 64 * 2**20  # with its pictures
LARGEST_CODE = 2**20  # characters of all its cells
MOST_CELLS = 2000
MOST_MEMBERS = 10_000
IGNORED = {"__MACOSX", ".ipynb_checkpoints", ".DS_Store", "Thumbs.db"}
MOODLE = re.compile(r"^(?P<name>.+?)_\d+_assignsubmission_(file|onlinetext)_?")
CANVAS = re.compile(r"^(?P<name>[^\W_]+?)(_LATE)?_\d+_\d+_")


class SubmissionError(Exception):
    """This submission cannot be graded; the message says why."""


@dataclass(frozen=True)
class Submission:
    """What one student handed in: the bytes of a notebook, or the reason why there are none."""

    student: str
    content: bytes = b""
    problem: str = ""
    notes: tuple[str, ...] = ()

    def cells(self) -> list[Cell]:
        """Its cells.

        Raises:
            SubmissionError: there is no notebook, or none that can be read.
        """
        if self.problem:
            raise SubmissionError(self.problem)
        try:
            cells = read_cells(json.loads(self.content))
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
    content: bytes = b""
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
        files = list(_in_zip(place.read_bytes(), PurePosixPath(), depth=0))
    else:
        raise ValueError(f"{place} is neither a folder nor a zip file")
    files = _unwrapped([file for file in files if not IGNORED & set(file.path.parts)], assignment)
    by_student: dict[str, dict[str, list[_File]]] = {}
    for file in files:
        by_student.setdefault(_student(file.path, assignment), {}).setdefault(file.path.parts[0], []).append(file)
    return [_choose(student, entries, assignment) for student, entries in sorted(by_student.items())]


def _in_folder(folder: Path, below: PurePosixPath) -> Iterator[_File]:
    for entry in sorted(folder.iterdir()):
        path = below / entry.name
        if entry.is_symlink():
            yield _File(path, problem=f"{path.name} is a link, and links are not followed")
        elif entry.is_dir():
            yield from _in_folder(entry, path)
        elif not entry.is_file():
            yield _File(path, problem=f"{path.name} is not a file")
        elif entry.suffix == ".zip":
            yield from _in_zip(entry.read_bytes(), path, depth=1)
        elif entry.suffix == ".ipynb":
            too_large = entry.stat().st_size > LARGEST_NOTEBOOK
            yield _too_large(path) if too_large else _File(path, entry.read_bytes())
        else:
            yield _File(path)


def _in_zip(content: bytes, below: PurePosixPath, *, depth: int) -> Iterator[_File]:
    """The members of a zip. One that would leave it is a problem of the submission it would have been part of."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        yield _File(below, problem=f"{below.name} is not a zip file that can be read: {error}")
        return
    if len(members) > MOST_MEMBERS:
        yield _File(below, problem=f"{len(members)} files in {below.name}, at most {MOST_MEMBERS} are looked at")
        return
    for member in members:
        inside = PurePosixPath(member.filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or not inside.parts:
            first = below if depth else PurePosixPath(next((p for p in inside.parts if p not in ("/", "..")), "?"))
            yield _File(first, problem=f"a path that leads out of the archive: {member.filename[:100]!r}")
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield _File(below / inside, problem=f"{inside.name} is a link, and links are not followed")
        elif not member.is_dir():
            yield from _member(archive, member, below / inside, depth)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: PurePosixPath, depth: int) -> Iterator[_File]:
    if path.suffix not in (".ipynb", ".zip"):
        yield _File(path)
        return
    try:
        with archive.open(member) as file:
            content = file.read(LARGEST_NOTEBOOK + 1)  # whatever size the archive claims
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, EOFError, OSError) as error:
        yield _File(path, problem=f"{path.name} cannot be read from the archive: {error}")
        return
    if len(content) > LARGEST_NOTEBOOK:
        yield _too_large(path)
    elif path.suffix == ".ipynb":
        yield _File(path, content)
    elif depth < 1:
        yield from _in_zip(content, path, depth=depth + 1)
    else:
        yield _File(path, problem=f"{path.name} is a zip in a zip in a zip")


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
    return _unwrapped([_File(PurePosixPath(*f.path.parts[1:]), f.content, f.problem) for f in files], assignment)


def _is_zip(name: str) -> bool:
    return name.endswith(".zip")


def _student(path: PurePosixPath, assignment: str) -> str:
    """ada/..., ada.ipynb, ada.zip, ada-NAME.ipynb, Ada L_12_assignsubmission_file_/..., adalovelace_12_34_x.zip."""
    name = path.parts[0]
    for pattern in (MOODLE, CANVAS):
        match = pattern.match(name)
        if match:
            return match["name"]
    name = re.sub(r"\.(ipynb|zip)$", "", name)
    return re.sub(rf"[ _-]+{re.escape(assignment)}$", "", name) or name


def _choose(student: str, entries: dict[str, list[_File]], assignment: str) -> Submission:
    """The one notebook that counts."""
    if len(entries) > 1:
        return Submission(student, problem=f"handed in more than once: {', '.join(sorted(entries))}")
    (files,) = entries.values()
    problems = tuple(file.problem for file in files if file.problem)
    notebooks = [file for file in files if file.path.suffix == ".ipynb" and not file.problem]
    named = [file for file in notebooks if file.path.name == f"{assignment}.ipynb"]
    chosen = named if len(named) == 1 else notebooks
    if len(chosen) == 1:
        return Submission(student, chosen[0].content, notes=problems)
    if notebooks:
        names = ", ".join(str(file.path) for file in notebooks)
        return Submission(student, problem=f"which notebook counts? There are {names}", notes=problems)
    return Submission(student, problem="; ".join(problems) or "there is no notebook")
