import csv

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.results import Answer, Part, Result, Task
from labkit.grading.marking.submissions import slug
from labkit.grading.reporting import report
from labkit.grading.reporting.by_hand import Marks
from labkit.grading.reporting.platforms import read_roster
from labkit.grading.reporting.standing import Terms, standings
from labkit.grading.reporting.words import first_name_first
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


@pytest.fixture
def found(results):
    return standings(results, Marks(), {})


def test_tasks_of_the_class(assignment, results):
    mean, spread, temperature = report.tasks_of(assignment, results)
    assert (mean.mean, mean.full, mean.none, mean.failing) == (3, 3, 0, [])
    assert (round(spread.mean, 2), spread.full, spread.none) == (2.33, 1, 0)
    assert spread.failing == [("numbers below zero", 2)]
    assert (round(temperature.fraction, 2), temperature.none) == (0.67, 1)


def test_grades(assignment, found, tmp_path):
    report.write_grades(tmp_path / "grades.csv", assignment, found)
    content = (tmp_path / "grades.csv").read_bytes()
    assert content.startswith(b'\xef\xbb\xbf"student","key",')  # the mark by which Excel knows UTF-8
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    assert [row["total by machine (of 7)"] for row in rows] == ["7", "6", "5", ""]
    assert [row["spread (of 3)"] for row in rows] == ["3", "2", "2", ""]
    assert {row["why (by hand, of 4)"] for row in rows} == {""}
    assert [row["status"] for row in rows] == ["open: by hand"] * 3 + ["cannot be graded"]
    assert rows[2]["student"].startswith("'=eve")
    assert rows[2]["notes"].startswith("'+note")
    assert rows[3]["reason"].startswith("'-broken")


def test_pages_show_what_was_written_as_text(assignment, results, found, tmp_path):
    report.write_pages(tmp_path, assignment, found)
    pages = [tmp_path / "index.html", *(tmp_path / "feedback" / f"{slug(r.student)}.html" for r in results)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "default-src 'none'" in text
    assert sum("&lt;script&gt;" in page.read_text() for page in pages) == 3
    assert "2 of 3" in pages[0].read_text(), "how many failed at what"
    for each in results:
        assert f'href="feedback/{slug(each.student)}.html"' in pages[0].read_text()


def test_pages_of_students_who_are_gone_go(assignment, found, tmp_path):
    report.write_pages(tmp_path, assignment, found)
    (tmp_path / "feedback" / "read-me.html").write_text("an instructor's own")
    report.write_pages(tmp_path, assignment, found[1:])
    left = {path.name for path in (tmp_path / "feedback").iterdir()}
    assert left == {"read-me.html", *(f"{each.key}.html" for each in found[1:])}


def test_letters_go_to_those_whose_work_is_marked(assignment, results, tmp_path):
    marks = Marks()
    marks.give(slug("ada"), "why", 3, "test")
    table = tmp_path / "worksheet.csv"
    marks.say(slug("ada"), "why", "Say more.", "test")
    marks.say(slug("ada"), "", "Good, and\r\nclear: „schön“.", "test")
    lines = ["Identifier,Full name,Email address,Grade", "Participant 1,Ada,ada@x.org,", "Participant 2,Bob,bob@x.org,"]
    table.write_text("\n".join(lines))
    report.write_mail_merge(tmp_path / "mail.csv", assignment, standings(results, marks, {}, Terms(read_roster(table))))
    page = str(tmp_path / "feedback" / f"{slug('ada')}.html")
    assert (tmp_path / "mail.csv").read_bytes().decode("utf-8-sig").split("\r\n") == [
        '"key","email","name","assignment","points","of","comment","page"',
        f'"{slug("ada")}","ada@x.org","Ada","tiny","10","11","why: Say more. Good, and clear: „schön“.","{page}"',
        "",
    ]
    assert (tmp_path / "mail.csv").read_bytes().startswith(b"\xef\xbb\xbf"), "Excel and Word take it for UTF-8"


@pytest.mark.parametrize(
    ("given", "in_a_letter"),
    [
        ("Lovelace, Ada", "Ada Lovelace"),
        ("Ada Lovelace", "Ada Lovelace"),
        ("King, Martin Luther, Jr.", "King Martin Luther Jr."),
    ],
)
def test_no_name_in_a_letter_holds_a_comma(given, in_a_letter):
    assert first_name_first(given) == in_a_letter


def test_summary(assignment, found):
    words = report.summary(assignment, found)
    assert "3 of 4 submissions graded" in words
    assert "mean 6 of 7 points" in words
    assert "to be marked by hand: why (4); 3 answers are open" in words
    assert "cannot be graded: half: -broken" in words
    assert "\x1b" not in report.summary(assignment, standings([Result("\x1b[31mred", problem="x")], Marks(), {}))


def test_points_by_hand_for_what_cannot_be_graded_are_shown(assignment, tmp_path):
    marks = Marks()
    marks.give(slug("half"), "why", 3, "test")
    marks.say(slug("half"), "why", "Read from the PDF.", "test")
    marks.say(slug("none"), "", "Come and see me.", "test")
    results = [result("ada"), Result("half", problem="there is no notebook"), Result("none", problem="it is broken")]
    found = standings(results, marks, {})
    report.write_pages(tmp_path, assignment, found)
    half, none = ((tmp_path / "feedback" / f"{slug(name)}.html").read_text() for name in ("half", "none"))
    for words in ("marked by hand only", "there is no notebook", "<strong>3</strong> of 11", "Read from the PDF."):
        assert words in half
    assert "cannot be graded" not in half
    assert "This notebook cannot be graded." in none
    assert "Come and see me." in none
    assert "points" not in none.partition("<main>")[2]
    index = (tmp_path / "index.html").read_text()
    assert "2 of 3 submissions graded" in index
    students = index.partition("<h2>Students</h2>")[2]
    assert [name for name in ("ada", "half", "none") if slug(name) in students] == ["ada", "half"]
    assert found[1].comments == "why: Read from the PDF."
    words = report.summary(assignment, found)
    assert "2 of 3 submissions graded" in words
    assert "cannot be graded: none" in words
    assert "cannot be graded: half" not in words
    assert "mean 7 of 7 points" in words


def test_nobody_graded(assignment, tmp_path):
    found = standings([Result("half", problem="broken")], Marks(), {})
    report.write_pages(tmp_path, assignment, found)
    report.write_grades(tmp_path / "grades.csv", assignment, found)
    assert "0 of 1 submissions graded" in report.summary(assignment, found)
    assert "0 of 1" in (tmp_path / "index.html").read_text()
