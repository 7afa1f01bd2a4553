"""The runner: every step runs, what did not run is named with its reason, and a failure is a failure."""

import multiprocessing
import os
import signal
import subprocess
import time

import pytest

from tools.check import STEPS, Step, run_steps


def test_a_failure_does_not_stop_the_others_and_is_reported(capsys):
    assert not run_steps([Step("first", lambda: False), Step("second", lambda: True)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(("first ", "second "))] == ["FAILED", "passed"]
    assert lines[-1] == "1 passed, 1 failed, 0 skipped"


def test_what_could_not_run_is_named_with_its_reason(capsys):
    assert run_steps([Step("first", lambda: True), Step("browser tests", lambda: "no Chromium here")])
    lines = capsys.readouterr().out.splitlines()
    assert "not run: browser tests: no Chromium here" in lines
    assert lines[-1] == "1 passed, 0 failed, 1 skipped"


def test_the_quick_part_leaves_out_what_is_slow(capsys):
    steps = [Step("always", lambda: True, lambda: True), Step("long", lambda: False)]
    assert run_steps(steps, quick=True)
    assert "long" not in capsys.readouterr().out


FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@FORKS
def test_a_second_row_runs_beside_the_first_and_is_printed_with_marks(capsys):
    met = multiprocessing.get_context("fork").Barrier(2, timeout=60)  # passed only by two steps at the same time
    steps = [Step("types", lambda: met.wait() >= 0, beside=True), Step("tests", lambda: met.wait() >= 0)]
    speaking = Step("words", lambda: not subprocess.run(["echo", "some words"]).returncode, beside=True)
    assert run_steps([*steps, speaking, Step("wrong", lambda: False, beside=True)]) is False
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(("types", "words"))] == [
        "| === types",
        "| === words",
        "| some words",
    ]
    outcomes = [line.split() for line in lines if line.endswith(("passed", "FAILED"))]
    assert [(words[0], words[-1]) for words in outcomes] == [
        ("tests", "passed"),
        ("types", "passed"),
        ("words", "passed"),
        ("wrong", "FAILED"),
    ]


@FORKS
def test_what_stands_before_the_second_row_is_done_when_it_begins(tmp_path, capsys):
    def make():
        time.sleep(0.5)
        (tmp_path / "data").touch()
        return True

    assert run_steps([Step("data", make), Step("reads", (tmp_path / "data").exists, beside=True)])


@FORKS
def test_a_second_row_that_breaks_off_has_failed(capfd):
    def broken():
        raise RuntimeError("no node")

    assert not run_steps([Step("bundle", broken, beside=True), Step("never", lambda: True, beside=True)])
    found = capfd.readouterr().out
    assert "no node" in found
    assert "0 passed, 2 failed, 0 skipped" in found


@pytest.mark.slow
@FORKS
def test_a_program_that_a_step_leaves_running_is_not_waited_for(tmp_path, capsys):
    def leave():
        (tmp_path / "pid").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        return True

    assert run_steps([Step("browser", leave, beside=True)])
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it is still there


def test_steps_come_after_what_they_need():
    rows = [[step.name for step in STEPS if step.beside is beside] for beside in (False, True)]
    assert rows[1][1:] == ["exercises in step", "chapters", "book", "links of the book", "browser tests"]
    first = next(place for place, step in enumerate(STEPS) if step.beside)
    assert {"data sets", "JavaScript"} == {step.name for step in STEPS[:first]}, "both rows need them"
    assert {step.name for step in STEPS if step.quick} == {
        "ruff check",
        "ruff format",
        "spelling",
        "types",
        "workflows",
        "JavaScript",
        "notebooks stripped",
        "pytest",
    }
