"""Marking one submission: its functions are called in a box, what they return is compared here.

Why by name of function: nbgrader's cells can be deleted, copied, retyped and relabelled at will, by accident too. What
a task asks for is a function (or a variable) with a name, wherever it stands, so that is what is looked up in the
student's process when its cells have run. A test cell in a submission is never run, so nothing in it can matter.
"""

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from labkit.grading.authoring import check
from labkit.grading.authoring.assignments import Assignment, AssignmentError, Cell
from labkit.grading.authoring.check import Here, Raised
from labkit.grading.marking.submissions import Submission, SubmissionError
from labkit.grading.sandbox import notebook_runner, transport
from labkit.grading.sandbox.box import Box, BoxError, Boxes

RESTARTS = 4  # processes that a submission may use up
LONGEST = 300  # characters of a sentence in a report
LONGEST_ANSWER = 20_000


@dataclass
class Result:
    """What came of one submission; made of plain values, so that it can be written to a file."""

    student: str
    problem: str = ""  # why it cannot be graded
    tasks: dict[str, dict] = field(default_factory=dict)  # grade_id: points, of, parts [[what, words or None], ...]
    by_hand: dict[str, dict] = field(default_factory=dict)  # grade_id: of, answer, touched
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0  # bytes, the most that was seen

    @property
    def total(self) -> float:
        return round(sum(task["points"] for task in self.tasks.values()), 2)

    def as_dict(self) -> dict:
        return asdict(self)


class Memory(Here):
    """The solution's functions. Every submission is tried on the same inputs, so an answer is computed once."""

    def __init__(self, namespace: dict):
        super().__init__(namespace)
        self._known: dict[bytes, object] = {}

    def __getattr__(self, name: str) -> Callable:
        function = super().__getattr__(name)

        def call(*arguments, **options):
            try:
                key = name.encode() + transport.encode([list(arguments), options])
            except TypeError:
                return function(*arguments, **options)
            if key not in self._known:
                self._known[key] = function(*arguments, **options)
            return check.plain(self._known[key])

        return call


class Session:
    """A submission's notebook, run in a box and asked questions. A process that dies is replaced, a few times."""

    def __init__(self, boxes: Boxes, cells: list[Cell]):
        self._boxes, self._cells = boxes, cells
        self._box: Box | None = None
        self._left, self._end = RESTARTS, time.monotonic() + boxes.limits.total
        self._skipped: set[int] = set()
        self.errors: dict[int, str] = {}  # how cells ended that did not end well
        self.memory = 0
        self.stopped = ""  # why no further process is started

    def start(self) -> None:
        """Run the notebook's cells, if they have not been run in a process that still lives."""
        while self._box is None and not self.stopped:
            if self._left == 0:
                self.stopped = "its process ended too often"
                return
            self._left -= 1
            self._box = self._boxes.start()
            for place, cell in enumerate(self._cells):
                if place not in self._skipped and not self._run(place, cell):
                    break

    def close(self) -> None:
        if self._box is not None:
            self.memory = max(self.memory, self._box.peak)
            self._box.close()
            self._box = None

    def _run(self, place: int, cell: Cell) -> bool:
        """Run one cell; False if that was the end of the process, which is then replaced by one that leaves it out."""
        seconds = self._boxes.limits.cell
        try:
            ended = self._exchange({"do": "run", "cell": cell.source, "seconds": seconds}, seconds + 2)["ended"]
            if ended is not None:
                kind, message = ended
                self.errors[place] = _sentence(f"{kind}: {message}")
            return True
        except (Lost, KeyError, ValueError, TypeError) as error:
            self._skipped.add(place)
            self.errors[place] = f"left out: {error if isinstance(error, Lost) else 'its process answered nonsense'}"
            self.close()
            return False

    def ask(self, order: dict):
        """The result of a call or a variable's value, or `Raised`."""
        self.start()
        if self._box is None:
            return Raised("Stopped", self.stopped)
        try:
            answer = self._exchange(order, self._boxes.limits.call)
            if "result" in answer:
                return answer["result"]
            kind, message = answer["raised"]
            return Raised(_sentence(kind), _sentence(message))
        except (Lost, KeyError, ValueError, TypeError) as error:
            self.close()
            return Raised("Stopped", str(error) if isinstance(error, Lost) else "its process answered nonsense")

    def _exchange(self, order: dict, seconds: float) -> dict:
        left = self._end - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            transport.send(self._box.channel, order, seconds=min(seconds, left))
            answer = transport.receive(self._box.channel, seconds=min(seconds, left), watch=self._box.watch)
        except TimeoutError:
            if left <= seconds:
                self.stopped = f"took more than {self._boxes.limits.total:g} seconds altogether"
                raise Lost(self.stopped) from None
            raise Lost(f"took longer than {seconds:g} seconds") from None
        except (transport.TransportError, BoxError) as error:
            raise Lost(str(error)) from None
        if not isinstance(answer, dict):
            raise Lost("its process answered nonsense")
        with contextlib.suppress(BoxError):
            self._box.watch()
        return answer


class Student:
    """The functions and variables of a submission, as hidden checks use them."""

    def __init__(self, session: Session):
        self._session = session

    def __getattr__(self, name: str) -> Callable:
        def call(*arguments, **options):
            order = {"do": "call", "name": name, "arguments": list(arguments), "options": options}
            return self._session.ask(order)

        return call

    def value(self, name: str):
        return self._session.ask({"do": "value", "name": name})


class Lost(Exception):
    """A student's process is gone, hangs, or uses too much."""


