"""A small assignment for the tests of grading, and an honest student who solved one of its tasks."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NAME = "tiny"
HONEST = 3.0  # points of `honest`, of 7

HIDDEN = """
### BEGIN HIDDEN TESTS
def hidden(student, reference, rng):
    for what, values in {
        "3 numbers": rng.standard_normal(3) + 9,
        "5 numbers": rng.standard_normal(5) + 9,
        "numbers below zero": -rng.random(4) - 1,
    }.items():
        yield what, check.same(student.NAME(values), reference.NAME(values))


check.here(hidden, globals())
### END HIDDEN TESTS
"""
TEMPERATURE = """
### BEGIN HIDDEN TESTS
def hidden(student, reference, rng):
    yield "the value", check.same(student.value("temperature"), reference.value("temperature"))


check.here(hidden, globals())
### END HIDDEN TESTS
"""
FIGURE = "curve = mean(np.ones(3))\nplot.lines([1], {'a': curve})"
WORDS = {
    "mean": "def mean(values):\n    return values.sum() / len(values)",
    "spread": "def spread(values):\n    return values.max() - values.min()",
    "temperature": "temperature = 451",
}
UNSOLVED = {
    "spread": "def spread(values):\n    return values.max()",
    "temperature": 'raise NotImplementedError("your turn")',
}
VISIBLE = {
    "mean": "check.equal(mean(np.array([1.0, 3])), 2.0, 'two numbers')",
    "spread": "check.equal(spread(np.array([1.0, 3])), 2.0, 'two numbers')",
    "temperature": "check.that(temperature > 0, 'paper burns at how many degrees?')",
}
POINTS = {"mean": 3, "spread": 3, "temperature": 1}


def solution():
    """The solved notebook: three tasks marked by machine, one by hand."""
    cells = [new_markdown_cell("# Tiny", id="title"), setup()]
    for name, source in WORDS.items():
        hidden = TEMPERATURE if name == "temperature" else HIDDEN.replace("NAME", name)
        cells += [task(name, f"### BEGIN SOLUTION\n{source}\n### END SOLUTION"), test(name, VISIBLE[name] + hidden)]
    figure = new_code_cell(FIGURE, id="figure")
    return notebook([*cells, figure, answer("### BEGIN SOLUTION\nBecause.\n### END SOLUTION")])


def honest():
    """A student's notebook: `mean` is right, `spread` is wrong, the rest is not begun."""
    cells = [new_markdown_cell("# Tiny", id="title"), setup()]
    for name in WORDS:
        cells += [task(name, UNSOLVED.get(name, WORDS[name])), test(name, VISIBLE[name])]
    return notebook([*cells, answer("I think so.")])


def solved():
    """A student's notebook with everything right."""
    book = honest()
    for name, source in WORDS.items():
        cell(book, name).source = source
    return book


def setup():
    return new_code_cell("import numpy as np\n\nfrom labkit.grading.authoring import check", id="setup")


def task(name, source):
    return new_code_cell(source, id=name, metadata={"nbgrader": marks(name, solution=True)})


def test(name, source):
    metadata = {"nbgrader": marks(f"check-{name}", grade=True, points=POINTS[name], locked=True)}
    return new_code_cell(source, id=f"check-{name}", metadata=metadata)


def answer(text):
    metadata = {"nbgrader": marks("why", grade=True, solution=True, points=4, cell_type="markdown")}
    return new_markdown_cell(text, id="why", metadata=metadata)


def marks(grade_id, **changes):
    usual = {"grade": False, "solution": False, "locked": False, "task": False, "cell_type": "code"}
    return {"schema_version": 3, "grade_id": grade_id} | usual | changes


def notebook(cells):
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def cell(book, name):
    return next(cell for cell in book.cells if cell.id == name)


def write(book, path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    return path
