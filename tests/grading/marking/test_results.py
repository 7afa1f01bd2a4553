from dataclasses import asdict

import pytest

from labkit.grading.marking.results import LONGEST, MOST_NOTES, Answer, Part, Result, Task, result_from, sentence

RESULT = Result("ada", tasks={"check-mean": Task(1.25, 3, [Part("a", None)])}, by_hand={"why": Answer(4, "so")})


def test_as_a_dict_and_back():
    assert result_from(RESULT.as_dict()) == RESULT
    assert RESULT.as_dict()["tasks"]["check-mean"] == asdict(RESULT.tasks["check-mean"])


@pytest.mark.parametrize("change", [{"tasks": {"x": {"points": 1}}}, {"grade": 3}, {"tasks": {"x": {"parts": [{}]}}}])
def test_what_is_no_result_is_refused(change):
    with pytest.raises((TypeError, KeyError)):
        result_from(RESULT.as_dict() | change)


def test_the_total_is_rounded_once():
    tasks = {str(n): Task(0.1, 1, []) for n in range(3)}
    assert Result("ada", tasks=tasks).total == 0.3


def test_there_is_room_for_so_many_notes():
    result = Result("ada", notes=["first"])
    result.add_notes([f"cell {n}: it fails" for n in range(100)])
    result.add_notes([])
    assert len(result.notes) == MOST_NOTES + 1
    assert result.notes[-1] == "and 81 more of the kind"
    result.add_notes(["one more"])
    assert result.notes[-1] == "and 1 more of the kind"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines\tand  more", "two lines and more"),
        ("\x1b[31mred\u202e\0", "?[31mred??"),
        (None, "None"),
        ("x" * 10**7, "x" * (LONGEST - 3) + "..."),
    ],
)
def test_words_of_a_student_are_one_short_printable_line(text, line):
    assert sentence(text) == line
