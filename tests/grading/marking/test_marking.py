"""Marking one submission after the other, in this process."""

import json
import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from labkit.grading.authoring.assignments import AssignmentError, read_assignment, read_cells
from labkit.grading.marking.marking import PLACEHOLDERS, Marker, answer_in_words
from labkit.grading.marking.results import Answer
from labkit.grading.marking.submissions import find_submissions
from labkit.grading.sandbox.box import Boxes
from labkit.grading.sandbox.limits import Limits
from tests.grading import tiny

BROKEN = {
    "the solution itself fails": ("check-mean", "reference.mean(values)", "reference.mean(values) + 1"),
    "check.here 0 times": ("check-mean", "check.here(hidden, globals())", ""),
    "stops at 'spread'": ("spread", "def spread", "raise RuntimeError\n\ndef spread"),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_wrong_assignment_is_found_before_anybody_is_graded(tmp_path, message):
    name, old, new = BROKEN[message]
    book = tiny.solution()
    assert old in tiny.cell(book, name).source
    tiny.cell(book, name).source = tiny.cell(book, name).source.replace(old, new)
    tiny.write(book, tmp_path / "tiny.ipynb")
    with pytest.raises(AssignmentError, match=message):
        Marker(read_assignment(tmp_path / "tiny.ipynb"), Boxes(sandbox=False), seed=1)


@pytest.fixture(scope="module")
def marker(boxed, tmp_path_factory):
    path = tiny.write(tiny.solution(), tmp_path_factory.mktemp("marker") / "tiny.ipynb")
    assignment = read_assignment(path)
    with Boxes(assignment.modules, limits=Limits(cell=5, call=2, total=30)) as boxes:
        yield Marker(assignment, boxes, seed=7)


def mark(marker, tmp_path, book):
    tiny.write(book, tmp_path / "ada" / "tiny.ipynb")
    (submission,) = find_submissions(tmp_path, "tiny")
    return marker.mark(submission)


@pytest.mark.slow
def test_partial_credit(marker, tmp_path):
    book = tiny.honest()
    tiny.cell(book, "spread").source = "def spread(values):\n    return abs(values).max() - abs(values).min()"
    result = mark(marker, tmp_path, book)
    task = result.tasks["check-spread"]
    wrong = [part.what for part in task.parts if part.words]
    assert wrong == []  # the same for numbers below zero
    assert task.points == 3
    tiny.cell(book, "spread").source = "def spread(values):\n    return max(values.max(), 0) - values.min()"
    task = mark(marker, tmp_path, book).tasks["check-spread"]
    assert [part.what for part in task.parts if part.words] == ["numbers below zero"]
    assert task.points == 2


@pytest.mark.slow
def test_what_students_are_told(marker, tmp_path):
    book = tiny.honest()
    tiny.cell(book, "spread").source = "def spread(values):\n    return values.maximum()"
    tiny.cell(book, "temperature").source = "temperature = 232.8"
    result = mark(marker, tmp_path, book)
    assert "AttributeError" in result.tasks["check-spread"].parts[0].words
    (part,) = result.tasks["check-temperature"].parts
    assert (part.what, part.words) == ("the value", "232.8 is of kind float64, expected whole numbers (int64)")
    assert result.by_hand == {"why": Answer(4, "I think so.")}
    assert result.memory > 10**7


@pytest.mark.slow
def test_another_notebook_is_not_a_zero(marker, tmp_path):
    result = mark(marker, tmp_path, tiny.notebook([tiny.new_code_cell("x = 1", id="x")]))
    assert "is it another notebook?" in result.problem
    assert result.tasks == {}


@pytest.mark.slow
def test_a_slow_function_costs_its_part_only(marker, tmp_path):
    book = tiny.solved()
    slow = "import time\n\n\ndef spread(values):\n    if len(values) == 5:\n        time.sleep(60)\n"
    tiny.cell(book, "spread").source = slow + "    return np.ptp(values)"
    result = mark(marker, tmp_path, book)
    parts = {part.what: part.words for part in result.tasks["check-spread"].parts}
    assert "took longer than 2 seconds" in parts["5 numbers"]
    assert parts["3 numbers"] is parts["numbers below zero"] is None
    assert result.total == 6


@pytest.mark.slow
def test_another_notebook_beside_one_that_earns_nothing_is_asked_about(marker, tmp_path):
    """As when somebody solved a copy that the browser had named "tiny (1).ipynb"."""
    untouched = tiny.honest()
    tiny.cell(untouched, "mean").source = "raise NotImplementedError"
    assert mark(marker, tmp_path, untouched).problem == ""
    tiny.write(tiny.solved(), tmp_path / "ada" / "tiny (1).ipynb")
    result = mark(marker, tmp_path, untouched)
    words = "Nothing in tiny.ipynb earns points; handed in beside it: tiny (1).ipynb"
    assert result.problem == f"which notebook counts? {words}"
    assert (result.tasks, result.by_hand) == ({}, {})
    result = mark(marker, tmp_path, tiny.honest())
    assert (result.problem, result.total) == ("", tiny.HONEST)
    assert result.notes[0] == "other notebooks were handed in too: tiny (1).ipynb"


@pytest.fixture
def assignment(tmp_path):
    """The tiny one, with a text of the author's below the answer."""
    book = tiny.solution()
    book.cells += [new_markdown_cell("## Go on"), new_code_cell("# your workbench")]
    return read_assignment(tiny.write(book, tmp_path / "tiny.ipynb"))


def answered(assignment, *cells):
    """The answer in words of a notebook with these cells of the student's own below the answer's."""
    book = tiny.honest()
    book.cells += [*cells, new_markdown_cell("## Go on"), new_markdown_cell("Not an answer.")]
    return answer_in_words(read_cells(json.loads(json.dumps(book))), "why", assignment)


def test_an_answer_goes_on_in_cells_of_ones_own(assignment):
    assert answered(assignment) == ["I think so."]
    own = [new_markdown_cell("Since"), new_code_cell("1 + 1"), new_markdown_cell(" "), new_markdown_cell("it is.")]
    assert answered(assignment, *own) == ["I think so.", "Since", "it is."]


@pytest.mark.slow
def test_an_answer_that_is_still_the_placeholder_is_noted(marker, tmp_path):
    book = tiny.honest()
    tiny.cell(book, "why").source = PLACEHOLDERS[0]
    note = f"cell why: nothing was written in the place of {PLACEHOLDERS[0]!r}"
    assert note in mark(marker, tmp_path, book).notes
    book.cells.append(new_markdown_cell("Because I think so.", id="own"))
    result = mark(marker, tmp_path, book)
    assert note not in result.notes
    assert result.by_hand == {"why": Answer(4, f"{PLACEHOLDERS[0]}\n\nBecause I think so.")}


def test_the_placeholder_is_the_one_that_exercises_have():
    config = (Path(__file__).parents[3] / "nbgrader_config.py").read_text(encoding="utf-8")
    assert re.findall(r'text_stub = "(.*)"', config) == [PLACEHOLDERS[0]]
