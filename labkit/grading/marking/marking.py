"""Marking one submission: its functions are called in a box, what they return is compared here.

Why by name of function: nbgrader's cells can be deleted, copied, retyped and relabelled at will, by accident too. What
a task asks for is a function (or a variable) with a name, wherever it stands above the last section, so that is what is
looked up in the student's process when its cells have run. A test cell in a submission is never run, so nothing in it
can matter.
"""

import contextlib
import hmac
import time
from collections.abc import Callable, Mapping

from labkit.grading.authoring import check
from labkit.grading.authoring.assignments import Assignment, AssignmentError, Cell
from labkit.grading.marking import journal
from labkit.grading.marking.bounds import TooLong, at_most
from labkit.grading.marking.results import LONGEST_ANSWER, Answer, Part, Result, Task, sentence
from labkit.grading.marking.session import Session, Student
from labkit.grading.marking.solution import Reference, solve
from labkit.grading.marking.submissions import Submission, SubmissionError
from labkit.grading.sandbox.box import Boxes
from labkit.grading.sandbox.bubblewrap import BoxError

PLACEHOLDERS = ("*Your answer here.*", "YOUR ANSWER HERE")  # what nbgrader puts in the place of an answer
FAIR = 5  # seeds that are tried until the solution passes its own checks


