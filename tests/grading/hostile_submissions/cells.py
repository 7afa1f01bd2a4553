"""Notebooks whose cells and metadata are not what was released."""

import copy
import json

from nbformat.v4 import new_output

from tests.grading import tiny
from tests.grading.hostile_submissions._hand_in import hand_in, honest_with


def tests_of(book):
    return [cell for cell in book.cells if cell.id.startswith("check-")]


def deleted_tests(place):
    book = tiny.honest()
    book.cells = [cell for cell in book.cells if cell not in tests_of(book)]
    hand_in(book, place)


def deleted_tasks(place):
    book = tiny.honest()
    book.cells = [cell for cell in book.cells if cell.id != "spread"]
    hand_in(book, place)


def duplicated_cells(place):
    book = tiny.honest()
    for cell in list(book.cells):
        double = copy.deepcopy(cell)
        double.id = f"{cell.id}-2"
        book.cells.append(double)
    hand_in(book, place)


def split_cells(place):
    book = tiny.honest()
    cell = tiny.cell(book, "mean")
    second = copy.deepcopy(cell)
    cell.source, second.source, second.id = "factor = 1", "def mean(values):\n    return values.mean() * factor", "half"
    book.cells.insert(book.cells.index(cell) + 1, second)
    hand_in(book, place)


def reordered_cells(place):
    book = tiny.honest()
    book.cells.reverse()
    hand_in(book, place)


def edited_tests(place):
    book = tiny.honest()
    for cell in tests_of(book):
        cell.source = "print('all tests passed')"
    hand_in(book, place)


def hidden_test_of_its_own(place):
    """A test cell that brings a hidden check along which is always right."""
    book = tiny.honest()
    for cell in tests_of(book):
        cell.source = "def hidden(student, reference, rng):\n    yield 'all', None\n\n\ncheck.here(hidden, globals())"
    hand_in(book, place)


def tests_as_text(place):
    book = tiny.honest()
    for cell in tests_of(book):
        cell.cell_type = "markdown"
        del cell["outputs"], cell["execution_count"]
    hand_in(book, place)


def tasks_as_text(place):
    book = tiny.honest()
    cell = tiny.cell(book, "spread")
    cell.cell_type = "markdown"
    del cell["outputs"], cell["execution_count"]
    hand_in(book, place)


def emptied_metadata(place):
    book = tiny.honest()
    for cell in book.cells:
        cell.metadata = {}
    hand_in(book, place)


def forged_points(place):
    book = tiny.honest()
    for cell in tests_of(book):
        cell.metadata.nbgrader.points = 1000
    hand_in(book, place)


def forged_names(place):
    """The solved task poses as the others."""
    book = tiny.honest()
    for name in ("spread", "temperature"):
        cell = copy.deepcopy(tiny.cell(book, "mean"))
        cell.id, cell.metadata.nbgrader.grade_id = f"forged-{name}", name
        book.cells.append(cell)
    hand_in(book, place)


def metadata_of_other_types(place):
    book = json.loads(json.dumps(tiny.honest()))
    strange = [None, 7, "nbgrader", [1], {"grade_id": {"a": 1}, "points": "many", "grade": "yes", "solution": 3}]
    for cell, value in zip(book["cells"], strange * 3, strict=False):
        cell["metadata"] = {"nbgrader": value} if value != 7 else value
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_text(json.dumps(book))


def forged_outputs(place):
    book = tiny.honest()
    for cell in tests_of(book):
        cell.outputs = [new_output("stream", name="stdout", text="3 of 3 points")]
        cell.execution_count = 1
    hand_in(book, place)


def ten_megabytes_of_cells(place):
    hand_in(honest_with(*["#" + "x" * 10**5 for _ in range(100)]), place)


def a_million_empty_cells(place):
    book = json.loads(json.dumps(tiny.honest()))
    book["cells"] += [{"cell_type": "code", "source": "", "metadata": {}}] * 100_000
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_text(json.dumps(book))


def invalid_json(place):
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_text(json.dumps(tiny.honest())[:-40])


def another_kind_of_json(place):
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_text(json.dumps([{"cells": "all of them", "points": 7}]))


def json_nested_deep(place):
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_text("[" * 10**6 + "]" * 10**6)


def script_in_answers(place):
    """In the words, in an error, in a result, and in the student's name."""
    script = "<script>document.title = 'labkit-attack'</script><img src=x onerror=\"document.title = 'labkit-attack'\">"
    book = tiny.honest()
    tiny.cell(book, "why").source = script
    tiny.cell(book, "spread").source = f"def spread(values):\n    raise ValueError({script!r})"
    tiny.cell(book, "temperature").source = f"temperature = {script!r}"
    hand_in(book, place.with_name(f"{place.name} <script>alert(1)<%2fscript>"))


def formula_in_a_name(place):
    hand_in(tiny.honest(), place.with_name(f'=HYPERLINK("http:")&{place.name}'))
