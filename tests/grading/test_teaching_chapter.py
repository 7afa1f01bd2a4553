"""What the chapter for instructors says about chapters and exercises is so."""

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from labkit.grading.authoring import check
from labkit.grading.authoring.assignments import read_assignment

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "book/teaching/teaching_with_this_book.md").read_text(encoding="utf-8")
SAID = [line for line in TEXT.splitlines() if "](../" in line and re.search(r"\(\d+ min\b", line)]


def minutes(chapter):
    """How long a chapter takes, as its first cell says."""
    cells = json.loads((ROOT / "book" / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    return int(re.findall(r"\*\*Time:\*\* (\d+) minutes", "".join(cells[0]["source"]))[0])


@pytest.mark.parametrize("line", SAID, ids=lambda line: line[:12])
def test_the_time_for_reading_is_that_of_the_chapters(line):
    chapters, said = re.match(r"(.*?)\((\d+) min\b", line).groups()
    assert sum(map(minutes, re.findall(r"\[\]\(\.\./(.*?)\)", chapters))) == int(said)


def test_every_week_and_more_has_such_a_line():
    assert len([line for line in SAID if re.match(r"\| \d", line)]) == 6


def calls_earlier_ones(path):
    """Whether a function of the solution calls one that an earlier task asked for."""
    earlier = set()
    for cell in read_assignment(path).cells:
        if cell.kind == "code" and cell.solution:
            tree = ast.parse(cell.source)
            if earlier & {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}:
                return True
            earlier |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return False


def test_the_assignments_whose_tasks_build_on_each_other_are_named():
    (exceptions,) = re.findall(r"own earlier function \(in every assignment here but (.*) some do\)", TEXT)
    none = {path.stem for path in ROOT.glob("solutions/*/*.ipynb") if not calls_earlier_ones(path)}
    assert set(re.findall(r"`(\w+)`", exceptions)) == none


def test_the_worked_example_takes_its_own_answer_and_says_what_is_wrong_with_another():
    solution, test = re.findall(r"^```python\n(.*?)^```", TEXT.partition("First the solution:")[2], re.M | re.S)[:2]
    names = {"torch": torch, "check": check}
    exec(solution + test, names)
    with pytest.raises(AssertionError, match="two black images"):
        exec(solution.replace("amax((1, 2, 3))", "amax((2, 3))") + test, names)
    right, wrong = names["brightest"], lambda images: images.amin((1, 2, 3))
    reference, rng = SimpleNamespace(brightest=right), np.random.default_rng(0)
    same, other = (
        [words for _, words in names["hidden"](SimpleNamespace(brightest=each), reference, rng)]
        for each in (right, wrong)
    )
    assert same == [None, None]
    assert all(other)
