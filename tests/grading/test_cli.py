"""labkit-grade from end to end, on small notebooks that really run."""

import csv
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.cli import main
from labkit.grading.marking.orders import Settings
from labkit.grading.marking.schedule import Markers
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.bubblewrap import BoxError
from tests.grading import tiny
from tests.grading.test_interruptions import wait


def handed_in(folder):
    """solutions/tiny and a folder of submissions: two honest ones, one that solved everything, one that is broken."""
    tiny.write(tiny.solution(), folder / "solutions" / "tiny" / "tiny.ipynb")
    for name in ("ada", "bob"):
        tiny.write(tiny.honest(), folder / "submissions" / name / "tiny.ipynb")
    tiny.write(tiny.solved(), folder / "submissions" / "eve" / "tiny.ipynb")
    (folder / "submissions" / "half.ipynb").write_text("{")
    return folder


@pytest.fixture
def course(tmp_path):
    """Submissions that nobody has marked yet."""
    return handed_in(tmp_path)


@pytest.fixture(scope="module")
def once(tmp_path_factory, boxed):
    """The folder of submissions that were marked, and what was printed."""
    folder = handed_in(tmp_path_factory.mktemp("marked"))
    return folder, grade(folder, "--workers", "2", "--gradebook", str(folder / "gradebook.db"))


@pytest.fixture
def marked(once, tmp_path):
    """Submissions that were marked; a copy, to go on from there."""
    return shutil.copytree(once[0], tmp_path / "course")


def slow(course, seconds):
    """Four more students, whose right functions take their time."""
    book = tiny.solved()
    source = f"import time\n\n\ndef spread(values):\n    time.sleep({seconds})\n    return values.max() - values.min()"
    tiny.cell(book, "spread").source = source
    for number in range(4):
        tiny.write(book, course / "submissions" / f"slow{number}" / "tiny.ipynb")


def words(course, *more):
    return [str(course / "solutions" / "tiny"), str(course / "submissions"), "--out", str(course / "out"), *more]


def grade(course, *more):
    done = CliRunner().invoke(main, words(course, *more))
    assert done.exit_code == 0, done.output
    return done.output


