"""Executed notebooks: a key that follows what they depend on, and the same pages whoever executed them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache

from tools.website import execution

ROOT = Path(__file__).parents[3]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The root of a small course."""
    monkeypatch.setattr(execution, "ROOT", tmp_path)
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "data"))
    (tmp_path / "labkit").mkdir()
    (tmp_path / "book").mkdir()
    (tmp_path / "labkit/core.py").write_text('"""What it is."""')
    return tmp_path


def test_key_follows_labkit_and_the_data(course):
    keys = [execution.course_state()]
    (course / "labkit/core.py").write_text("changed")
    keys.append(execution.course_state())
    (course / "labkit/weights").mkdir()
    (course / "labkit/weights/mnist.safetensors").write_bytes(b"new")
    keys.append(execution.course_state())
    (course / "data").mkdir()
    (course / "data/mnist-train.safetensors").write_bytes(b"the full set has arrived")
    keys.append(execution.course_state())
    assert len(set(keys)) == 4


@pytest.mark.slow
def test_the_key_is_the_same_in_whatever_process_it_is_made():
    """`make test` fills the cache in one process, and the build reads it in another that has imported less."""
    code = "from tools.website.execution import course_state; print(course_state())"
    keys = [
        subprocess.run(
            [sys.executable, "-c", first + code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for first in ("", "import tools.check, setuptools; ")
    ]
    assert keys[0] == keys[1] != ""


def test_key_ignores_what_does_not_matter(course):
    before = execution.course_state()
    (course / "labkit/__pycache__").mkdir()
    (course / "labkit/__pycache__/core.cpython-311.pyc").write_bytes(b"compiled")
    (course / "data").mkdir()
    (course / "data/mnist.lock").write_text("")
    (course / "book/index.md").write_text("prose")
    assert execution.course_state() == before


def test_old_caches_go_and_the_current_one_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "EXECUTED", tmp_path)
    for age, name in enumerate("abcd"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (age, age))
    execution.forget_old_caches("a")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d"}


def write(folder, **sources):
    """A notebook a keyword, one cell a line."""
    for name, source in sources.items():
        cells = [nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, source.split("\n"))]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / f"{name}.ipynb")


def from_cache(cache, path):
    return get_cache(str(cache)).merge_match_into_notebook(nbformat.read(path, 4))[1]


@pytest.mark.slow
def test_notebooks_are_executed_once_and_those_that_fail_are_not_kept(tmp_path):
    write(tmp_path, one="open('ran-one', 'a').write('x'); print('from one')", two="1 / 0")
    for _ in range(2):
        paths = [tmp_path / "one.ipynb", tmp_path / "two.ipynb"]
        execution.execute_missing(paths, cache=tmp_path / "cache", timeout=60)
    assert (tmp_path / "ran-one").read_text() == "x"
    (record,) = get_cache(str(tmp_path / "cache")).list_cache_records()
    assert record.uri == str(tmp_path / "one.ipynb")
    assert from_cache(tmp_path / "cache", tmp_path / "one.ipynb").cells[1].outputs[0].text == "from one\n"


# Everything that a chapter can put on its page: streams, a figure, a result, what is cleared and what is replaced,
# and widgets that are linked in the browser.
KINDS = """\
import sys, ipywidgets; from IPython.display import clear_output, display
print("one"); print("error", file=sys.stderr); print("two")
import matplotlib.pyplot as plt; figure = plt.figure(); plt.plot([0, 1])
{"a": 1}
print("gone"); clear_output(); print("stays")
handle = display("first", display_id=True); handle.update("second")
slider, text = ipywidgets.IntSlider(value=3), ipywidgets.Image(value=b"bytes")
link = ipywidgets.jslink((slider, "value"), (text, "width"))
ipywidgets.VBox([slider, text])"""


def comparable(notebook):
    """Outputs, and widgets, without what differs from run to run: names of widgets, counters, addresses."""
    widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    texts = [json.dumps(cell.get("outputs")) for cell in notebook.cells]
    texts += sorted(
        (json.dumps(widget) for widget in widgets.values()), key=lambda text: re.sub("[0-9a-f]{32}", "", text)
    )
    return [re.sub(r'[0-9a-f]{32}|"execution_count": \d+|0x[0-9a-f]+', "", text) for text in texts]


@pytest.mark.slow
def test_what_nbval_executed_is_what_the_book_would_have_executed(tmp_path):
    write(tmp_path, kinds=KINDS, broken="1 / 0")
    nbval = [
        "--nbval-lax",
        "--nbval-current-env",
        "-p",
        "tools.website.keep_executed",
        f"--keep-executed={tmp_path / 'nbval'}",
    ]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "default", *nbval, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1, ran.stdout
    assert "broken.ipynb" in ran.stdout
    assert "1 failed" in ran.stdout
    (record,) = get_cache(str(tmp_path / "nbval")).list_cache_records()
    assert record.uri == str(tmp_path / "kinds.ipynb"), "a notebook that fails is not kept"
    execution.execute_missing([tmp_path / "kinds.ipynb"], cache=tmp_path / "book", timeout=60)
    ours, theirs = (from_cache(tmp_path / cache, tmp_path / "kinds.ipynb") for cache in ("nbval", "book"))
    assert len(ours.cells[3].outputs) == 2, "a result and a figure"
    assert "widgets" in ours.metadata
    assert comparable(ours) == comparable(theirs)
