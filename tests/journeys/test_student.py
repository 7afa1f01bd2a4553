"""A student's walk: every exercise that is shipped, in a fresh kernel: untouched, then a typical mistake, then right.

The exercise runs from the top as it was handed out. Nothing may stop it before the first task, and there it must stop.
Each task is then answered wrongly (tests/wrong_answers lists typical mistakes) and is told what is wrong, and answered
rightly and is told so; the cells between the tasks, figures mostly, run as they stand.
"""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.name for path in (ROOT / "exercises").iterdir() if path.is_dir())


def read(place: str, name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / place / name / f"{name}.ipynb", as_version=4)


def marks(cell: nbformat.NotebookNode, role: str) -> bool:
    return cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get(role, False)


def failure(cell: nbformat.NotebookNode) -> str:
    """What stopped a cell, or nothing."""
    errors = [output for output in cell.outputs if output.output_type == "error"]
    return f"{errors[0].ename}: {errors[0].evalue}" if errors else ""


def shown(cell: nbformat.NotebookNode) -> str:
    """What a student sees where a cell stops."""
    return "\n".join(line for output in cell.outputs if output.output_type == "error" for line in output.traceback)


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


def first_mistake(name: str, task: str, right: str) -> tuple[str, str]:
    """The first typical mistake that is made by changing the right answer, and what it must be told."""
    known = runpy.run_path(str(ROOT / f"tests/wrong_answers/{name}.py"))["WRONG"][task]
    changes = [each for each in known if len(each) == 3]
    if changes:
        old, new, words = changes[0]
        return right.replace(old, new), words
    code, words = known[0]
    return f"{right}\nright = {task.replace('-', '_')}\n{code}", words


PAGE = """
import json
from pathlib import Path
from jupyter_core.paths import jupyter_path
from jupyterlab.commands import get_app_dir
from jupyterlab_server.config import get_page_config
page = get_page_config(jupyter_path("labextensions"), app_settings_dir=Path(get_app_dir()) / "settings")
print(json.dumps([[each["name"] for each in page["federated_extensions"]], page["disabledExtensions"]]))
"""


@pytest.mark.slow
def test_jupyterlab_opens_without_menus_for_instructors():
    """nbgrader is installed for whoever makes the exercises; `make lab` leaves its extension out of the page."""
    (folder,) = re.findall(r"JUPYTER_CONFIG_PATH=\$\(CURDIR\)/(\S+) jupyter lab", (ROOT / "Makefile").read_text())
    environment = os.environ | {"JUPYTER_CONFIG_PATH": str(ROOT / folder)}
    words = subprocess.run([sys.executable, "-c", PAGE], env=environment, capture_output=True, text=True, check=True)
    there, left_out = json.loads(words.stdout)
    assert {name for name in there if "nbgrader" in name} <= set(left_out)
    assert left_out == ["@jupyter/nbgrader"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_exercise_untouched_then_wrong_then_right(name):
    exercise, solution = read("exercises", name), read("solutions", name)
    answers = {cell.id: cell.source for cell in solution.cells if marks(cell, "solution")}
    session = nbformat.v4.new_notebook(metadata=exercise.metadata)
    folder = {"metadata": {"path": str(ROOT / "exercises" / name)}}
    client = NotebookClient(session, timeout=300, kernel_name="python3", allow_errors=True, resources=folder)

    def run(source: str) -> nbformat.NotebookNode:
        session.cells.append(nbformat.v4.new_code_cell(source))
        return client.execute_cell(session.cells[-1], len(session.cells) - 1)

    code = [cell for cell in exercise.cells if cell.cell_type == "code" and cell.source.strip()]
    tasks = [cell.id for cell in code if marks(cell, "solution")]
    assert tasks == list(answers)
    task = ""
    with client.setup_kernel():
        for cell in code:
            if marks(cell, "solution"):
                task = cell.id
                untouched = failure(run(cell.source))
                assert untouched == "" or untouched.startswith("NotImplementedError")
            elif marks(cell, "grade"):
                told = failure(run(cell.source))
                assert told, f"{task}: the check is content with nothing"
                assert task != tasks[0] or "NotImplementedError" in told or "NotImplementedError" in untouched
                wrong, words = first_mistake(name, task, answers[task])
                run(wrong)
                content = run(cell.source)
                told = failure(content)
                assert re.search(words, told), f"{task}: told {told!r}, expected {words!r}"
                if told.startswith("CheckFailed"):
                    assert shown(content).count("\n") <= 1, "a sentence, not the way through the check's code"
                    again = shown(run(cell.source))
                    assert again.split() == told.removeprefix("CheckFailed: ").split(), "the hint comes with the second"
                assert failure(run(answers[task])) == ""
                content = run(cell.source)
                assert failure(content) == "", task
                assert printed(content).strip(), f"{task}: nobody is told that it is right"
            else:
                assert failure(run(cell.source)) == "", cell.source
