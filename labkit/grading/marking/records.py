"""The folder of results: one file a student, written whole or not at all, so that a run can be taken up again."""

import hashlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.marking import Result
from labkit.grading.marking.submissions import Submission


@dataclass(frozen=True)
class Records:
    """What has been graded so far, below DIR/results."""

    folder: Path
    assignment: Assignment

    def seed(self, *, anew: bool = False) -> int:
        """The seed of the hidden inputs: fresh for a new run, the same when one is taken up again."""
        path = self.folder / "run.json"
        known = _read(path)
        if not anew and known.get("assignment") == self.assignment.digest and isinstance(known.get("seed"), int):
            return known["seed"]
        seed = secrets.randbits(32)
        _write(path, {"assignment": self.assignment.digest, "name": self.assignment.name, "seed": seed})
        return seed

    def known(self, submission: Submission, seed: int) -> Result | None:
        """The result of exactly this submission, if it is there."""
        found = _read(self._path(submission.student))
        if found.get("of") != self._digest(submission, seed):
            return None
        return Result(**found["result"])

    def keep(self, submission: Submission, seed: int, result: Result) -> None:
        content = {"of": self._digest(submission, seed), "result": result.as_dict()}
        _write(self._path(submission.student), content)

    def _path(self, student: str) -> Path:
        return self.folder / "results" / f"{slug(student)}.json"

    def _digest(self, submission: Submission, seed: int) -> str:
        words = f"{self.assignment.digest} {seed} {submission.student} {submission.problem} ".encode()
        return hashlib.sha256(words + submission.content).hexdigest()


def slug(student: str) -> str:
    """A file name for any student's name: readable, and its own."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", student).strip("-")[:40]
    return f"{readable or 'student'}-{hashlib.sha256(student.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(partial, path)