def rows(course):
    lines = (course / "out" / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    return {row["student"]: row for row in csv.DictReader(lines)}


def total(row):
    return row["total by machine (of 7)"]


def own_page(course, student):
    """What a student reads on the own page about wrong answers: pairs of inputs and what was expected."""
    (page,) = (course / "out" / "feedback").glob(f"{student}-*.html")
    found = re.findall(r"<em>.*?, expected (.*?)</em><details>.*?<code>(.*?)</code>", page.read_text(), re.DOTALL)
    calls = [html.unescape(code).partition("spread(")[2].strip() for _, code in found]
    return [(call[:-1].strip().rstrip(","), expected) for call, (expected, _) in zip(calls, found, strict=True)]


@pytest.mark.slow
def test_a_table_made_from_the_own_page_earns_nothing(marked):
    """Inputs follow from what is handed in: whoever hands in a table of them meets others."""
    rows_of_table = own_page(marked, "ada")
    assert len(rows_of_table) == 3
    table = "TABLE = [\n" + "".join(f"    ({inputs}, {expected}),\n" for inputs, expected in rows_of_table) + "]\n\n\n"
    table += "def spread(values):\n    return next((y for x, y in TABLE if np.array_equal(x, values)), 0.0)"
    names = {"np": np}
    exec(table, names)
    for inputs, expected in rows_of_table:
        values = eval(inputs, {"np": np})
        assert abs(values.max() - values.min() - names["spread"](values)) < 1e-5 * abs(float(expected)), (
            "the table is right"
        )
    book = tiny.honest()
    tiny.cell(book, "spread").source = table
    tiny.write(book, marked / "submissions" / "ada" / "tiny.ipynb")
    grade(marked)
    assert rows(marked)["ada"]["spread (of 3)"] == "0"


@pytest.mark.slow
def test_from_a_folder_to_grades_and_pages(once):
    course, output = once
    found = rows(course)
    assert {student: total(row) for student, row in found.items()} == {"ada": "3", "bob": "3", "eve": "7", "half": ""}
    assert found["ada"]["mean (of 3)"] == "3"
    assert found["ada"]["why (by hand, of 4)"] == ""
    assert found["half"]["status"] == "cannot be graded"
    assert "cannot be graded: half: the notebook cannot be read" in output
    assert "3 of 4 submissions graded" in output
    assert "to be marked by hand: why (4)" in output
    index = (course / "out" / "index.html").read_text()
    assert index.index('"row">temperature') < index.index('"row">mean'), "the hardest task comes first"
    pages = {path.stem.rpartition("-")[0]: path.read_text() for path in (course / "out" / "feedback").glob("*.html")}
    assert set(pages) == {"ada", "bob", "eve", "half"}
    assert "I think so." in pages["ada"]
    assert "expected" in pages["ada"]
    assert "cannot be graded" in pages["half"]
    gradebook(course)


def gradebook(course):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        submission = book.find_submission("tiny", "ada")
        (notebook,) = submission.notebooks
        grades = {grade.name: grade for grade in notebook.grades}
        assert {name: grade.auto_score for name, grade in grades.items()} == {
            "check-mean": 3,
            "check-spread": 0,
            "check-temperature": 0,
            "why": None,
        }
        assert grades["why"].needs_manual_grade
        assert grades["why"].max_score == 4
        assert {student.id for student in book.students} == {"ada", "bob", "eve"}


@pytest.mark.slow
def test_a_second_run_grades_only_what_is_new(marked):
    results = marked / "out" / "results"
    before = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    tiny.write(tiny.solved(), marked / "submissions" / "bob" / "tiny.ipynb")
    tiny.write(tiny.honest(), marked / "submissions" / "zoe" / "tiny.ipynb")
    output = grade(marked)
    assert "3 of 5 are graded already" in output
    after = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    changed = {name.partition("-")[0] for name in after if after[name] != before.get(name)}
    assert changed == {"bob", "zoe"}
    assert (total(rows(marked)["bob"]), total(rows(marked)["zoe"])) == ("7", "3")


@pytest.mark.slow
def test_killed_halfway_it_goes_on_where_it_was(course, boxed):
    slow(course, 50)
    command = [sys.executable, "-m", "labkit.grading.cli", *words(course, "--workers", "2")]
    results = course / "out" / "results"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait(lambda: len(written(results)) >= 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path.name: path.stat().st_mtime_ns for path in written(results)}
    assert not [name for name in done if name.startswith("slow")]
    slow(course, 0)
    seed = json.loads((course / "out" / "run.json").read_text())["seed"]
    output = grade(course, "--workers", "2")
    assert f"{len(done)} of 8 are graded already" in output
    assert all((results / name).stat().st_mtime_ns == when for name, when in done.items())
    assert json.loads((course / "out" / "run.json").read_text())["seed"] == seed
    assert [total(rows(course)[f"slow{number}"]) for number in range(4)] == ["7"] * 4


def written(results):
    """The records that are whole; a file that a killed process was writing has a name with a dot in front."""
    return list(results.glob("[!.]*.json"))


@pytest.mark.slow
def test_on_a_cluster_that_loses_a_worker(course, boxed):
    distributed = pytest.importorskip("distributed")
    slow(course, 0.5)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**options) as cluster:
        pids = [worker.pid for worker in cluster.workers.values()]
        command = [sys.executable, "-m", "labkit.grading.cli", *words(course, "--scheduler", cluster.scheduler_address)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait(lambda: len(written(course / "out" / "results")) >= 3)
        os.kill(pids[0], signal.SIGKILL)
        output = process.communicate(timeout=500)[0]
    assert process.returncode == 0, output
    assert "7 of 8 submissions graded" in output
    assert [total(rows(course)[f"slow{number}"]) for number in range(4)] == ["7"] * 4
    assert total(rows(course)["ada"]) == "3"


@pytest.mark.slow
def test_a_leaking_box_grades_nothing(course, boxed, monkeypatch):
    """The submissions lie where every box looks: below /usr, so to speak."""
    assignment = read_assignment(course / "solutions" / "tiny")
    settings = Settings(assignment, 1, hidden=("/usr/bin",))
    content = (course / "submissions" / "ada" / "tiny.ipynb").read_bytes()
    with Markers(settings) as markers, pytest.raises(BoxError, match="/usr/bin is seen"):
        markers.mark(Submission("ada", content))


def test_without_bubblewrap_nothing_is_graded(course, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = CliRunner().invoke(main, words(course))
    assert done.exit_code == 1
    assert "bubblewrap is needed" in done.output
    assert not (course / "out" / "grades.csv").exists()


@pytest.mark.slow
def test_without_a_sandbox_only_when_told_so(course, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    output = grade(course, "--unsafe-no-sandbox", "--workers", "1")
    assert "WARNING" in output
    assert total(rows(course)["ada"]) == "3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assignment": "nothing"}, "no assignment can be read"),
        ({"submissions": "nowhere"}, "there is no"),
        ({"assignment": "saliency"}, "known here: attacks, convolution"),
        ({"submissions": "EMPTY"}, "there is no submission in"),
    ],
)
def test_mistakes_are_answered_in_words(course, change, message, monkeypatch):
    for name in ("attacks", "convolution"):
        tiny.write(tiny.solution(), course / "solutions" / name / f"{name}.ipynb")
    (course / "EMPTY").mkdir()
    monkeypatch.chdir(course)
    arguments = words(course)
    arguments[0 if "assignment" in change else 1] = next(iter(change.values()))
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert message in done.output


def test_what_the_command_is_given_is_no_submission(course):
    place = course / "submissions"
    (place / "graded").mkdir()
    for name in ("worksheet.txt", "gradebook.db", "marks.json"):
        (place / name).write_text("")
    options = ["--roster", "worksheet.txt", "--gradebook", "gradebook.db", "--merge", "marks.json", "--out", "graded"]
    options = [word if word.startswith("--") else str(place / word) for word in options]
    done = CliRunner().invoke(main, [*words(course)[:2], *options, "--replay", "nobody", "mean"])
    assert "no student is called 'nobody'; there are ada, bob, eve, half" in " ".join(done.output.split())
    done = CliRunner().invoke(main, [*words(course)[:2], "--out", str(place)])
    assert "--out must be another folder" in " ".join(done.output.split())


@pytest.mark.parametrize("limit", ["--cell-seconds", "--call-seconds", "--total-seconds", "--memory"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_limit_is_above_zero(course, limit, value):
    done = CliRunner().invoke(main, words(course, limit, value))
    assert done.exit_code == 2
    assert f"{value}.0 is not in the range x>0" in " ".join(done.output.split())
    assert not (course / "out").exists()


def test_without_a_package_it_says_what_to_install():
    code = "import sys; sys.modules['click'] = None; sys.argv = ['labkit-grade', '--help']\n"
    code += "from labkit.grading.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert "pip install -e '.[grade]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_itself_needs_no_pytorch():
    code = "import sys, labkit.grading.cli; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow
def test_labkit_can_be_imported_without_what_grading_needs():
    code = "import sys, labkit.grading.authoring.check\n"
    code += "print([name for name in ('click', 'IPython', 'nbgrader', 'distributed') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n", done.stderr
