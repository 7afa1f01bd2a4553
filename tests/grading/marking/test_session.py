"""A submission's process that dies, lies or takes long, without a box around it."""

import pytest

from labkit.grading.authoring.assignments import Cell
from labkit.grading.authoring.check import Raised
from labkit.grading.marking.session import RESTARTS, Session, Student
from labkit.grading.sandbox.box import Boxes
from labkit.grading.sandbox.limits import Limits

pytestmark = pytest.mark.slow
DOUBLE = "def double(x):\n    return 2 * x"


@pytest.fixture(scope="module")
def boxes():
    with Boxes(limits=Limits(cell=5, call=1, total=30), sandbox=False) as made:
        yield made


@pytest.fixture
def opened(boxes):
    """A function: cells -> their session, closed when the test ends."""
    sessions = []

    def session(*sources):
        sessions.append(Session(boxes, [Cell("code", source) for source in sources]))
        sessions[-1].start()
        return sessions[-1]

    yield session
    for each in sessions:
        each.close()


def test_functions_and_variables_are_asked_for(opened):
    session = opened("x = 3", DOUBLE, "1 / 0", "y = x + 1")
    student = Student(session, [])
    assert student.double(4) == 8
    assert student.value("y") == 4
    assert session.errors == {2: "ZeroDivisionError: division by zero"}
    assert student.triple(1).kind == student.value("z").kind == "NameError"


def test_a_cell_that_ends_the_process_is_left_out(opened):
    session = opened("x = 3", "import os; os._exit(0)", DOUBLE)
    assert Student(session, []).double(4) == 8
    assert session.errors.keys() == {1}
    assert session.errors[1].startswith("left out: ")


def test_a_function_that_ends_the_process_costs_its_own_answer(opened):
    session = opened(DOUBLE, "import os\n\n\ndef die():\n    os._exit(0)")
    student = Student(session, [])
    assert student.die().kind == "Stopped"
    assert student.double(4) == 8


def test_processes_are_not_used_up_for_ever(opened):
    session = opened("import os\n\n\ndef die():\n    os._exit(0)")
    student = Student(session, [])
    answers = [student.die() for _ in range(RESTARTS + 2)]
    assert answers[-1] == Raised("Stopped", "its process ended too often")
    assert session.stopped == "its process ended too often"


def test_what_borrows_is_not_called(opened):
    session = opened("from labkit.core import log_odds\n\n\ndef double(x):\n    print(log_odds)\n    return 2 * x")
    refused = Student(session, []).double(4)
    assert refused.words == "it calls labkit's own log_odds, and that is what is to be written"
    assert Student(session, ["labkit.core"]).double(4) == 8
