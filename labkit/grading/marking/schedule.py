"""Many submissions: in several processes of this machine, or on the workers of a Dask cluster.

Each machine has one server that has solved the assignment (see `process`), and forks a child from it for each
submission. A child that dies takes nothing with it but the task it was at. It may have died of something else (the
machine was out of memory, say), so its submission is marked once more, when nothing else runs beside it; and if its
child dies again it is marked without that task, and the result is not kept as final.
"""

import contextlib
import itertools
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from labkit.extras import needs
from labkit.grading.authoring.assignments import AssignmentError
from labkit.grading.marking.orders import MARKING, READING, Order, Settings
from labkit.grading.marking.results import Result, Task, result_from, task_from
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.fork_server import ForkServer, ServerError, students_server

MOST_BYTES = 2**24  # of one message from a child
MOST_IN_FLIGHT = 64  # submissions that a cluster holds at once
STARTS = 3  # of a server that ends, without a result in between
ENDED = "the process that marked it ended each time"


@dataclass
class Attempt:
    """A submission that is being marked."""

    submission: Submission  # without its content
    known: dict[str, Task] = field(default_factory=dict)  # tasks that are done
    at: str = READING  # what its process is at
    deaths: int = 0  # of processes at that place
    suspect: bool = False  # whether a process has died of it, as far as we know

    def order(self) -> Order:
        """What its next process is told; reads the content."""
        ended = self.at if self.deaths > 1 else None
        return Order(self.submission.load(), self.known, ended)

    def note(self, message: dict[str, Any]) -> Result | None:
        """Take in what a process says; the result, if that was it.

        Raises:
            TypeError, KeyError, ValueError: it makes no sense.
        """
        match message:
            case {"at": str(name)}:
                if name != self.at and name != READING:
                    self.at, self.deaths = name, 0
            case {"task": [str(name), dict(task)]}:
                self.known[name] = task_from(task)
            case {"result": dict(result)}:
                return replace(result_from(result), student=self.submission.student)
            case _:
                raise ValueError(f"a process said {str(message)[:100]}")
        return None


class Markers:
    """The server of marking processes on this machine."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._server: ForkServer | None = None
        self._students: ForkServer | None = None

    def __enter__(self) -> "Markers":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the server, and every process that was forked from it."""
        for each in (self._server, self._students):
            if each is not None:
                each.close()
        self._server = self._students = None

    def start(self, attempt: Attempt) -> Connection:
        """Begin to mark a submission in a process of its own; what it says comes over the connection.

        Raises:
            AssignmentError: the assignment itself is wrong.
            BoxError: boxes cannot be made here, or leak.
            ServerError: the server has ended.
        """
        if self._server is None:
            self._server = self._started()
        ours, theirs = socket.socketpair()
        with theirs:
            self._server.fork(b"mark", [theirs.fileno()])
        channel = Connection(ours.detach())
        with contextlib.suppress(OSError):  # it is gone already: the connection says so
            channel.send(attempt.order())
        return channel

    def _started(self) -> ForkServer:
        """The server that is told the solution, a branch of the students' server, which is started."""
        assignment = self._settings.assignment
        self._students = students_server("labkit.grading.marking.process", assignment.modules, assignment.setup)
        ours, theirs = socket.socketpair()
        with theirs:
            self._server = marking = self._students.branch(MARKING, [theirs.fileno()])
        with contextlib.suppress(OSError), Connection(ours.detach()) as channel:  # if it has ended, `wait` says so
            channel.send((self._settings, dict(os.environ)))
        words = json.loads(marking.wait())
        if words:
            self.close()
            raise (AssignmentError if words["failed"] == "AssignmentError" else BoxError)(words["words"])
        return marking

    def mark(self, submission: Submission, known: dict[str, Task] | None = None) -> Result:
        """Mark one submission, all but the tasks that are known, with nothing else beside it."""
        (result,) = mark_all(self, [submission], workers=1, known={submission.student: known or {}})
        return result