class Marker:
    """Marks submissions of one assignment, in this process, one after the other."""

    def __init__(self, assignment: Assignment, boxes: Boxes, *, seed: int):
        self.assignment, self.boxes, self.seed = assignment, boxes, seed
        namespace, self._hidden = solve(assignment)
        self._reference = Memory(namespace)
        self._parts = {}
        for name, hidden in self._hidden.items():
            found = list(self._try(hidden, self._reference))
            wrong = [f"{what}: {words}" for what, words in found if words]
            if wrong or not found:
                raise AssignmentError(
                    f"{name}: the solution itself fails its hidden check: {(wrong or ['no part'])[0]}"
                )
            self._parts[name] = [what for what, _ in found]

    def mark(self, submission: Submission) -> Result:
        """Its result; a submission that cannot be graded has a result that says why."""
        result, begin = Result(submission.student, notes=list(submission.notes)), time.monotonic()
        try:
            cells = submission.cells()
            self._mark(cells, result)
        except SubmissionError as error:
            result.problem = str(error)
        except BoxError as error:
            result.problem = f"there was no box for it: {error}"
        result.seconds = round(time.monotonic() - begin, 2)
        return result

    def _mark(self, cells: list[Cell], result: Result) -> None:
        known = {cell.name for cell in self.assignment.cells if cell.name}
        code = self.assignment.to_run(cells)
        session = Session(self.boxes, code)
        try:
            session.start()
            for cell in self.assignment.tests:
                result.tasks[cell.name] = self._task(cell, Student(session))
        finally:
            session.close()
            result.memory = session.memory
        for place, words in sorted(session.errors.items()):
            name = code[place].name or f"number {cells.index(code[place]) + 1}"
            result.notes.append(f"cell {name}: {words}")
        if session.stopped:
            result.notes.append(f"stopped: {session.stopped}")
        self._by_hand(cells, result)
        result.notes += metadata_notes(cells, self.assignment)
        if not known & {cell.name for cell in cells} and result.total == 0:
            result.problem = "no cell and no function of this assignment is in it: is it another notebook?"
            result.tasks, result.by_hand = {}, {}

    def _task(self, cell: Cell, student: Student) -> dict:
        """Points of one task: its points times the fraction of its parts that are right."""
        wanted, found = self._parts[cell.name], []
        problem = ""
        try:
            for what, words in self._try(self._hidden[cell.name], student):
                found.append([what, None if words is None else _sentence(words)])
        except BoxError:  # none could be made
            raise
        except Exception as error:  # a value of a kind that the check did not expect
            problem = f"the check could not go on with what came back ({type(error).__name__}: {error})"
        found = found[: len(wanted)]
        rest = wanted[len(found) :]
        found += [[what, _sentence(problem or "it was not reached")] for what in rest]
        right = sum(words is None for _, words in found)
        return {"points": round(cell.points * right / len(found), 2), "of": cell.points, "parts": found}

    def _try(self, hidden: Callable, student):
        """The parts of a hidden check. The same seed for the solution and every submission, another one each run."""
        return hidden(student, self._reference, np.random.default_rng(self.seed))

    def _by_hand(self, cells: list[Cell], result: Result) -> None:
        for wanted in self.assignment.by_hand:
            answers = [cell.source for cell in cells if cell.name == wanted.name]
            if len(answers) != 1:
                result.notes.append(f"cell {wanted.name}: there are {len(answers)} of it in the notebook")
            text = "\n\n".join(answers).encode("utf-8", "replace").decode()[:LONGEST_ANSWER]
            result.by_hand[wanted.name] = {"of": wanted.points, "answer": text}


def solve(assignment: Assignment) -> tuple[dict, dict[str, Callable]]:
    """Run the solution notebook in this process: its names, and the hidden check of each task.

    Raises:
        AssignmentError: a cell of it fails, or a test cell has not exactly one hidden check.
    """
    shell, hidden = notebook_runner.new_shell(), {}
    for cell in assignment.to_solve():
        with check.collecting() as collected, contextlib.redirect_stdout(io.StringIO()):
            outcome = shell.run_cell(cell.source, store_history=False, silent=True)
        error = outcome.error_before_exec or outcome.error_in_exec
        if error is not None:
            raise AssignmentError(f"the solution stops at {cell.name or cell.source[:40]!r}: {error!r}")
        if cell in assignment.tests:
            if len(collected) != 1:
                raise AssignmentError(f"{cell.name} calls check.here {len(collected)} times, it must be once")
            (hidden[cell.name],) = collected
    torch.set_num_threads(1)  # whatever the notebook set: there is a worker for each processor
    return shell.user_ns, hidden


def metadata_notes(cells: list[Cell], assignment: Assignment) -> list[str]:
    """What an instructor may want to look at: cells of the assignment that are gone, doubled or of another kind."""
    notes = []
    for wanted in assignment.cells:
        if not wanted.name or wanted in assignment.by_hand:
            continue
        found = [cell for cell in cells if cell.name == wanted.name]
        if not found:
            notes.append(f"cell {wanted.name}: it is not in the notebook")
        elif len(found) > 1:
            notes.append(f"cell {wanted.name}: there are {len(found)} of it in the notebook")
        elif found[0].kind != wanted.kind:
            notes.append(f"cell {wanted.name}: it is a {found[0].kind} cell now")
    return notes


def _sentence(text) -> str:
    """Words from a student's process, as one short line of printable characters."""
    line = " ".join(str(text).split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."
