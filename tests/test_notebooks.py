"""Committed notebooks: no outputs, stable ids, and a text for every figure."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("book", "solutions", "exercises")
NOTEBOOKS = sorted(path for place in PLACES for path in (ROOT / place).rglob("*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]
CHAPTERS = [path for path in NOTEBOOKS if path.is_relative_to(ROOT / "book")]


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(params=NOTEBOOKS, ids=name)
def notebook(request):
    return nbformat.read(request.param, as_version=nbformat.NO_CONVERT)


def test_format_and_ids(notebook):
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    nbformat.validate(notebook)


def test_no_outputs_and_no_widget_state(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert "widgets" not in notebook.metadata


def test_cells_install_nothing(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not re.search(r"^\s*[!%]\s*(pip|conda|apt)", cell.source, re.MULTILINE), cell.id


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_figures_have_a_text(path):
    """A cell that ends in a figure says in its metadata what the figure shows."""
    for cell in nbformat.read(path, as_version=4).cells:
        last = cell.source.rstrip().rpartition("\n\n")[2].splitlines()
        ends_in_figure = any(re.match(r"plot\.\w+\(", line) for line in last)
        if cell.cell_type == "code" and ends_in_figure and "remove-cell" not in cell.metadata.get("tags", []):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 30, f"{cell.id}: a figure without alt text"


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_chapters_are_numbered_slugs(path):
    assert re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name)


def defined(source, name):
    """Whether a module defines a function, a class or a method of this name, such as "Network.backward"."""
    node = ast.parse(source)
    for part in name.split("."):
        node = next((each for each in node.body if getattr(each, "name", None) == part), None)
        if node is None:
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=name)
def test_the_code_that_a_chapter_shows_is_there(chapter):
    for cell in nbformat.read(chapter, as_version=nbformat.NO_CONVERT).cells:
        for file, options in re.findall(r"```\{literalinclude\} (\S+)\n((?::.*\n)*)", cell.source):
            source = (chapter.parent / file).read_text()
            for wanted in re.findall(r":pyobject: (\S+)", options):
                assert defined(source, wanted), f"{file} defines no {wanted}"
            for wanted in re.findall(r":(?:start|end)-(?:at|after|before): (.+)", options):
                assert wanted.strip("\"'") in source, f"{file} has no {wanted}"


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_code_that_a_chapter_shows_fits_its_page(path):
    """72 characters a line; what is folded or left out may be wider."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and not {"remove-cell", "hide-input"} & set(cell.metadata.get("tags", [])):
            assert [line for line in cell.source.splitlines() if len(line) > 72] == [], cell.id


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_a_chapter_asks_and_returns(path):
    """A prediction that comes back (the build checks that each does), three questions, and three sentences."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    count = {kind: text.count(f"{{{kind}}}") for kind in ("predict", "recall", "quiz", "three-sentences")}
    assert count["recall"] >= count["predict"] >= 1
    assert count["quiz"] >= 3
    assert count["three-sentences"] == 1


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_a_chapter_begins_and_ends_like_the_others(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    exercise = r"(\d+ to \d+ for the \[exercise\]|\[no exercise of its own\])\(#try-it-yourself\)"
    assert re.search(rf"^\*\*Time:\*\* \d+ minutes, and {exercise}\.$", cells[0], re.MULTILINE)
    headings = re.findall(r"^## (.+)$", "\n".join(cells), re.MULTILINE)
    assert headings[-3:] == ["What to remember", "Try it yourself", "Sources"]