def mark_all(
    markers: Markers,
    wanted: Iterable[Submission],
    *,
    workers: int,
    known: Mapping[str, dict[str, Task]] | None = None,
) -> Iterator[Result]:
    """Yield each submission's result as it comes, whatever it holds.

    Args:
        markers: this machine's.
        wanted: submissions; read one by one.
        workers: how many are marked at once.
        known: tasks of a student that are not marked again.

    Raises:
        AssignmentError: the assignment itself is wrong.
        BoxError: boxes cannot be made here, or leak.
    """
    left = iter(wanted)
    alone: deque[Attempt] = deque()
    running: dict[Connection, Attempt] = {}
    starts = 0
    while True:
        while len(running) < workers and (submission := next(left, None)) is not None:
            attempt = Attempt(submission, dict((known or {}).get(submission.student, {})))
            starts += _start(markers, attempt, running, alone)
        if not running:
            if not alone:
                return
            starts += _start(markers, alone.popleft(), running, alone)
        if starts > STARTS:
            raise BoxError("the server of the marking processes ends again and again: is there enough memory?")
        if not running:
            continue  # nothing to wait for: the server has ended, and is started again
        for channel in list(wait(list(running))):
            assert isinstance(channel, Connection)
            attempt = running[channel]
            try:
                result = attempt.note(json.loads(channel.recv_bytes(MOST_BYTES)))
            except (EOFError, OSError, ValueError, TypeError, KeyError):
                result = _ended(attempt)
                if result is None:
                    alone.append(attempt)
            else:
                if result is None:
                    continue
                result.final = result.final and not attempt.suspect
                starts = 0
            channel.close()
            del running[channel]
            if result is not None:
                yield result


def _start(markers: Markers, attempt: Attempt, running: dict[Connection, Attempt], alone: deque[Attempt]) -> int:
    """Begin to mark a submission; 1 if the server has ended, so that all that is running has to be done again."""
    try:
        running[markers.start(attempt)] = attempt
        return 0
    except ServerError:
        markers.close()
        alone.append(attempt)
        return 1


def _ended(attempt: Attempt) -> Result | None:
    """What comes of a submission whose process has ended without a result; None if it is tried again."""
    attempt.deaths, attempt.suspect = attempt.deaths + 1, True
    if attempt.deaths < 2 or (attempt.at != READING and attempt.deaths < 3):
        return None
    return Result(attempt.submission.student, problem=ENDED, final=False)


def on_this_machine(
    settings: Settings,
    submissions: Iterable[Submission],
    *,
    workers: int | None = None,
    known: Mapping[str, dict[str, Task]] | None = None,
) -> Iterator[Result]:
    """Yield each submission's result as it comes.

    Args:
        settings: for the marking processes.
        submissions: to be marked.
        workers: submissions at once; as many as there are processors, if not said.
        known: see `mark_all`.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with Markers(settings) as markers:
        yield from mark_all(markers, submissions, workers=workers or processors or 1, known=known)


def on_cluster(
    settings: Settings,
    submissions: Iterable[Submission],
    *,
    scheduler: str,
    known: Mapping[str, dict[str, Task]] | None = None,
) -> Iterator[Result]:
    """As `on_this_machine`, on the workers of a Dask cluster; they need labkit and bubblewrap.

    Args:
        settings: for the workers.
        submissions: to be marked.
        scheduler: its address, "tcp://host:8786".
        known: see `mark_all`.

    Raises:
        BoxError: a worker cannot make boxes, or they leak; or nobody answers.
        ModuleNotFoundError: distributed is not installed.
    """
    with needs("grade"):
        from distributed import Client, KilledWorker, as_completed
    try:
        client = Client(scheduler, timeout=30)
    except OSError as error:
        raise BoxError(f"no scheduler answers at {scheduler}") from error
    with client:
        students: dict[Any, str] = {}
        name = f"labkit-grade-{settings.seed}"

        def submit(submission: Submission) -> Any:
            key, done = f"{name}-{submission.student}", (known or {}).get(submission.student, {})
            future = client.submit(mark_on_worker, name, settings, submission.load(), done, pure=False, key=key)
            students[future] = submission.student
            return future

        left = iter(submissions)
        completed = as_completed([submit(submission) for submission in itertools.islice(left, MOST_IN_FLIGHT)])
        try:
            for future in completed:
                student = students.pop(future)
                try:
                    yield future.result()
                except KilledWorker:
                    problem = "its worker died each time it was at this submission"
                    yield Result(student, problem=problem, final=False)
                if (submission := next(left, None)) is not None:
                    completed.add(submit(submission))
        finally:
            client.cancel(list(students))


def mark_on_worker(name: str, settings: Settings, submission: Submission, known: dict[str, Task]) -> Result:
    """On a worker of a cluster: mark one submission, with the server that the worker keeps for that."""
    with needs("grade"):
        from distributed import get_worker

    plugins: dict[str, Any] = get_worker().plugins
    return plugins.setdefault(name, MarkersOfWorker(settings)).mark(submission, known)


class MarkersOfWorker:
    """A worker's server; as a plugin of the worker, so that it ends with it."""

    def __init__(self, settings: Settings):
        self._markers, self._one_at_a_time = Markers(settings), threading.Lock()

    def mark(self, submission: Submission, known: dict[str, Task]) -> Result:
        """Mark one submission; a second one waits."""
        with self._one_at_a_time:
            return self._markers.mark(submission, known)

    def teardown(self, worker: object) -> None:
        """Called when the worker ends."""
        self._markers.close()
