"""The folder of results: one file a student, written whole or not at all, so that a run can be taken up again."""

import functools
import hashlib
import json
import re
import secrets
from dataclasses import astuple
from pathlib import Path
from typing import Any

import labkit
from labkit.files import write_json
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.results import SCHEMA, Result, result_from
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.limits import Limits


class Records:
    """What has been graded so far, below DIR/results.

    A record counts for exactly one submission, assignment, seed and set of limits, and for the labkit that wrote it: a
    grader that was mended shows no old marks.
    """

    def __init__(self, folder: Path, assignment: Assignment, limits: Limits | None = None):
        self.folder, self.assignment = folder, assignment
        words = f"{SCHEMA} {code_digest()} {assignment.digest} {astuple(limits or Limits())}"
        self._conditions = hashlib.sha256(words.encode()).hexdigest()

    def seed(self, *, anew: bool = False) -> int:
        """The seed of the hidden inputs: fresh for a new run, the same when one is taken up again."""
        path = self.folder / "run.json"
        known = _read(path)
        if not anew and known.get("assignment") == self.assignment.digest and isinstance(known.get("seed"), int):
            return known["seed"]
        seed = secrets.randbits(32)
        write_json(path, {"assignment": self.assignment.digest, "name": self.assignment.name, "seed": seed})
        return seed

    def known(self, submission: Submission, seed: int) -> Result | None:
        """The result of exactly this submission, if it is there."""
        found = _read(self._path(submission.student))
        if found.get("of") != self._digest(submission, seed):
            return None
        try:
            return result_from(found["result"])
        except (TypeError, KeyError, AttributeError):
            return None

    def keep(self, submission: Submission, seed: int, result: Result) -> None:
        """Write a result down; one that is not final is shown, and tried again by the next run."""
        content = {
            "schema": SCHEMA,
            "labkit": code_digest(),
            "of": self._digest(submission, seed) if result.final else None,
            "result": result.as_dict(),
        }
        write_json(self._path(submission.student), content, indent=1)

    def _path(self, student: str) -> Path:
        return self.folder / "results" / f"{slug(student)}.json"

    def _digest(self, submission: Submission, seed: int) -> str:
        words = f"{self._conditions} {seed} {submission.student} {submission.digest}"
        return hashlib.sha256(words.encode()).hexdigest()


@functools.cache
def code_digest() -> str:
    """A digest of the installed labkit: its version and every line of its code."""
    top = Path(labkit.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        digest.update(str(path.relative_to(top)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def slug(student: str) -> str:
    """A file name for any student's name: readable, and its own."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", student).strip("-")[:40]
    return f"{readable or 'student'}-{hashlib.sha256(student.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