class Marker:
    """Marks submissions of one assignment, in this process, one after the other."""

    def __init__(self, assignment: Assignment, boxes: Boxes, *, seed: int):
        """Solve the assignment, and try its hidden checks on the solution.

        Raises:
            AssignmentError: the solution stops, or does not pass.
        """
        self.assignment, self.boxes, self.seed = assignment, boxes, seed
        namespace, self._hidden = solve(assignment)
        self._reference = Reference(namespace)
        self._parts = self._own_parts(seed)

    def seed_for(self, content: bytes) -> int:
        """The seed of a submission's inputs.

        It follows from the run's seed, which nobody outside knows, and from what was handed in: whoever hands in again,
        with a table made from the own feedback, meets other inputs. Inputs on which rounding trips the solution itself
        are passed over.

        Raises:
            AssignmentError: the solution fails its own checks on one seed after the other.
        """
        secret = self.seed.to_bytes(32, "big")
        for attempt in range(FAIR):
            seed = int.from_bytes(hmac.digest(secret, content + bytes([attempt]), "sha256")[:8], "big")
            with contextlib.suppress(AssignmentError):
                self._own_parts(seed)
                return seed
        raise AssignmentError(f"the solution fails its own hidden checks on {FAIR} seeds")

    def _own_parts(self, seed: int) -> dict[str, list[check.Part]]:
        """The parts of all tasks where the solution itself is tried.

        Raises:
            AssignmentError: it does not pass.
        """
        tried = {}
        for name, hidden in self._hidden.items():
            found = tried[name] = list(check.parts(hidden, self._reference, self._reference, seed))
            wrong = [f"{part.what}: {part.words}" for part in found if part.words]
            if wrong or not found:
                first = (wrong or ["no part"])[0]
                raise AssignmentError(f"{name}: the solution itself fails its hidden check: {first}")
        return tried

    def mark(
        self,
        submission: Submission,
        *,
        known: Mapping[str, Task] | None = None,
        begin: Callable[[str], None] = lambda name: None,
        done: Callable[[str, Task], None] = lambda name, task: None,
    ) -> Result:
        """Its result; a submission that cannot be graded has a result that says why.

        Args:
            submission: with its content.
            known: tasks that are marked already, by grade_id.
            begin: called with a task's grade_id before it is marked.
            done: called with a task's grade_id and what came of it.
        """
        others = ", ".join(submission.others)
        notes = [*submission.notes, *([f"other notebooks were handed in too: {others}"] if others else [])]
        result, start = Result(submission.student, notes=notes), time.monotonic()
        try:
            with at_most(self.boxes.limits.cell):
                cells = submission.cells()
                code = self.assignment.to_run(cells)
            result.seed = self.seed_for(submission.content)
            self._mark(cells, code, result, known or {}, begin, done)
            if others and self.assignment.tests and not result.problem and result.total == 0:
                mine = f"{self.assignment.name}.ipynb"
                result.problem = f"which notebook counts? Nothing in {mine} earns points; handed in beside it: {others}"
                result.tasks, result.by_hand = {}, {}
        except SubmissionError as error:
            result.problem = str(error)
        except TooLong as error:
            result.problem = f"the notebook cannot be read: {error}"
        except MemoryError:
            result.problem = "the notebook cannot be read: it needs too much memory"
        except BoxError as error:
            result.problem, result.final = f"there was no box for it: {error}", False
        except Exception as error:  # one submission never ends the batch
            result.problem = sentence(f"it cannot be marked ({type(error).__name__}: {error})")
        result.seconds = round(time.monotonic() - start, 2)
        return result

    def _mark(
        self,
        cells: list[Cell],
        code: list[Cell],
        result: Result,
        known: Mapping[str, Task],
        begin: Callable[[str], None],
        done: Callable[[str, Task], None],
    ) -> None:
        session = Session(self.boxes, code)
        try:
            session.start()
            for cell in self.assignment.tests:
                if cell.name not in known:
                    begin(cell.name)
                    result.tasks[cell.name] = self._task(cell, Student(session, self.assignment.lent), result.seed)
                    done(cell.name, result.tasks[cell.name])
                else:
                    result.tasks[cell.name] = known[cell.name]
        finally:
            session.close()
            result.memory = session.memory
        places = {id(cell): number for number, cell in enumerate(cells, start=1)}
        failed = sorted(session.errors.items())
        if session.stopped:
            result.add_notes([f"stopped: {session.stopped}"])
        names = [sentence(code[place].name) or f"number {places[id(code[place])]}" for place, _ in failed]
        result.add_notes([f"cell {name}: {words}" for name, (_, words) in zip(names, failed, strict=True)])
        self._by_hand(cells, result)
        result.add_notes(metadata_notes(cells, self.assignment))
        names_known = {cell.name for cell in self.assignment.cells if cell.name}
        if not names_known & {cell.name for cell in cells} and result.total == 0:
            result.problem = "no cell and no function of this assignment is in it: is it another notebook?"
            result.tasks, result.by_hand = {}, {}

    def _task(self, cell: Cell, student: Student, seed: int) -> Task:
        wanted, found = self._parts[cell.name], []
        problem, room = "", journal.MOST_CODE
        watched = journal.Watched(student)
        running = journal.tried(check.parts(self._hidden[cell.name], watched, self._reference, seed), watched)
        try:
            while len(found) < len(wanted):
                with at_most(self.boxes.limits.call):
                    part = next(running, None)
                    if part is None:
                        break
                    found.append(part.as_part(room))
                    room -= len(found[-1].code)
        except BoxError:  # none could be made
            raise
        except (Exception, TooLong) as error:  # a value of a kind that the check did not expect, or too large
            kind = "" if isinstance(error, TooLong) else f"{type(error).__name__}: "
            problem = f"the check could not go on with what came back ({kind}{error})"
        return self.task(cell, found, problem or "it was not reached")

    def task(self, cell: Cell, found: list[Part], problem: str) -> Task:
        """A task of which some parts were tried, and none of the others because of a problem."""
        rest = [Part(part.what, sentence(problem), part.easy) for part in self._parts[cell.name][len(found) :]]
        tried = [*found, *rest]
        return Task(round(cell.points * check.fraction(tried), 2), cell.points, tried)

    def _by_hand(self, cells: list[Cell], result: Result) -> None:
        for wanted in self.assignment.by_hand:
            count = sum(cell.name == wanted.name for cell in cells)
            if count != 1:
                result.add_notes([f"cell {wanted.name}: there are {count} of it in the notebook"])
            answer = "\n\n".join(answer_in_words(cells, wanted.name, self.assignment))
            if answer.strip() in PLACEHOLDERS:
                result.add_notes([f"cell {wanted.name}: nothing was written in the place of {answer.strip()!r}"])
            result.by_hand[wanted.name] = Answer(wanted.points, answer[:LONGEST_ANSWER])


def answer_in_words(cells: list[Cell], name: str, assignment: Assignment) -> list[str]:
    """What stands in the cells of this name, and in the student's own text cells below each."""
    authors = {cell.source.strip() for cell in assignment.cells if not cell.name}
    found, below = [], False
    for cell in cells:
        text = cell.source.strip()
        if cell.name or (text and text in authors):
            below = cell.name == name
        if cell.name == name or (below and text and cell.kind == "markdown"):
            found.append(cell.source)
    return found


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
            notes.append(f"cell {wanted.name}: it is a {sentence(found[0].kind)} cell now")
    return notes
