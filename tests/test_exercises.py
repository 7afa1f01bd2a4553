"""What students get: nothing that gives an answer away, and checks that speak.

tests/wrong_answers/NAME.py lists typical mistakes of an assignment: WRONG maps each task to a list of mistakes. A
mistake is (code, words) with the whole answer, in which `right` is the right one; or (old, new, words) with what to
replace in the solution. The check below the task must answer with these words (a regular expression).
"""

import re
import runpy
from pathlib import Path

import nbformat
import pytest

from labkit.grading.authoring import check
from tools.release_exercises import assignments

ROOT = Path(__file__).parents[1]
RELEASED = sorted((ROOT / "exercises").glob("*/*.ipynb"))
SOLVED = sorted((ROOT / "solutions").glob("*/*.ipynb"))
# A marked call gets copies and gives plain values back, so the hidden checks do not see whether an argument was
# changed, whether a result knew its history, or the mode of a network. Whoever borrows from labkit is refused by the
# marking process, not by a check (tests/journeys/test_instructor.py).
UNSEEN = ("has changed", "changes the", "turned on gradients", "detach", "carry gradients", "no gradient flows")
UNSEEN += (
    "labkit's own",
    "Python number",
    "Python floats",
    "make it a list",
    "comes back in training mode",
    "list the names",
)
SUBJECTS = ("activations_and_top_images", "attacks", "certificates", "class_models", "convolution", "fooling", "layers")
SUBJECTS += ("occlusion", "saliency_and_smoothgrad", "shortcut", "training_loop")


def read(path):
    return nbformat.read(path, as_version=4)


def by_role(notebook, role):
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get(role)]


def test_every_assignment_has_a_solution_and_a_release():
    assert assignments() == sorted(SUBJECTS)
    assert [path.relative_to(ROOT / "exercises") for path in RELEASED] == [
        path.relative_to(ROOT / "solutions") for path in SOLVED
    ]


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_no_solution_and_no_hidden_check_is_released(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "def hidden" not in text
    assert "Marking guide" not in text
    assert "raise NotImplementedError" in text


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_checks_have_points_hidden_parts_and_words(path):
    checks = [cell for cell in by_role(read(path), "grade") if cell.cell_type == "code"]
    assert checks
    for cell in checks:
        name = cell.metadata["nbgrader"]["grade_id"]
        assert cell.metadata["nbgrader"]["points"] > 0, name
        hidden = re.findall(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", cell.source, re.DOTALL)
        assert len(hidden) == 1, f"{name} could be passed by its visible cases alone"
        assert hidden[0].startswith("def hidden(student, reference, rng):"), name
        assert hidden[0].endswith("\n\ncheck.here(hidden, globals())\n"), name
        assert not re.search(r"^\s*assert\b", cell.source, re.MULTILINE), f"{name}: raise with a sentence instead"


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_an_assignment_is_more_than_code(path):
    """A question with a model answer and a guide, hints that unfold, a guess before a figure, and a way on."""
    notebook = read(path)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    answers = [cell for cell in by_role(notebook, "grade") if cell.cell_type == "markdown"]
    assert answers
    for cell in answers:
        given = sum(int(points) for points in re.findall(r"(\d) points? ?(?:each)?:", cell.source))
        assert "**Marking guide.**" in cell.source
        assert 0 < given <= cell.metadata["nbgrader"]["points"]
    assert text.count("<details>") == text.count("</details>") >= 3
    assert "redict before you run" in text
    assert "If you want to go on" in text
    for cell in notebook.cells:
        if cell.cell_type == "code" and "plot." in cell.source and cell.id != "setup":
            assert cell.metadata["mystnb"]["image"]["alt"], cell.id


def hidden_check(source, names):
    with check.collecting(names) as collected:
        exec(source, names)
    return collected[0]


def marks(hidden, student, reference):
    return list(check.parts(hidden, check.Here(student), check.Here(reference), 0))


def mistaken(mistake, solution):
    """The wrong answer and what it must be told."""
    if len(mistake) == 2:
        return mistake
    old, new, words = mistake
    assert solution.count(old) == 1, f"{old!r} is in the solution {solution.count(old)} times"
    return solution.replace(old, new), words


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_wrong_answers_are_told_what_is_wrong(path):
    """Put each wrong answer in the place of the right one: the visible check answers in words, the hidden one sees it
    too, and somewhere gives part of the points."""
    wrong = runpy.run_path(str(ROOT / f"tests/wrong_answers/{path.stem}.py"))["WRONG"]
    released = {cell.id: cell for cell in read(ROOT / "exercises" / path.relative_to(ROOT / "solutions")).cells}
    cells = read(path).cells
    tasks = {cell.id for cell in by_role(read(path), "solution") if cell.cell_type == "code"}
    assert wrong.keys() == tasks, "each task has its mistakes"
    solved, names, shares, problems = {}, {}, [], []
    for cell in cells:  # figures are left out, they take long
        if cell.cell_type == "code" and ("nbgrader" in cell.metadata or cell.id == "setup"):
            exec(cell.source, solved)
            exec(cell.source, names)
    for task, mistakes in wrong.items():
        solution = next(cell.source for cell in cells if cell.id == task)
        hidden = hidden_check(next(cell.source for cell in cells if cell.id == f"check-{task}"), solved)
        parts = marks(hidden, names, solved)
        assert len(parts) >= 2, f"{task}: no partial credit"
        assert not any(part.words for part in parts), f"{task}: {parts}"
        assert len(mistakes) >= 2
        for mistake in mistakes:
            answer, words = mistaken(mistake, solution)
            names["right"] = solved.get(task.replace("-", "_"))
            exec(answer, names)
            told = message(released[f"check-{task}"].source, names)
            if not re.search(words, told):
                problems.append(f"{task}: expected {words!r}, told {told!r} for {mistake[:-1]}")
            shares.append(check.fraction(marks(hidden, names, solved)))
            if shares[-1] == 1 and not any(each in words for each in UNSEEN):
                problems.append(f"{task}: the hidden check does not see {mistake[:-1]}")
            exec(solution, names)
    assert not problems, "\n".join(problems)
    assert any(0 < share < 1 for share in shares), "nobody gets part of the points"


def message(source, names):
    """What a check says; a sentence, never a bare AssertionError."""
    try:
        exec(source, names)
    except (AssertionError, ValueError) as error:
        return str(error)
    return ""
