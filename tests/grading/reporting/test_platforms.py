"""Round trips with tables as Moodle 4 and Canvas export and import them."""

import csv
from datetime import datetime

import pytest

from labkit.grading.marking.results import Result, Task
from labkit.grading.marking.submissions import Submission, slug
from labkit.grading.reporting import run
from labkit.grading.reporting.by_hand import Marks
from labkit.grading.reporting.lateness import Rule, days_late, parse_due, parse_rule
from labkit.grading.reporting.platforms import check_dates, read_roster, write_export
from labkit.grading.reporting.standing import Terms, standings

MOODLE = """Identifier,"Full name","ID number","Email address",Status,Grade,"Maximum Grade","Grade can be changed",\
"Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 412","Ada Lovelace",s1,ada@x.org,"Submitted for grading",,20.00,Yes,\
"Friday, 20 November 2026, 5:55 PM",-,
"Participant 413","Ada Lovelace",s2,ada2@x.org,"Submitted for grading",,20.00,Yes,\
"Sunday, 22 November 2026, 9:00 AM",-,
"Participant 414","Bob, the second",s3,bob@x.org,"No submission",7.00,20.00,Yes,-,"Monday, 2 November 2026, 9:00 AM",old
""".replace("\\\n", "")
CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,tiny (9917),Other (3),Final Score
    Points Possible,,,,,20,10,(read only)
