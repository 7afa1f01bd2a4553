"""Marks and comments that a person gave are never lost, wherever they were typed."""

import csv
import json

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.records import slug
from labkit.grading.marking.results import Answer, Result, Task
from labkit.grading.marking.submissions import Submission
from labkit.grading.reporting import by_hand, report, run
from labkit.grading.reporting.by_hand import Marks
from labkit.grading.reporting.standing import Terms, standings
from tests.grading import tiny

FOUND = [Submission("ada"), Submission("bob")]
ADA, BOB = slug("ada"), slug("bob")
POINTS, COMMENT = "why (by hand, of 4)", "why (comment)"


@pytest.fixture
def assignment(tmp_path):
    return read_assignment(tiny.write(tiny.solution(), tmp_path / "tiny.ipynb"))


@pytest.fixture
def once(assignment, tmp_path):
    """A run of everything but the marking itself; gives the marks and what was said."""

    def go(*pages, extensions=()):
        marks, words = run.take_in(tmp_path, assignment, FOUND, pages, extensions)
        results = [result(assignment, each.student) for each in FOUND]
        run.write(tmp_path, assignment, results, FOUND, marks, Terms())
        return marks, words

    return go


def result(assignment, student, answer="So."):
    tasks = {cell.name: Task(cell.points, cell.points, []) for cell in assignment.tests}
    return Result(student, tasks=tasks, by_hand={"why": Answer(4, answer)})


def rows(folder):
    with (folder / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def type_in(folder, place, **cells):
    """As a spreadsheet program in Germany saves it."""
    table = rows(folder)
    table[place] |= cells
    with (folder / "grades.csv").open("w", encoding="cp1252", newline="") as file:
        writer = csv.DictWriter(file, [*dict.fromkeys([*table[0], *cells])], delimiter=";")
        writer.writeheader()
        writer.writerows(table)


def page_file(folder, name="page.json", **marks):
    path = folder / name
    path.write_text(json.dumps({"assignment": "tiny", "marks": {ADA: {"why": marks}}, "reusable": ["Say why."]}))
    return path


def test_what_is_typed_into_the_table_stays(once, tmp_path):
    once()
    type_in(tmp_path, 0, **{POINTS: "2,5", COMMENT: "=see me; -1", "comment": "Good.", "bonus round": "yes"})
    marks, words = once()
    assert marks.points == {ADA: {"why": 2.5}}
    assert "cells were typed in" in words[0]
    for _ in range(3):  # the table is written anew each time
        marks, words = once()
        ada, bob = rows(tmp_path)
        assert (ada[POINTS], ada["comment"], ada["bonus round"]) == ("2.5", "Good.", "yes")
        assert (ada["total (of 11)"], ada["status"], bob["status"]) == ("9.5", "graded", "open: by hand")
        assert marks.comment_of("ada", "why") == "=see me; -1"
        assert words == []


def test_an_empty_cell_takes_nothing_away_and_a_dash_does(once, tmp_path):
    once()
    type_in(tmp_path, 1, **{POINTS: "3", COMMENT: "Fine."})
    once()
    type_in(tmp_path, 1, **{POINTS: "", COMMENT: ""})
    assert once()[0].points_of("bob", "why") == 3
    type_in(tmp_path, 1, **{POINTS: "-", COMMENT: "-"})
    marks, _ = once()
    assert marks.points_of("bob", "why") is None
    assert [(each["was"], each["now"]) for each in marks.earlier] == [(3, None), ("Fine.", None)]


@pytest.mark.parametrize("points", ["5", "-1", "much", "nan"])
def test_points_that_are_none_stop_everything_before_a_file_is_written(once, tmp_path, points):
    once()
    type_in(tmp_path, 0, **{POINTS: points})
    before = (tmp_path / "grades.csv").read_bytes()
    with pytest.raises(ValueError, match=rf"line 2, why \(by hand, of 4\).*{points}"):
        once()
    assert (tmp_path / "grades.csv").read_bytes() == before


def test_the_marking_page_and_the_table_meet(once, tmp_path):
    once()
    once(page_file(tmp_path, points=3, comment="Good.", base={"points": None, "comment": ""}))
    assert (rows(tmp_path)[0][POINTS], rows(tmp_path)[0][COMMENT]) == ("3", "Good.")
    type_in(tmp_path, 0, **{POINTS: "2"})
    marks, words = once(page_file(tmp_path, points=4, comment="Good.", base={"points": 3, "comment": "Good."}))
    assert marks.points_of("ada", "why") == 4
    assert "'points': 2.0" in " ".join(words)
    assert {key: marks.earlier[-1][key] for key in ("was", "now")} == {"was": 2.0, "now": 4.0}
    assert marks.reusable == ["Say why."]
    assert "Say why." in (tmp_path / "marking.html").read_text()
    assert once(tmp_path / "page.json")[1] == ["page.json was taken in"]  # twice is once


def test_a_file_beside_the_page_is_found(once, tmp_path):
    page_file(tmp_path, by_hand.PAGE, points=1, comment="")
    assert once()[0].points_of("ada", "why") == 1


def test_wrong_files_are_refused(once, tmp_path):
    (tmp_path / "x.json").write_text('{"assignment": "other", "marks": {}}')
    with pytest.raises(ValueError, match="holds marks of 'other', not of 'tiny'"):
        once(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ValueError, match="no file that the marking page wrote"):
        once(tmp_path / "x.json")
    (tmp_path / by_hand.FILE).write_text("{")
    with pytest.raises(ValueError, match="marks given by hand and cannot be read"):
        once()


def test_marks_of_somebody_who_left_are_there_when_they_come_back(once, assignment, tmp_path):
    once()
    type_in(tmp_path, 1, **{POINTS: "3"})
    once()
    marks, _ = run.take_in(tmp_path, assignment, FOUND[:1], (), ())
    run.write(tmp_path, assignment, [result(assignment, "ada")], FOUND[:1], marks, Terms())
    assert len(rows(tmp_path)) == 1
    assert once()[0].points_of("bob", "why") == 3


def test_extensions_are_kept(once):
    once(extensions=("ada=2", f"{BOB}=1.5"))
    assert once()[0].extensions == {ADA: 2, BOB: 1.5}
    with pytest.raises(ValueError, match="NAME=DAYS"):
        once(extensions=("ada",))
    with pytest.raises(ValueError, match="no student is called 'eve'; there are ada, bob"):
        once(extensions=("eve=1",))


def test_the_marking_page_holds_answers_as_data(assignment, tmp_path):
    hostile = "</script><script>alert(1)</script>"
    found = standings([result(assignment, "eve", hostile)], Marks(), {})
    report.write_pages(tmp_path, assignment, found)
    text = (tmp_path / "marking.html").read_text()
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "script-src 'sha256-" in text
    assert "Because." in text
