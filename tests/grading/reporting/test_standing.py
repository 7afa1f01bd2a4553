import math

import pytest

from labkit.grading.marking.results import Answer, Result, Task
from labkit.grading.marking.submissions import Submission, slug
from labkit.grading.reporting.by_hand import Marks
from labkit.grading.reporting.lateness import Rule
from labkit.grading.reporting.standing import Terms, standings


def standing(days: float, *, rule: Rule | None = None, marks: Marks | None = None, **result):
    """Of a student with 8 points by machine who handed in so many days late."""
    found = Result("ada", tasks={"check-mean": Task(8, 10, [])}, **result)
    marks = marks or Marks()
    marks.days_late[slug("ada")] = days
    return standings([found], marks, {}, Terms(rule=rule))[0]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, ""),
        (0.01, "handed in a day late"),
        (1, "handed in a day late"),
        (1.01, "handed in 2 days late"),
        (math.nan, "handed in late"),
    ],
)
def test_lateness_in_words(days, words):
    assert standing(days).lateness == words


@pytest.mark.parametrize(("days", "lost"), [(0, 0), (0.01, 0.8), (1, 0.8), (1.01, 1.6), (99, 8), (math.nan, 0)])
def test_every_day_that_was_begun_costs_and_no_more_than_there_is(days, lost):
    late = standing(days, rule=Rule(10, percent=True))
    assert (late.taken_off, late.total) == (lost, 8 - lost)
    assert standing(days).total == 8, "without a rule it costs nothing"


def test_open_until_somebody_has_marked_every_answer():
    answers = {"why": Answer(4, "so"), "how": Answer(2, "thus")}
    first = standing(0, by_hand=answers)
    assert (first.status, first.open) == ("open: by hand", ["why", "how"])


def test_what_cannot_be_graded_and_has_no_points():
    found = standings([Result("half", problem="broken")], Marks(), {})[0]
    assert (found.status, found.total, found.number) == ("cannot be graded", 0, "")


def test_the_platforms_flag_without_a_date():
    late = Submission("eve", late=True)
    found = standings([Result("eve")], Marks(), {"eve": late}, Terms(rule=Rule(1, percent=False)))[0]
    assert math.isnan(found.days_late)
    assert found.lateness == "handed in late"
    excused = standings([Result("eve")], Marks(extensions={slug("eve"): 2}), {"eve": late})[0]
    assert excused.lateness == ""
