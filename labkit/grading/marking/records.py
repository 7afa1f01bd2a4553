"""The folder of results: one file a student, written whole or not at all, so that a run can be taken up again."""

import functools
import hashlib
import json
import secrets
from dataclasses import astuple, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import labkit
from labkit.files import digest_of, write_json
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.results import SCHEMA, Result, Task, result_from
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.limits import Limits


class Records:
    """What has been graded so far, below DIR/results.

    A record counts for exactly one submission, assignment, seed and set of limits, and for the labkit that wrote it: a
    grader that was mended shows no old marks.
    """

    def __init__(self, folder: Path, assignment: Assignment, limits: Limits | None = None):
        self.folder, self.assignment = folder, assignment
        self._conditions = f"{SCHEMA} {code_digest()} {astuple(limits or Limits())}"

    def seed(self, *, anew: bool = False) -> int:
        """What the seeds of all inputs follow from: fresh for a new run, the same when one is taken up again.

        It stays the same where the assignment was mended, so that nobody's mark changes by other inputs.
        """
        path = self.folder / "run.json"
        known = _read(path)
        if not anew and known.get("name") == self.assignment.name and isinstance(known.get("seed"), int):
            return known["seed"]
        seed = secrets.randbits(128)
        write_json(path, {"name": self.assignment.name, "seed": seed})
        return seed

    def known(self, submission: Submission, seed: int) -> Result | None:
        """The result of exactly this submission, if it is there."""
        found = self._found(submission)
        same = found.get("of") == self._digest(submission, seed, self.assignment.digest)
        return self._result(found, submission) if same else None

    def known_tasks(self, submission: Submission, seed: int) -> dict[str, Task]:
        """The tasks of exactly this submission whose checks are as they were when they were marked."""
        found = self._found(submission)
        result, digests = self._result(found, submission), found.get("tasks")
        if result is None or not isinstance(digests, dict):
            return {}
        now = self._digests(submission, seed)
        return {name: task for name, task in result.tasks.items() if now.get(name, "") == digests.get(name)}

    def latest(self, submission: Submission) -> Result | None:
        """The last result of a student, whatever it was made of."""
        return self._result(self._found(submission), submission)

    def about(self, submission: Submission) -> str:
        """Words on how a student's record came about."""
        found = self._found(submission)
        return f"labkit {found.get('version', '?')}, code {found.get('labkit', '?')}, {self._latest(submission)}"

    def keep(self, submission: Submission, seed: int, result: Result) -> None:
        """Write a result down; one that is not final is shown, and tried again by the next run."""
        content = {
            "schema": SCHEMA,
            "version": version("labkit"),
            "labkit": code_digest(),
            "of": self._digest(submission, seed, self.assignment.digest) if result.final else None,
            "tasks": self._digests(submission, seed) if result.final else {},
            "result": result.as_dict(),
        }
        write_json(self._path(submission.key), content, indent=1)

    def _found(self, submission: Submission) -> dict[str, Any]:
        return _read(self._latest(submission))

    def _result(self, found: dict[str, Any], submission: Submission) -> Result | None:
        try:
            return replace(result_from(found["result"]), student=submission.student)
        except (TypeError, KeyError, AttributeError):
            return None

    def _digests(self, submission: Submission, seed: int) -> dict[str, str]:
        """Of each task: what its marks follow from."""
        tests = self.assignment.tests
        code = "\0".join(cell.source for cell in self.assignment.cells if cell.kind == "code" and cell not in tests)
        return {cell.name: self._digest(submission, seed, f"{code}\0{cell.source}\0{cell.points}") for cell in tests}

    def _path(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"

    def _latest(self, submission: Submission) -> Path:
        """Where the last record of a student is; an earlier version of labkit may have written it."""
        path = self._path(submission.key)
        return self._path(submission.former) if submission.former and not path.exists() else path

    def _digest(self, submission: Submission, seed: int, checks: str) -> str:
        words = f"{self._conditions} {seed} {submission.key} {submission.digest} {checks}"
        return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()


@functools.cache
def code_digest() -> str:
    """A digest of the installed labkit: its version and every line of its code."""
    return digest_of([Path(labkit.__file__).parent], "*.py")[:16]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
