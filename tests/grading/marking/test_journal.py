import numpy as np
import torch

from labkit.grading.authoring import check, compare
from labkit.grading.marking import journal


class Halves:
    """A student whose function is wrong on numbers above ten."""

    def half(self, number):
        return number / 2 if number <= 10 else np.inf

    def value(self, name):
        return 451


def parts_of(hidden, student=None, room=journal.MOST_CODE):
    watched = journal.Watched(student or Halves())
    tried = journal.tried(check.parts(hidden, watched, Halves(), 0), watched)
    return [part.as_part(room) for part in tried]


def test_a_part_keeps_inputs_answer_expected_and_tolerance():
    def hidden(student, reference, rng):
        yield "eight", check.same(student.half(8), 4.0, 1e-3)
        yield "a list", check.same([student.half(6), student.half(12)], [3.0, 6.0])
        yield "a variable", check.finite(student.value("temperature"), ())

    right, wrong, variable = parts_of(hidden)
    assert (right.words, right.code, right.answer, right.expected) == (None, "half(8)", "4.0", "4.0")
    assert right.tolerance == 1e-3
    assert wrong.words == "at [1]: inf, expected 6"
    assert (wrong.code, wrong.answer, wrong.expected) == ("half(12)", "[3.0, inf]", "[3.0, 6.0]")
    assert (variable.code, variable.answer, variable.expected, variable.tolerance) == ("temperature", "451", "", None)


def test_an_answer_that_changes_afterwards_is_kept_as_it_was():
    class Changing:
        def grow(self, array):
            return array

    def hidden(student, reference, rng):
        answer = student.grow(np.zeros(2))
        right = answer.sum() == 0
        answer += 9
        yield "zeros", None if right else "not zero"

    (part,) = parts_of(hidden, Changing())
    assert part.answer == "np.array([0.0, 0.0])"


def test_calls_that_need_more_room_than_there_is_are_named():
    def hidden(student, reference, rng):
        yield "x", check.same(student.half(8.0), 4.0)

    (part,) = parts_of(hidden, room=5)
    assert part.code == "# hal"
    assert (part.answer, part.expected) == ("4.0", "4.0")


def test_values_in_words():
    assert journal.in_words(torch.tensor([[1.5, 2.0]])) == "torch.tensor([[1.5, 2.0]])"
    assert journal.in_words(check.Raised("ValueError", "no")) == "stops with ValueError: no"
    assert journal.in_words({"a": [1, (2.5,)], "b": None}) == "{'a': [1, (2.5,)], 'b': None}"
    assert journal.in_words("x\0\ny") == r"'x\x00\ny'"
    large = np.arange(100.0).reshape(4, 25)
    words = journal.in_words(large)
    assert words.startswith("float64 array of shape 4 x 25, from 0 to 99, mean 49.5, SHA-256 ")
    assert words != journal.in_words(large + np.eye(4, 25) * 1e-9), "the digest tells them apart"
    assert journal.in_words(torch.ones(200, dtype=torch.bool)).startswith("bool tensor of shape 200, from 1 to 1")
    assert journal.in_words(np.zeros((0, 3))).startswith("float64 array of shape 0 x 3, SHA-256")
    assert "nan" in journal.in_words(np.full(80, np.nan))


def test_nothing_is_longer_than_it_may_be():
    deep = 1
    for _ in range(30):
        deep = [deep, "x" * 100]
    hoard = ["y" * 10**6, list(range(10**6)), {str(number): number for number in range(10**5)}, [[]] * 10**6, deep]
    for value in [*hoard, hoard]:
        assert len(journal.in_words(value)) <= journal.LONGEST_VALUE
    assert "(1000000 in all)" in journal.in_words([0] * 10**6) or journal.in_words([0] * 10**6).endswith("...")


def test_comparisons_of_others_are_not_noted():
    with compare.noted() as outer:
        check.same(1, 1)
        with compare.noted() as inner:
            check.same(2, 2)
    assert ([each.found for each in outer], [each.found for each in inner]) == ([1], [2])