"Lovelace, Ada",412,S1,ada@x.org,A,,5,50
"Kovalevsky, Maxim",413,S2,max,A,3,,30
"""


GERMAN = (
    'ID;"Vollständiger Name";E-Mail-Adresse;Status;Bewertung;Bestwertung;"Zuletzt geändert (Abgabe)";'
    '"Feedback als Kommentar"\n'  # codespell:ignore
    'Teilnehmer/in412;"Ada Lovelace";ada@x.org;"Zur Bewertung abgegeben";;20,00;"Freitag, 6. März 2026, 18:31";\n'
)


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "table.csv").write_text(text, encoding="utf-8-sig")
        return read_roster(tmp_path / "table.csv")

    return write


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_moodle_gets_its_own_worksheet_back(table, tmp_path):
    roster = table(MOODLE)
    written = write_export(tmp_path / "out.csv", roster, "tiny", {"412": 17.25, "413": 9.0}, {"412": "Good.\nWhy?"})
    assert written == 2
    before, after = read_rows(MOODLE), read(tmp_path / "out.csv")
    assert list(after[0]) == roster.header  # in their order, without a mark before the first
    assert [row["Grade"] for row in after] == ["17.25", "9", "7.00"]
    assert [row["Feedback comments"] for row in after] == ["Good.\nWhy?", "", "old"]
    untouched = [name for name in roster.header if name not in ("Grade", "Feedback comments")]
    assert [[row[name] for name in untouched] for row in after] == [[row[name] for name in untouched] for row in before]


def read_rows(text):
    return list(csv.DictReader(text.splitlines()))


def test_canvas_gets_the_columns_that_it_needs(table, tmp_path):
    assert write_export(tmp_path / "out.csv", table(CANVAS), "tiny", {"412": 17.5}, {}) == 1
    after = read(tmp_path / "out.csv")
    assert list(after[0]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "tiny (9917)"]
    assert [row["tiny (9917)"] for row in after] == ["20", "17.5", "3"]
    assert after[0]["Student"] == "Points Possible"
    with pytest.raises(ValueError, match="make the assignment in Canvas first"):
        write_export(tmp_path / "out.csv", table(CANVAS), "convolution", {}, {})


def test_another_table_is_refused(table):
    with pytest.raises(ValueError, match=r"its columns are name, points\. .*switch Moodle to English"):
        table("name,points\nada,3\n")


def test_a_german_worksheet_saved_by_a_german_excel(table, tmp_path):
    roster = table(GERMAN)
    ada = roster.find("Ada Lovelace", "412")
    assert (ada.email, ada.handed_in) == ("ada@x.org", datetime(2026, 3, 6, 18, 31))
    assert write_export(tmp_path / "out.csv", roster, "tiny", {"412": 17.25}, {"412": "Good."}) == 1
    (row,) = read(tmp_path / "out.csv")
    assert list(row) == roster.header
    assert (row["Bewertung"], row[roster.header[-1]]) == ("17.25", "Good.")


def test_an_english_worksheet_saved_by_a_german_excel(table):
    roster = table('Identifier;"Full name";Grade\nParticipant 412;Ada Lovelace;\n')
    assert roster.find("ada lovelace", "").number == "412"


@pytest.mark.parametrize(
    "text",
    [
        "Friday, 20 November 2026, 6:31 PM",
        "Friday, November 20, 2026, 6:31 PM",
        "Friday, November 20, 2026, 6:31\u202fPM",
        "Freitag, 20. November 2026, 18:31",
        "2026-11-20 18:31",
    ],
)
def test_dates_of_moodle(table, text):
    roster = table(MOODLE.replace("Friday, 20 November 2026, 5:55 PM", text))
    check_dates(roster)
    assert roster.find("", "412").handed_in == datetime(2026, 11, 20, 18, 31)
    assert roster.find("", "414").handed_in is None


def test_a_date_of_which_nothing_can_come_is_refused(table, tmp_path):
    roster = table(MOODLE.replace("Friday, 20 November 2026, 5:55 PM", "27/11/2026, 18:31"))
    with pytest.raises(ValueError, match="is '27/11/2026, 18:31', which cannot be read as a date"):
        check_dates(roster)
    no_dates = table(MOODLE.replace("Last modified (submission)", "Online text"))
    for roster in (None, table(CANVAS), no_dates):
        with pytest.raises(ValueError, match="--due needs the dates when students handed in"):
            check_dates(roster)
    with pytest.raises(ValueError, match="--due needs the dates"):
        run.terms(None, "2026-11-20", "10%/day")
    assert run.terms(None, None, "10%/day").rule == Rule(10, True)


def test_two_students_of_the_same_name_are_two(table):
    moodle, canvas = table(MOODLE), table(CANVAS)
    assert moodle.find("Ada Lovelace", "413").email == "ada2@x.org"
    assert moodle.find("Ada Lovelace", "") is None  # nobody guesses
    assert moodle.find("s3", "").number == moodle.find("bob@x.org", "").number == "414"
    assert canvas.find("lovelaceada", "").number == "412"
    assert canvas.find("kovalevskymaxim", "413").login == "max"
    assert canvas.find("nobody", "999") is None


def test_late_work_costs_what_the_rule_says(table):
    due = parse_due("2026-11-20 18:00")
    found = [Submission("Ada Lovelace (412)", name="Ada Lovelace", number="412")]
    found += [Submission("Ada Lovelace (413)", name="Ada Lovelace", number="413")]
    results = [Result(each.student, tasks={"check-mean": Task(10, 10, [])}) for each in found]
    terms = Terms(table(MOODLE), parse_rule("10%/day"), due)
    people = {each.student: each for each in found}
    in_time, late = standings(results, Marks(), people, terms)
    assert (in_time.days_late, in_time.taken_off, in_time.total) == (0, 0, 10)
    assert (late.days_late, late.taken_off, late.total) == (1.625, 2, 8)
    more = Marks(extensions={slug("Ada Lovelace (413)"): 1})
    assert standings(results, more, people, terms)[1].taken_off == 1
    known_better = Marks(days_late={slug("Ada Lovelace (413)"): 0})
    assert standings(results, known_better, people, terms)[1].total == 10


def test_rules_and_dates():
    assert parse_rule("2/day") == Rule(2, False)
    assert str(parse_rule(" 12.5 % / day ")) == "12.5% a day"
    for text in ("10%", "0%/day", "110%/day", "-1/day", "ten/day"):
        with pytest.raises(ValueError, match="10%/day"):
            parse_rule(text)
    assert parse_due("2026-11-20") == datetime(2026, 11, 21)
    with pytest.raises(ValueError, match="'tomorrow'"):
        parse_due("tomorrow")
    assert parse_rule("40%/day").taken_off(10, 9) == 10  # not more than there is
    assert days_late(None, None, True, 0) != days_late(None, None, True, 0)  # nan: nobody knows by how much
    assert days_late(None, None, True, 3) == 0
