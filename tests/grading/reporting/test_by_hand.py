"""Marks and comments that a person gave are never lost, wherever they were typed."""

import csv
import json
import re

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.results import Answer, Result, Task
from labkit.grading.marking.submissions import Submission, find_submissions, slug
from labkit.grading.reporting import by_hand, report, run
from labkit.grading.reporting.by_hand import DAYS, Marks
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
        assert marks.comment_of(ADA, "why") == "=see me; -1"
        assert words == []


def test_an_empty_cell_takes_nothing_away_and_a_dash_does(once, tmp_path):
    once()
    type_in(tmp_path, 1, **{POINTS: "3", COMMENT: "Fine."})
    once()
    type_in(tmp_path, 1, **{POINTS: "", COMMENT: ""})
    assert once()[0].points_of(BOB, "why") == 3
    type_in(tmp_path, 1, **{POINTS: "-", COMMENT: "-"})
    marks, words = once()
    assert marks.points_of(BOB, "why") is None
    assert [(each["was"], each["now"]) for each in marks.earlier] == [(3, None), ("Fine.", None)]
    assert words == ["grades.csv: 2 cells were typed in"]


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
    assert marks.points_of(ADA, "why") == 4
    assert words[1:] == [
        "page.json: 1 mark was taken in",
        f"{ADA}, why: 4 points, “Good.” from page.json replaced 2 points, “Good.”",
    ]
    assert {key: marks.earlier[-1][key] for key in ("was", "now")} == {"was": 2.0, "now": 4.0}
    assert marks.reusable == ["Say why."]
    assert "Say why." in (tmp_path / "marking.html").read_text()
    assert once(tmp_path / "page.json")[1] == ["page.json: nothing in it is new"]  # twice is once


def test_a_file_beside_the_page_is_found(once, tmp_path):
    page_file(tmp_path, by_hand.PAGE, points=1, comment="")
    marks, words = once()
    assert marks.points_of(ADA, "why") == 1
    assert words == [f"{by_hand.PAGE}: 1 mark was taken in"]
    assert once()[1] == []


@pytest.mark.parametrize("merged", [True, False], ids=["by --merge", "beside the results"])
def test_a_correction_in_the_table_outlives_the_page_it_corrects(once, tmp_path, merged):
    base = {"points": None, "comment": ""}
    path = page_file(tmp_path, "page.json" if merged else by_hand.PAGE, points=3, comment="", base=base, when=1)
    again = [path] if merged else []
    once(*again)
    type_in(tmp_path, 0, **{POINTS: "4"})
    for _ in range(2):
        assert once(*again)[0].points_of(ADA, "why") == 4
    page_file(tmp_path, path.name, points=3, comment="", base=base, when=2)
    marks, words = once(*again)
    assert marks.points_of(ADA, "why") == 3, "somebody typed it again"
    assert words[-1] == f"{ADA}, why: 3 points from {path.name} replaced 4 points"


def test_a_page_that_is_saved_again_brings_only_what_is_new_in_it(once, tmp_path):
    first = {"points": 3, "comment": "", "base": {"points": None, "comment": ""}, "when": 1}
    once(page_file(tmp_path, **first))
    type_in(tmp_path, 0, **{POINTS: "4"})
    content = {"assignment": "tiny", "marks": {ADA: {"why": first}, BOB: {"why": first | {"points": 1, "when": 2}}}}
    (tmp_path / "page (1).json").write_text(json.dumps(content))
    marks, words = once(tmp_path / "page (1).json")
    assert marks.points == {ADA: {"why": 4}, BOB: {"why": 1}}
    assert words == ["grades.csv: 1 cell was typed in", "page (1).json: 1 mark was taken in"]


def test_marks_of_an_earlier_version_are_read(tmp_path):
    (tmp_path / by_hand.FILE).write_text(json.dumps({"points": {ADA: {"why": 2}}, "earlier": [], "days_late": {}}))
    assert by_hand.load(tmp_path).points_of(ADA, "why") == 2


def test_after_a_change_of_points_the_table_is_still_understood(once, assignment, tmp_path):
    once()
    type_in(tmp_path, 0, **{POINTS: "2,5", "bonus (of 5)": "1"})
    book = tiny.solution()
    tiny.cell(book, "why").metadata.nbgrader.points = 6
    changed = read_assignment(tiny.write(book, tmp_path / "changed/tiny.ipynb"))
    results = [result(changed, each.student) for each in FOUND]
    for _ in range(2):
        marks, words = run.take_in(tmp_path, changed, FOUND, (), ())
        run.write(tmp_path, changed, results, FOUND, marks, Terms())
        ada = rows(tmp_path)[0]
        assert (ada["why (by hand, of 6)"], ada["total (of 13)"], ada["status"]) == ("2.5", "9.5", "graded")
        assert list(ada) == [*report.columns(changed), "bonus (of 5)"], "nothing of the old ones"
    assert words == []
    again, words = once()
    assert (again.points_of(ADA, "why"), words) == (2.5, [])
    assert list(rows(tmp_path)[0]) == [*report.columns(assignment), "bonus (of 5)"]


