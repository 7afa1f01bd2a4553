"""Processes that die while they mark: who is tried again, and what is kept."""

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking import schedule
from labkit.grading.marking.orders import READING, Settings
from labkit.grading.marking.results import Part, Task
from labkit.grading.marking.schedule import Attempt, Markers, mark_all
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.fork_server import ServerError
from labkit.grading.sandbox.limits import Limits
from tests.grading import tiny

# The check hands what a student's function returns to the solution's, which then computes for ever in one instruction.
HEAVY = """
### BEGIN HIDDEN TESTS
def hidden(student, reference, rng):
    values = rng.standard_normal(3) + 9
    yield "3 numbers", check.same(student.spread(values), reference.spread(values))
    yield "powers of it", check.same(reference.power(student.value("exponent")), 8)


check.here(hidden, globals())
### END HIDDEN TESTS
"""


def submission(student, book, tmp_path):
    return Submission(student, tiny.write(book, tmp_path / f"{student}.ipynb").read_bytes())


def heavy():
    """The tiny assignment, whose second task asks the solution about a student's number."""
    book = tiny.solution()
    tiny.cell(book, "spread").source += "\nexponent = 3\n\n\ndef power(n):\n    return 2**n if n < 99 else 7**7**n"
    tiny.cell(book, "check-spread").source = HEAVY
    return book


@pytest.mark.slow
def test_what_a_solution_computes_for_a_student_is_bounded(tmp_path, boxed):
    assignment = read_assignment(tiny.write(heavy(), tmp_path / "tiny.ipynb"))
    right = tiny.solved()
    tiny.cell(right, "spread").source += "\nexponent = 3"
    greedy = tiny.solved()
    tiny.cell(greedy, "spread").source += "\nexponent = 10**6"
    everybody = [submission("greedy", greedy, tmp_path), submission("right", right, tmp_path)]
    with Markers(Settings(assignment, 1, Limits(cell=5, call=1, total=60))) as markers:
        results = {result.student: result for result in mark_all(markers, everybody, workers=2)}
    assert results["right"].total == 7
    assert results["right"].final
    task = results["greedy"].tasks["check-spread"]
    assert task.points < 3
    assert "the check could not go on with what came back" in task.parts[-1].words
    assert results["greedy"].total == 4 + task.points
    assert results["greedy"].problem == ""


class Dying:
    """Markers whose processes die at some submissions, each at its turn, as if the machine had run out of memory."""

    def __init__(self, markers, deaths):
        self.markers, self.deaths, self.running, self.beside = markers, deaths, 0, {}

    def start(self, attempt):
        channel = self.markers.start(attempt)
        if self.deaths.get(attempt.submission.student, 0) > 0:
            self.deaths[attempt.submission.student] -= 1
            channel.close()
            ours, theirs = schedule.socket.socketpair()
            theirs.close()
            return schedule.Connection(ours.detach())
        return channel

    def close(self):
        self.markers.close()


@pytest.mark.slow
@pytest.mark.parametrize(("deaths", "final", "graded"), [(0, True, True), (1, False, True), (2, False, False)])
def test_who_may_be_innocent_is_tried_again_and_never_final(tmp_path, boxed, deaths, final, graded):
    assignment = read_assignment(tiny.write(tiny.solution(), tmp_path / "tiny.ipynb"))
    everybody = [submission(name, tiny.honest(), tmp_path) for name in ("ada", "bob")]
    with Markers(Settings(assignment, 1)) as markers:
        found = {r.student: r for r in mark_all(Dying(markers, {"ada": deaths}), everybody, workers=2)}
    assert (found["bob"].total, found["bob"].final) == (tiny.HONEST, True)
    assert found["ada"].final == final
    assert (found["ada"].total if graded else found["ada"].problem) == (tiny.HONEST if graded else schedule.ENDED)


@pytest.mark.slow
def test_a_cluster_marks_no_task_that_is_known(tmp_path, boxed):
    distributed = pytest.importorskip("distributed")
    assignment = read_assignment(tiny.write(tiny.solution(), tmp_path / "tiny.ipynb"))
    everybody = [submission(name, tiny.honest(), tmp_path) for name in ("ada", "bob")]
    known = {"ada": {"check-mean": Task(1.5, 3, [Part("3 numbers", None)])}}
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        results = list(schedule.on_cluster(Settings(assignment, 1), everybody, scheduler=address, known=known))
    assert {each.student: each.total for each in results} == {"ada": 1.5, "bob": tiny.HONEST}


class Gone:
    """Markers whose server ends as often as it is started."""

    def start(self, attempt):
        raise ServerError("it has ended")

    def close(self):
        pass


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_ends_again_and_again_is_an_error_and_nothing_to_wait_for(workers):
    with pytest.raises(BoxError, match="again and again"):
        list(mark_all(Gone(), [Submission("ada", b"{}"), Submission("bob", b"{}")], workers=workers))


def test_an_attempt_knows_what_its_process_is_at():
    attempt = Attempt(Submission("ada", b"{}"))
    assert attempt.note({"at": READING}) is None
    attempt.note({"at": "check-mean"})
    attempt.note({"task": ["check-mean", {"points": 1, "of": 3, "parts": []}]})
    attempt.note({"at": "check-spread"})
    attempt.deaths = 1
    assert attempt.order().ended is None
    attempt.deaths = 2
    assert attempt.order().ended == "check-spread"
    assert list(attempt.order().known) == ["check-mean"]
    with pytest.raises(ValueError, match="a process said"):
        attempt.note({"points": 100})
    with pytest.raises((TypeError, KeyError)):
        attempt.note({"task": ["check-mean", {"points": 1}]})
