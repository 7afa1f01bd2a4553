"""Files: written whole or not at all, and known by their digest."""

import base64
import gzip
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A file that takes the place of another in one step, so that no reader and no power cut ever finds half of it.

    What the block writes to the path it is given becomes `path` when the block ends. If the block raises, nothing is
    left of it, and `path` is what it was. The folder is made if it is missing.

    Args:
        path: the file to write or to replace.

    Yields:
        A path in the same folder that no other process and no other thread uses, with the same suffix.

    Raises:
        FileNotFoundError: the block wrote nothing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # the content reaches the disk before the name does
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """A folder that takes the place of another, whole or not at all.

    What the block puts into the empty folder it is given becomes `path` when the block ends. If the block raises,
    `path` is what it was. No system call swaps two folders everywhere, so for a moment there is none: a process that is
    killed leaves the old folder, the new one or no folder at that path, never a mixture, and the next call removes what
    it left beside it.

    Args:
        path: the folder to make or to replace.

    Yields:
        An empty folder of the same name, in a hidden one beside it, that no other process and no other thread uses.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".partial-*-{path.name}"):
        if not _is_running(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    scratch = path.with_name(f".partial-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    new, old = scratch / "new" / path.name, scratch / "old"
    new.mkdir(parents=True)
    try:
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
    finally:
        if old.exists() and not path.exists():  # the new one could not take its place
            old.rename(path)
        shutil.rmtree(scratch, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_json(path: Path | str, content: Any, *, indent: int | None = None) -> None:
    """Write a JSON file whole or not at all, in UTF-8, with a newline at its end."""
    write_bytes(path, (json.dumps(content, indent=indent) + "\n").encode())


def read_json(path: Path | str) -> Any:
    """What a JSON file in UTF-8 holds."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def cache_folder() -> Path:
    """$LABKIT_CACHE, or ~/.cache/labkit."""
    return Path(os.environ.get("LABKIT_CACHE") or Path.home() / ".cache" / "labkit")


def sha256(content: bytes | Path) -> str:
    """SHA-256 of bytes, or of a file's content, in hexadecimal digits."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(content).hexdigest()


def digest_of(paths: Iterable[Path], pattern: str = "*") -> str:
    """Digest of files, and of the files below folders: their names and what is in them.

    Args:
        paths: files and folders.
        pattern: which files below a folder count; hidden ones, and what Python compiled, never do.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob(pattern)) if path.is_dir() else [path]:
            if file.is_file() and not file.name.startswith(".") and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(path.parent)}\0{sha256(file)}\0".encode())
    return digest.hexdigest()


def as_script(files: dict[str, bytes]) -> bytes:
    """A script that puts these files, gzipped and in base64, into a page's `labFiles`: a page opened from disk may load
    scripts, and nothing else."""
    lines = ["globalThis.labFiles ??= {};"]
    for name, content in files.items():
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        lines.append(f"labFiles[{json.dumps(name)}] = {json.dumps(packed)};")
    return "\n".join([*lines, ""]).encode()