def test_old_totals_that_an_earlier_version_took_for_columns_of_ones_own_are_not_shown(once, assignment, tmp_path):
    kept = {"total (of 22)": "9", "why (by hand, of 5)": "2", "bonus": "yes"}
    (tmp_path / by_hand.FILE).write_text(json.dumps({"columns": {ADA: kept}}))
    once()
    assert list(rows(tmp_path)[0]) == [*report.columns(assignment), "bonus"]


@pytest.mark.parametrize("name", ["why (by hand, of 5)", "why (comment)", "bonus"])
def test_a_column_that_is_there_twice_is_refused(once, tmp_path, name):
    once()
    lines = (tmp_path / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    (tmp_path / "grades.csv").write_text("\n".join(f'{line},"{name}","{name}"' for line in lines))
    with pytest.raises(ValueError, match=f"columns that mean the same, .*'{re.escape(name)}'"):
        once()


def test_days_that_a_person_gave_are_taken_back_with_a_dash(once, tmp_path):
    once()
    type_in(tmp_path, 0, **{DAYS: "3"})
    marks, words = once()
    assert (marks.days_late, words) == ({ADA: 3}, ["grades.csv: 1 cell was typed in"])
    type_in(tmp_path, 0, **{DAYS: "-"})
    marks, words = once()
    assert (marks.days_late, words) == ({}, ["grades.csv: 1 cell was typed in"])
    assert marks.earlier == [{"student": ADA, "task": DAYS, "was": 3, "now": None, "from": "grades.csv"}]
    assert rows(tmp_path)[0][DAYS] == ""
    type_in(tmp_path, 0, **{DAYS: "some"})
    with pytest.raises(ValueError, match=r"days late \(by hand\): 'some' is refused: a number from 0"):
        once()


def test_marks_stay_with_the_first_ada_when_a_second_one_hands_in(assignment, tmp_path):
    def go(*numbers):
        for number in numbers:
            name = f"Ada Lovelace_{number}_assignsubmission_file_tiny.ipynb"
            tiny.write(tiny.honest(), tmp_path / "submissions" / name)
        found = find_submissions(tmp_path / "submissions", "tiny")
        marks, words = run.take_in(tmp_path, assignment, found, (), ())
        run.write(tmp_path, assignment, [result(assignment, each.student) for each in found], found, marks, Terms())
        return words

    go(412)
    type_in(tmp_path, 0, **{POINTS: "3", "bonus": "yes", DAYS: "1"})
    assert go(412, 413) == ["grades.csv: 3 cells were typed in"]
    first, second = rows(tmp_path)
    assert (first["student"], first[POINTS], first["bonus"], first[DAYS]) == ("Ada Lovelace (412)", "3", "yes", "1")
    assert (second["student"], second[POINTS], second["status"]) == ("Ada Lovelace (413)", "", "open: by hand")


def test_what_an_earlier_version_kept_under_the_name_alone_is_found(assignment, tmp_path):
    former = slug("Ada Lovelace")
    ada = Submission("Ada Lovelace", name="Ada Lovelace", number="412", former=former)
    kept = {name: {former: {"why": value}} for name, value in (("points", 3), ("comments", "Good."))}
    kept |= {"days_late": {former: 2}, "extensions": {former: 1}, "columns": {former: {"bonus": "yes"}}}
    (tmp_path / by_hand.FILE).write_text(json.dumps(kept))
    page = tmp_path / "page.json"
    page.write_text(json.dumps({"assignment": "tiny", "marks": {former: {"why": {"points": 4, "comment": "Good."}}}}))
    marks, _ = run.take_in(tmp_path, assignment, [ada], [page], ())
    assert marks.students() == {ada.key}
    assert (marks.points_of(ada.key, "why"), marks.days_late, marks.extensions) == (4, {ada.key: 2}, {ada.key: 1})
    assert run.take_in(tmp_path, assignment, [ada], [page], ())[1] == ["page.json: nothing in it is new"]


def test_whose_they_are_is_asked_where_nobody_can_know(assignment, tmp_path):
    former = slug("Ada Lovelace")
    (tmp_path / by_hand.FILE).write_text(json.dumps({"points": {former: {"why": 3}}}))
    both = [Submission(f"Ada Lovelace ({n})", name="Ada Lovelace", number=n) for n in ("412", "413")]
    marks, (words,) = run.take_in(tmp_path, assignment, both, (), ())
    assert former in words
    assert f"{both[0].key} or {both[1].key}" in words
    assert marks.points_of(former, "why") == 3


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
    assert once()[0].points_of(BOB, "why") == 3


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
