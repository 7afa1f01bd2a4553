import json

import pytest

from labkit.grading.authoring.assignments import (
    AssignmentError,
    Cell,
    figure_names,
    mentioned,
    read_assignment,
    read_cells,
)
from tests.grading import tiny


@pytest.fixture
def assignment(tmp_path):
    tiny.write(tiny.solution(), tmp_path / "tiny" / "tiny.ipynb")
    return read_assignment(tmp_path / "tiny")


def test_tasks(assignment):
    assert assignment.name == "tiny"
    assert [(cell.name, cell.points) for cell in assignment.tests] == [
        ("check-mean", 3),
        ("check-spread", 3),
        ("check-temperature", 1),
    ]
    assert [(cell.name, cell.points) for cell in assignment.by_hand] == [("why", 4)]


def test_modules_that_are_worth_importing_beforehand(assignment):
    assert {"numpy", "torch", "labkit.grading.authoring", "labkit.grading.authoring.check"} <= set(assignment.modules)


def test_what_cannot_be_an_assignment(tmp_path):
    with pytest.raises(AssignmentError, match="no assignment can be read"):
        read_assignment(tmp_path / "nothing")
    (tmp_path / "list.ipynb").write_text("[]")
    with pytest.raises(AssignmentError, match="format 4"):
        read_assignment(tmp_path / "list.ipynb")
    tiny.write(tiny.notebook([tiny.setup()]), tmp_path / "plain.ipynb")
    with pytest.raises(AssignmentError, match="nbgrader"):
        read_assignment(tmp_path / "plain.ipynb")
    book = tiny.solution()
    tiny.cell(book, "check-mean").metadata.nbgrader.grade_id = "check-spread"
    tiny.write(book, tmp_path / "double.ipynb")
    with pytest.raises(AssignmentError, match="two cells have the grade_id 'check-spread'"):
        read_assignment(tmp_path / "double.ipynb")


def test_test_cells_are_not_run(assignment):
    cells = read_cells(json.loads(json.dumps(tiny.honest())))
    assert [cell.name for cell in assignment.to_run(cells)] == ["", "mean", "spread", "temperature"]


@pytest.mark.parametrize(
    ("other", "runs"),
    [
        ("x = 3", False),
        ("print(curve)", True),
        ("globals()['curve']", True),
        ("%time curve", True),
        ("curve = 3", True),
        ("def f():\n    return curve", True),
        ("curves = 3", False),
    ],
)
def test_an_authors_figure_is_left_out_where_nothing_can_depend_on_it(tmp_path, other, runs):
    tiny.write(tiny.solution(), tmp_path / "tiny.ipynb")
    assignment = read_assignment(tmp_path / "tiny.ipynb")
    found = assignment.to_run([Cell("code", tiny.FIGURE), Cell("code", other)])
    assert [cell.source for cell in found] == ([tiny.FIGURE] if runs else []) + [other]
    changed = Cell("code", tiny.FIGURE.replace("[1]", "[2]"))
    assert assignment.to_run([changed]) == [changed], "a student's own is always run"


END = Cell("markdown", "## If you want to go on\n\nTry what you like.")
MEAN, SPREAD, TEMPERATURE = (Cell("code", source, name) for name, source in tiny.WORDS.items())
EMPTY = Cell("code", "def mean(values):\n    raise NotImplementedError('your turn')", "mean")
BROKEN = Cell("code", "def mean(values)\n    return 3", "mean")
OTHER = Cell("code", "def spread(values):\n    return 7")


@pytest.mark.parametrize(
    ("above", "below", "run"),
    [
        ([MEAN, SPREAD, TEMPERATURE], [OTHER, Cell("code", "from numpy import mean")], []),
        ([MEAN, SPREAD, TEMPERATURE], [Cell("code", "import time\ntime.sleep(9)")], []),
        ([EMPTY, SPREAD, TEMPERATURE], [Cell("code", "two = 2"), OTHER, MEAN], ["two = 2", MEAN.source]),
        ([BROKEN, SPREAD, TEMPERATURE], [OTHER, MEAN], [MEAN.source]),
        ([EMPTY], [SPREAD, MEAN, TEMPERATURE], [SPREAD.source, MEAN.source, TEMPERATURE.source]),
        ([SPREAD], [Cell("code", f"{MEAN.source}\n{OTHER.source}")], [f"{MEAN.source}\n{OTHER.source}"]),
        ([Cell("code", MEAN.source, "check-mean"), SPREAD, TEMPERATURE], [MEAN], [MEAN.source]),
    ],
    ids=["all answered", "a long one", "an answer", "a mistake", "nothing above", "all in one", "in a test cell"],
)
def test_what_stands_below_the_last_heading_counts_only_where_an_answer_is_missing(tmp_path, above, below, run):
    book = tiny.solution()
    book.cells += tiny.new_markdown_cell(END.source), tiny.new_code_cell("# your workbench")
    tiny.write(book, tmp_path / "tiny.ipynb")
    assignment = read_assignment(tmp_path / "tiny.ipynb")
    assert assignment.asked == {"mean", "spread", "temperature"}
    found = assignment.to_run([*above, END, Cell("code", "%pip list"), *below])
    kept = [cell.source for cell in above if cell.name != "check-mean"]
    assert [cell.source for cell in found] == kept + (["%pip list", *run] if run else [])
    without = assignment.to_run([*above, Cell("markdown", "# Mine"), *below])
    assert [cell.source for cell in without] == kept + [cell.source for cell in below], "the heading is gone"


def test_figure_names():
    assert figure_names("a, b = 1, 2\nc = [x for x in d]\nplot.images(a)") == {"a", "b", "c"}
    for source in (
        "plot.images(a)\nx = 1",
        "x.y = 3\nplot.images(a)",
        "print(1)",
        "f()\nplot.images(a)",
        "%matplotlib",
    ):
        assert figure_names(source) is None
    assert figure_names("plot.images((a := 3))") is None
    assert mentioned("f'{a} {b!r}'; c['d']") >= {"a", "b", "c", "d"}


@pytest.mark.parametrize("metadata", [None, 3, [], {"nbgrader": 7}, {"nbgrader": {"grade_id": [], "points": "all"}}])
def test_metadata_in_any_state(metadata):
    (cell,) = read_cells({"cells": [{"cell_type": "code", "source": ["a", "b"], "metadata": metadata}]})
    assert (cell.kind, cell.source, cell.points, cell.graded) == ("code", "ab", 0, False)


@pytest.mark.parametrize("book", [None, [], {}, {"cells": 3}, {"cells": [3]}, {"worksheets": []}])
def test_other_json_is_refused(book):
    with pytest.raises(ValueError, match="not a notebook of format 4"):
        read_cells(book)
