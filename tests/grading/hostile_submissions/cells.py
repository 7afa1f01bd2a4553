"""Notebooks whose cells and metadata are not what was released."""

import copy
import gzip
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


def as_json(place, change=lambda book: None, encoding="utf-8"):
    """The honest notebook, changed as plain JSON, which nbformat would refuse to write."""
    book = json.loads(json.dumps(tiny.honest()))
    change(book)
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_bytes(json.dumps(book).encode(encoding))


def half_a_surrogate_pair_in_a_name(place):
    def change(book):
        for cell in book["cells"]:
            cell["metadata"]["nbgrader"] = {"grade_id": "\ud800mean", "grade": False, "solution": True}

    as_json(place, change)


def half_a_surrogate_pair_as_a_kind(place):
    as_json(place, lambda book: book["cells"].append({"cell_type": "\udfff", "source": "\ud800"}))


def half_a_surrogate_pair_in_an_answer(place):
    as_json(place, lambda book: book["cells"][-1].update(source="I think \ud800 so."))


def half_a_surrogate_pair_in_code(place):
    as_json(place, lambda book: book["cells"].append({"cell_type": "code", "source": "x = '\ud83d'"}))


def name_of_twenty_megabytes(place):
    def change(book):
        marks = {"nbgrader": {"grade_id": "x" * 20_000_000, "solution": True, "grade": False}}
        book["cells"].append({"cell_type": "code", "source": "1 / 0", "metadata": marks})

    as_json(place, change)


def kind_of_a_megabyte(place):
    as_json(place, lambda book: book["cells"][4].update(cell_type="y" * 10**6))


def sixteen_megabytes_of_empty_cells(place):
    as_json(place, lambda book: book["cells"].extend([{}] * 4_000_000))


def two_thousand_failing_cells(place):
    cells = [{"cell_type": "code", "source": f"raise ValueError('{'x' * 100}')", "metadata": {}}] * 1900
    as_json(place, lambda book: book["cells"].extend(cells))


def copies_of_a_figure_and_a_long_cell(place):
    """Whatever looks for the names of one cell in all others has a lot to do."""
    figure = {"cell_type": "code", "source": tiny.FIGURE, "metadata": {}}
    long = {"cell_type": "code", "source": "y = [" + "x, " * 200_000 + "]", "metadata": {}}
    as_json(place, lambda book: book["cells"].extend([figure] * 1500 + [long]))


def an_f_string_of_150_000_pieces(place):
    text = "'" + "{x}" * 150_000 + "'"
    as_json(place, lambda book: book["cells"].append({"cell_type": "code", "source": f"x = 1\ny = f{text}"}))


def brackets_without_end(place):
    as_json(place, lambda book: book["cells"].append({"cell_type": "code", "source": "(" * 500_000}))


def minus_without_end(place):
    as_json(place, lambda book: book["cells"].append({"cell_type": "code", "source": "-" * 500_000 + "1"}))


def null_bytes_in_code(place):
    as_json(place, lambda book: book["cells"].append({"cell_type": "code", "source": "x = '\0'\0"}))


def points_beyond_numbers(place):
    def change(book):
        strange = [10**400, float("nan"), float("inf"), -1e308, True, "3"]
        for cell, points in zip(book["cells"][2:], strange, strict=False):
            cell["metadata"]["nbgrader"]["points"] = points

    as_json(place, change)


def sources_of_other_types(place):
    strange = [None, 7, {"a": 1}, [1, [2]], ["x = ", None, {}], True]
    as_json(place, lambda book: book["cells"].extend({"cell_type": "code", "source": each} for each in strange))


def cells_of_other_types(place):
    as_json(place, lambda book: book["cells"].extend([None, 7, "x", []]))


def cells_in_an_object(place):
    as_json(place, lambda book: book.update(cells={"0": book["cells"]}))


def an_old_format(place):
    as_json(place, lambda book: book.update(worksheets=[{"cells": book.pop("cells")}], nbformat=3))


def utf_16(place):
    as_json(place, encoding="utf-16")


def a_mark_before_the_text(place):
    as_json(place, encoding="utf-8-sig")


def compressed_in_place(place):
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_bytes(gzip.compress(json.dumps(tiny.honest()).encode()))


def nothing_in_it(place):
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_bytes(b"")


def zeros_only(place):
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_bytes(bytes(10**6))


def twenty_megabytes_of_pictures(place):
    """Honest: large outputs and attachments."""

    def change(book):
        picture = {"output_type": "display_data", "data": {"image/png": "A" * 20_000_000}, "metadata": {}}
        book["cells"][1]["outputs"] = [picture]
        book["cells"][0]["attachments"] = {"a.png": {"image/png": "B" * 1_000_000}}

    as_json(place, change)


def metadata_nested_deep(place):
    def change(book):
        nested = {}
        for _ in range(400):
            nested = {"nbgrader": nested}
        book["cells"][1]["metadata"] = nested

    as_json(place, change)


def an_answer_of_a_megabyte(place):
    as_json(place, lambda book: book["cells"][-1].update(source="I think so. " * 80_000))


def an_answer_that_turns_the_text_round(place):
    as_json(place, lambda book: book["cells"][-1].update(source="\u202e\u2066 .os kniht I \x1b[2J"))


def formula_in_an_answer_and_in_an_error(place):
    def change(book):
        book["cells"][-1]["source"] = '=HYPERLINK("http://x")'
        source = "raise ValueError('=1+1;\\uff1d1+1|-cmd')"
        book["cells"].append({"cell_type": "code", "source": source, "metadata": {"nbgrader": {"grade_id": "=1+1"}}})

    as_json(place, change)
