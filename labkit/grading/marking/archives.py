"""Looking through what a learning platform hands out: folders, zips, zips in zips, single files.

Archives are looked through by their lists of files; nothing is unpacked, so no path in them can lead anywhere. Only
the one notebook that counts is read, when its turn comes, and at most so many bytes of it. Links are not followed.
"""

import io
import math
import os
import stat
import struct
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

LARGEST_NOTEBOOK = 64 * 2**20  # with its pictures
MOST_MEMBERS = 10_000
LARGEST_LIST = 4 * 2**20  # bytes of a zip's list of files
END, END_64 = b"PK\x05\x06", b"PK\x06\x07"  # how the last records of a zip begin
READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # ways of compression


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
class File:
    """A file that somebody handed in, or a folder or an archive with nothing in it."""

    path: PurePosixPath  # below the place where submissions are
    source: Source | None = None  # of a notebook
    problem: str = ""
    empty: bool = False


def files_in(place: Path, *, leave_out: Collection[Path] = ()) -> list[File]:
    """Every file below a folder, or in a zip file.

    Args:
        place: the folder or zip file.
        leave_out: files and folders that nobody handed in.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: it is a file, but not a zip.
    """
    if not place.exists():
        raise FileNotFoundError(f"there is no {place}")
    if place.is_dir():
        return list(_in_folder(place.resolve(), PurePosixPath(), {path.resolve() for path in leave_out}))
    if zipfile.is_zipfile(place):
        return list(_in_zip(Source(place), PurePosixPath(), depth=0))
    raise ValueError(f"{place} is neither a folder nor a zip file")


def _in_folder(folder: Path, below: PurePosixPath, leave_out: set[Path]) -> Iterator[File]:
    for entry in sorted(set(folder.iterdir()) - leave_out):
        path = below / _name(entry.name)
        if entry.is_symlink():
            yield File(path, problem=f"{path.name} is a link, and links are not followed")
        elif entry.is_dir():
            yield from list(_in_folder(entry, path, leave_out)) or [File(path, empty=True)]  # nobody vanishes
        elif not entry.is_file():
            yield File(path, problem=f"{path.name} is not a file")
        elif _kind(path) == ".zip":
            yield from list(_in_zip(Source(entry), path, depth=1)) or [File(path, empty=True)]
        elif _kind(path) == ".ipynb":
            too_large = entry.stat().st_size > LARGEST_NOTEBOOK
            yield _too_large(path) if too_large else File(path, Source(entry))
        else:
            yield File(path)


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


def _in_zip(source: Source, below: PurePosixPath, *, depth: int) -> Iterator[File]:
    """The members of a zip. One that would leave it is a problem of the submission it would have been part of."""
    try:
        with _opened(source, trusted=depth == 0) as archive:
            members = archive.infolist()
    except SubmissionError as error:
        yield File(below, problem=str(error))
        return
    except Exception as error:
        yield File(below, problem=f"{below.name} is not a zip file that can be read: {error}")
        return
    if len(members) > MOST_MEMBERS:
        yield File(below, problem=f"{len(members)} files in {below.name}, at most {MOST_MEMBERS} are looked at")
        return
    for place, member in enumerate(members):
        inside = PurePosixPath(_name(member.filename.replace("\\", "/")))
        if inside.is_absolute() or ".." in inside.parts or not inside.parts:
            first = below if depth else PurePosixPath(next((p for p in inside.parts if p not in ("/", "..")), "?"))
            yield File(first, problem=f"a path that leads out of the archive: {member.filename[:100]!r}")
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield File(below / inside, problem=f"{inside.name} is a link, and links are not followed")
        elif member.is_dir():
            continue
        elif _kind(inside) == ".ipynb":
            too_large = member.file_size > LARGEST_NOTEBOOK
            here = Source(source.path, (*source.members, place))
            yield _too_large(below / inside) if too_large else File(below / inside, here)
        elif _kind(inside) == ".zip" and depth < 1:
            inner = Source(source.path, (*source.members, place))
            yield from list(_in_zip(inner, below / inside, depth=depth + 1)) or [File(below / inside, empty=True)]
        elif _kind(inside) == ".zip":
            yield File(below / inside, problem=f"{inside.name} is a zip in a zip in a zip")
        else:
            yield File(below / inside)


def _too_large(path: PurePosixPath) -> File:
    return File(path, problem=f"{path.name} is larger than {LARGEST_NOTEBOOK // 2**20} MB")
