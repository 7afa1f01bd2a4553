"""The runner: every step runs, what did not run is named with its reason, and a failure is a failure."""

import threading

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


def test_a_step_beside_the_others_is_counted_and_printed_last(capsys):
    met = threading.Barrier(2, timeout=30)  # passed only by two steps at the same time
    steps = [Step("types", lambda: met.wait() >= 0, beside=True), Step("tests", lambda: met.wait() >= 0)]
    assert run_steps([*steps, Step("wrong", lambda: False, beside=True)]) is False
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith(("passed", "FAILED"))] == ["tests", "types", "wrong"]


def test_steps_come_after_what_they_need():
    names = [step.name for step in STEPS]
    assert names.index("book") < names.index("links of the book") < names.index("browser tests")
    assert names.index("data sets") < names.index("pytest")
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
