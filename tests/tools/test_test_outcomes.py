"""The last lines of `make test` name each test that failed, or that passed at its second try only."""

import subprocess
import sys

import pytest

from tools import check
from tools.test_outcomes import worth_a_look

CASES = """
from pathlib import Path
tried = Path(__file__).with_name("tried")

def test_right():
    pass

def test_wrong():
    assert 1 == 2, "one is not two\\nmore of it"

def test_at_the_second_try():
    again = tried.exists()
    tried.touch()
    assert again
"""


@pytest.mark.slow
def test_what_to_look_at_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "test_some.py").write_text(CASES)
    report = tmp_path / "browser tests.xml"
    run = [sys.executable, "-m", "pytest", "-pno:cacheprovider", "--rootdir=.", f"--junitxml={report}", *check.TWICE]
    subprocess.run([*run, "test_some.py"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    wrong, second = worth_a_look(report)
    assert wrong.startswith("failed: test_some::test_wrong: AssertionError: one is not two")
    assert second == "passed at the second try only: test_some::test_at_the_second_try"
    monkeypatch.setattr(check, "REPORTS", tmp_path)
    assert not check.run_steps([check.Step("browser tests", lambda: False)])
    assert f"browser tests: {second}\n" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "", "<testsuites><testcase"])
def test_a_report_that_is_not_whole_names_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / "report.xml").write_text(content)
    assert worth_a_look(tmp_path / "report.xml") == []
