"""What students get: it stops at the first task and nowhere before, and its checks speak."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools.release_exercises import assignments

ROOT = Path(__file__).parents[1]
RELEASED = sorted((ROOT / "exercises").glob("*/*.ipynb"))
SOLVED = sorted((ROOT / "solutions").glob("*/*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


def by_role(notebook, role):
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get(role)]


def test_every_assignment_has_a_solution_and_a_release():
    assert assignments()
    assert [path.relative_to(ROOT / "exercises") for path in RELEASED] == [
        path.relative_to(ROOT / "solutions") for path in SOLVED
    ]


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_no_solution_and_no_hidden_check_is_released(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "raise NotImplementedError" in text


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_checks_have_points_hidden_parts_and_words(path):
    checks = [cell for cell in by_role(read(path), "grade") if cell.cell_type == "code"]
    assert checks
    for cell in checks:
        name = cell.metadata["nbgrader"]["grade_id"]
        assert cell.metadata["nbgrader"]["points"] > 0, name
        assert "### BEGIN HIDDEN TESTS" in cell.source, f"{name} could be passed by its visible cases alone"
        assert not re.search(r"^\s*assert\b", cell.source, re.MULTILINE), f"{name}: raise with a sentence instead"


@pytest.mark.slow
@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_release_stops_at_the_first_task(path):
    notebook = read(path)
    with pytest.raises(CellExecutionError) as stopped:
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources=in_folder(path)).execute()
    assert stopped.value.ename == "NotImplementedError"
    failed = next(
        index
        for index, cell in enumerate(notebook.cells)
        if any(output.output_type == "error" for output in cell.get("outputs", []))
    )
    tasks = [cell.cell_type == "code" and "NotImplementedError" in cell.source for cell in notebook.cells]
    first_task = tasks.index(True)
    assert failed in (first_task, first_task + 1), "only the first task or its own check may stop a fresh notebook"


def in_folder(path):
    return {"metadata": {"path": str(path.parent)}}


WRONG = {
    "output-size": {
        "def output_size(*_): pass": "return",
        "def output_size(w, f, p=0, s=1): return (w - f + 2 * p) / s + 1": "rounds down",
        "def output_size(w, f, p=0, s=1): return (w - f + 2 * p) // s": "places found, there are",
        "def output_size(w, f, p=0, s=1): return (w - f + 2 * p) // s + 1": "ValueError",
    },
    "convolve2d": {
        "def convolve2d(*_, **__): pass": "return",
        "def convolve2d(i, k, padding=0, stride=1): return right(i, k[::-1, ::-1], padding, stride)": "180 degrees",
        "def convolve2d(i, k, padding=0, stride=1): return np.zeros((2, 2))": "your map is 2 x 2, expected 3 x 3",
        "def convolve2d(i, k, padding=0, stride=1): return i[1:, 1:] * 1.0": "every number of it used",
        "def convolve2d(i, k, padding=0, stride=1): return right(i, k, padding)": "stride 2: your map is 3 x 3",
        "def convolve2d(i, k, padding=0, stride=1): return right(i, k, 0, stride)": "padding 1|does not fit",
        "def convolve2d(i, k, padding=0, stride=1): a = right(i, k, padding, stride); i += 1; return a": "has changed",
    },
    "dark-to-bright": {
        "dark_to_bright = np.ones((3, 3))": "flat white image",
        "dark_to_bright = np.array([[-1.0] * 3, [0] * 3, [1] * 3])": "above and below",
        "dark_to_bright = np.array([[1.0, 0, -1]] * 3)": "wrong way round",
        "dark_to_bright = np.array([1.0, 0, -1])": "three rows",
    },
    "pool": {
        "def pool(*_): pass": "return",
        "def pool(image, size, reduce): return image[::size, ::size]": r"expected \[\[4, 9\]\]",
        "def pool(image, size, reduce): return right(image, size, np.max)": "with mean",
    },
}


@pytest.mark.slow
def test_wrong_answers_are_told_what_is_wrong():
    """Every wrong answer is put in the place of the right one, and the check below it must answer in words."""
    cells = {cell.id: cell.source for cell in read(ROOT / "exercises/convolution/convolution.ipynb").cells}
    solved = {cell.id: cell.source for cell in read(ROOT / "solutions/convolution/convolution.ipynb").cells}
    names = {}
    exec(cells["setup"], names)
    for task, answers in WRONG.items():
        exec(solved[task], names)
        exec(cells[f"check-{task}"], names)
        names["right"] = names.get(task)
        for answer, words in answers.items():
            exec(answer, names)
            with pytest.raises((AssertionError, ValueError), match=words) as told:
                exec(cells[f"check-{task}"], names)
            assert len(str(told.value)) > 20, "a sentence, not a bare AssertionError"
        exec(solved[task], names)
