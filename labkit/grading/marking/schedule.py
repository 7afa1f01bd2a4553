"""Many submissions: in several processes of this machine, or on the workers of a Dask cluster.

Every worker process has its own warmed parent, its own copy of the solved notebook and its own boxes, and lets the
canary fly before it marks anything. A worker that dies takes nothing with it but the submission it was at, which
another one takes up; a submission that ends several workers is listed as one that cannot be graded.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.marking import Marker, Result
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.box import BoxError, Boxes, Limits
from labkit.grading.sandbox.canary import leaks

ATTEMPTS = 3
_markers: dict["Settings", Marker] = {}
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Settings:
    """What a worker has to know."""

    assignment: Assignment
    seed: int
    limits: Limits = Limits()  # noqa: RUF009
    sandbox: bool = True
    hidden: tuple[str, ...] = ()  # paths that must not be seen in a box


class Leaky(BoxError):
    """The canary got out."""


def mark(settings: Settings, submission: Submission) -> Result:
    """Mark one submission in this process.

    Raises:
        BoxError: boxes cannot be made here, or leak.
        AssignmentError: the assignment itself is wrong.
    """
    with _one_at_a_time:
        if settings not in _markers:
            for old in _markers.values():
                old.boxes.close()
            _markers.clear()
            _markers[settings] = _marker(settings)
        return _markers[settings].mark(submission)


def _marker(settings: Settings) -> Marker:
    boxes = Boxes(settings.assignment.modules, limits=settings.limits, sandbox=settings.sandbox)
    boxes.warm()  # beside the solution, which takes its time too
    try:
        marker = Marker(settings.assignment, boxes, seed=settings.seed)
        found = leaks(boxes, [Path(path) for path in settings.hidden]) if settings.sandbox else []
        if found:
            raise Leaky("the box leaks, so nothing was graded: " + "; ".join(found))
        return marker
    except BaseException:
        boxes.close()
        raise


def on_this_machine(settings: Settings, submissions: list[Submission], *, workers: int | None = None) -> Iterator:
    """Yield each submission's result as it comes.

    Args:
        settings: for the workers.
        submissions: to be marked.
        workers: processes; as many as there are processors, if not said.
    """
    left = {submission.student: submission for submission in submissions}
    deaths = dict.fromkeys(left, 0)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min(workers or processors, len(left)) or 1
    while left:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(mark, settings, submission): student for student, submission in left.items()}
            try:
                for future in as_completed(futures):
                    result = future.result()
                    del left[futures[future]]
                    yield result
            except BrokenProcessPool:
                suspects = list(left)[:workers]  # those that were being marked: tasks are taken up in order
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if left:
            for student in suspects:
                deaths[student] += 1
                if deaths[student] == ATTEMPTS:
                    del left[student]
                    yield Result(student, problem="the marking process died each time it was at this submission")


def on_cluster(settings: Settings, submissions: list[Submission], *, scheduler: str) -> Iterator:
    """As `on_this_machine`, on the workers of a Dask cluster; they need labkit and bubblewrap.

    Args:
        settings: for the workers.
        submissions: to be marked.
        scheduler: its address, "tcp://host:8786".

    Raises:
        BoxError: a worker cannot make boxes, or they leak; or distributed is not installed, or nobody answers.
    """
    try:
        from distributed import Client, KilledWorker
        from distributed import as_completed as completed
    except ImportError as error:
        raise BoxError("--scheduler needs Dask: pip install 'labkit[grade]'") from error
    try:
        client = Client(scheduler, timeout=30)
    except OSError as error:
        raise BoxError(f"no scheduler answers at {scheduler}") from error
    with client:
        futures = {
            client.submit(mark, settings, submission, pure=False, key=f"mark-{settings.seed}-{submission.student}"): (
                submission.student
            )
            for submission in submissions
        }
        try:
            for future in completed(futures):
                try:
                    yield future.result()
                except KilledWorker:
                    yield Result(futures[future], problem="its worker died each time it was at this submission")
        finally:
            client.cancel(list(futures))
