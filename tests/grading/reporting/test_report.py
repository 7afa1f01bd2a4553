import csv
import json

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.records import Records, code_digest, slug
from labkit.grading.marking.results import SCHEMA, Answer, Part, Result, Task
from labkit.grading.marking.submissions import Submission
from labkit.grading.reporting import report
from labkit.grading.sandbox.limits import Limits
from tests.grading import tiny

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def assignment(tmp_path):
    return read_assignment(tiny.write(tiny.solution(), tmp_path / "tiny.ipynb"))


def result(student, *wrong, **more):
    """A result of the tiny assignment, all parts right but those named."""
    parts = {
        "check-mean": (3, ["3 numbers", "5 numbers", "numbers below zero"]),
        "check-spread": (3, ["3 numbers", "5 numbers", "numbers below zero"]),
        "check-temperature": (1, ["the value"]),
    }
    tasks = {}
    for name, (of, whats) in parts.items():
        parts = [Part(what, "1, expected 2" if (name, what) in wrong else None) for what in whats]
        right = sum(part.words is None for part in parts)
        tasks[name] = Task(round(of * right / len(whats), 2), of, parts)
    return Result(student, tasks=tasks, by_hand={"why": Answer(4, "Because.")}, **more)


@pytest.fixture
def results():
    low = ("check-spread", "numbers below zero")
    return [
        result("ada"),
        result("bob", low),
        result(f"=eve {SCRIPT}", low, ("check-temperature", "the value"), notes=[f"+note {SCRIPT}"]),
        Result("half", problem=f"-broken {SCRIPT}"),
    ]


def test_tasks_of_the_class(assignment, results):
    mean, spread, temperature = report.tasks_of(assignment, results)
    assert (mean.mean, mean.full, mean.none, mean.failing) == (3, 3, 0, [])
    assert (round(spread.mean, 2), spread.full, spread.none) == (2.33, 1, 0)
    assert spread.failing == [("numbers below zero", 2)]
    assert (round(temperature.fraction, 2), temperature.none) == (0.67, 1)


def test_grades(assignment, results, tmp_path):
    report.write_grades(tmp_path / "grades.csv", assignment, results)
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["total by machine (of 7)"] for row in rows] == ["7", "6", "5", ""]
    assert [row["spread (of 3)"] for row in rows] == ["3", "2", "2", ""]
    assert {row["why (by hand, of 4)"] for row in rows} == {""}
    assert [row["status"] for row in rows] == ["open: by hand"] * 3 + ["cannot be graded"]
    assert rows[2]["student"].startswith("'=eve")
    assert rows[2]["notes"].startswith("'+note")
    assert rows[3]["reason"].startswith("'-broken")


def test_pages_show_what_was_written_as_text(assignment, results, tmp_path):
    report.write_pages(tmp_path, assignment, results)
    pages = [tmp_path / "index.html", *(tmp_path / "feedback" / f"{slug(r.student)}.html" for r in results)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "default-src 'none'" in text
    assert sum("&lt;script&gt;" in page.read_text() for page in pages) == 3
    assert "2 of 3" in pages[0].read_text(), "how many failed at what"
    for found in results:
        assert f'href="feedback/{slug(found.student)}.html"' in pages[0].read_text()


def test_summary(assignment, results):
    words = report.summary(assignment, results)
    assert "3 of 4 submissions graded" in words
    assert "mean 6 of 7 points" in words
    assert "to be marked by hand: why (4)" in words
    assert "cannot be graded: half: -broken" in words
    assert "\x1b" not in report.summary(assignment, [Result("\x1b[31mred", problem="x")])


def test_nobody_graded(assignment, tmp_path):
    results = [Result("half", problem="broken")]
    report.write_pages(tmp_path, assignment, results)
    report.write_grades(tmp_path / "grades.csv", assignment, results)
    assert "0 of 1 submissions graded" in report.summary(assignment, results)
    assert "0 of 1" in (tmp_path / "index.html").read_text()


def test_file_names():
    assert slug("Ada Lovelace").startswith("Ada-Lovelace-")
    assert slug("../../etc/passwd").startswith("etc-passwd-")
    assert slug("李明") != slug("王芳")
    assert slug("a b") != slug("a-b")


def test_records_believe_only_what_they_wrote_for_this_work(assignment, tmp_path, monkeypatch):
    records, found = Records(tmp_path, assignment), result("ada")
    seed = records.seed()
    assert records.seed() == seed
    handed_in = Submission("ada", b"{}")
    assert records.known(handed_in, seed) is None
    records.keep(handed_in, seed, found)
    assert records.known(handed_in, seed) == found
    assert records.known(Submission("ada", b"{ }"), seed) is None
    assert records.known(handed_in, seed + 1) is None
    (path,) = (tmp_path / "results").iterdir()
    path.write_text(path.read_text()[:40])
    assert records.known(handed_in, seed) is None
    records.keep(handed_in, seed, found)
    assert Records(tmp_path, assignment, Limits(memory=2**30)).known(handed_in, seed) is None, "other limits"
    monkeypatch.setattr("labkit.grading.marking.records.code_digest", lambda: "another labkit")
    assert Records(tmp_path, assignment).known(handed_in, seed) is None
    monkeypatch.undo()
    content = json.loads(path.read_text())
    assert (content["schema"], content["labkit"]) == (SCHEMA, code_digest())
    content["result"]["renamed"] = content["result"].pop("problem")
    path.write_text(json.dumps(content))
    assert records.known(handed_in, seed) is None
    records.keep(handed_in, seed, result("ada", final=False))
    assert records.known(handed_in, seed) is None, "not final"
    again = records.seed(anew=True)
    assert again != seed
    assert records.seed() == again
