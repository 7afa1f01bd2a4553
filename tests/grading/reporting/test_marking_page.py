"""The marking page in a browser, from the disk: what is typed there reaches the table, and nothing typed is lost."""

import csv
import json
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.results import Answer, Result, Task
from labkit.grading.marking.submissions import Submission, slug
from labkit.grading.reporting import by_hand, run
from labkit.grading.reporting.lateness import Rule
from labkit.grading.reporting.standing import Terms
from tests.book.browsing import AXE, OVERFLOW, inside
from tests.grading import tiny
from tools.website.fetch_assets import VENDOR

pytestmark = pytest.mark.browser

FOUND = [Submission("Ada Lovelace"), Submission("Bob"), Submission("Eve")]
ADA, BOB = slug("Ada Lovelace"), slug("Bob")
ANSWERS = {
    "Ada Lovelace": "The network sees edges first, then parts, then a digit.",
    "Bob": "</script><script>document.title = 'marked by Bob'</script>",
    "Eve": "It learns.\n" * 60,
}
DAYS_LATE = 2
TERMS = Terms(rule=Rule(10, percent=True))


@pytest.fixture
def write(tmp_path):
    """A run of everything but the marking itself: takes in files of the page, writes tables and pages."""
    assignment = read_assignment(tiny.write(tiny.solution(), tmp_path / "tiny.ipynb"))
    tasks = {cell.name: Task(cell.points, cell.points, []) for cell in assignment.tests}
    results = [Result(name, tasks=tasks, by_hand={"why": Answer(4, text)}) for name, text in ANSWERS.items()]

    def go(*pages):
        marks, words = run.take_in(tmp_path, assignment, FOUND, pages, ())
        marks.set_days_late(BOB, DAYS_LATE, "a test")
        by_hand.save(tmp_path, marks)
        run.write(tmp_path, assignment, results, FOUND, marks, TERMS)
        return words

    go()
    return go


@pytest.fixture
def visit(browser, write, tmp_path):
    """Opens the page in a browser that has never seen it, with outside hosts blocked; nothing may go wrong there."""

    @contextmanager
    def go(picker="delete window.showSaveFilePicker", **options):  # Firefox and Safari have none
        context = browser.new_context(**options)
        context.add_init_script(picker)
        failures = []
        own = tmp_path.as_uri()

        tab = context.new_page()
        tab.on("request", lambda asked: inside(asked.url, own) or failures.append(f"asks for {asked.url}"))
        tab.on("pageerror", lambda error: failures.append(str(error)))
        tab.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
        tab.on("dialog", lambda dialog: dialog.accept())  # leave, although something is not saved
        tab.goto((tmp_path / "marking.html").as_uri())
        yield tab
        context.close()
        assert failures == []

    return go


def card(tab, name):
    return tab.locator(".card").filter(has=tab.get_by_role("heading", name=name, exact=True))


def points(tab, name):
    return card(tab, name).get_by_label("Points")


def comment(tab, name):
    return card(tab, name).get_by_label("Comment", exact=True)


def state(tab):
    return tab.locator("#state")


def saved(tab, path):
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save marks").click()
    assert download.value.suggested_filename == "marks-from-page.json"
    download.value.save_as(path)
    return json.loads(path.read_text(encoding="utf-8"))


def opened(tab, path):
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Open a file of marks").click()
    chooser.value.set_files(path)


def rows(folder):
    with (folder / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_marks_go_from_the_page_to_the_table_and_back(visit, write, tmp_path):
    path = tmp_path / "saved.json"
    with visit() as tab:
        expect(state(tab)).to_have_text("open answers: 3")
        points(tab, "Ada Lovelace").fill("3")
        comment(tab, "Ada Lovelace").fill("Say why.")
        comment(tab, "Ada Lovelace").blur()
        points(tab, "Bob").fill("2,5")  # as it is typed in Germany
        menu = card(tab, "Bob").get_by_role("combobox")
        menu.focus()
        menu.select_option("Say why.")
        expect(comment(tab, "Bob")).to_have_value("Say why.")
        expect(state(tab)).to_have_text("open answers: 1; not saved yet")
        expect(card(tab, "Ada Lovelace").locator(".sum")).to_have_text("7 by machine + 3 by hand = 10 of 11")
        late = "7 by machine + 2.5 by hand − 1.9 (handed in 2 days late) = 7.6 of 11"  # 2 times 10% of 9.5
        expect(card(tab, "Bob").locator(".sum")).to_have_text(late)
        found = saved(tab, path)
        expect(state(tab)).to_have_text("open answers: 1")
    base = {"points": None, "comment": ""}
    first, second = (mark["why"]["when"] for mark in found["marks"].values())
    assert first < second, "so that the merge knows each from one that is typed again later"
    assert found["marks"] == {
        ADA: {"why": {"points": 3, "comment": "Say why.", "base": base, "when": first}},
        BOB: {"why": {"points": 2.5, "comment": "Say why.", "base": base, "when": second}},
    }

    with visit() as tab:  # another browser, before anything was merged
        expect(points(tab, "Bob")).to_have_value("")
        opened(tab, path)
        expect(points(tab, "Bob")).to_have_value("2.5")
        expect(comment(tab, "Bob")).to_have_value("Say why.")
        expect(state(tab)).to_have_text("open answers: 1; not saved yet")
        assert saved(tab, tmp_path / "again.json") == found

    assert write(path) == ["saved.json: 2 marks were taken in"]
    marks = json.loads((tmp_path / "marks.json").read_text(encoding="utf-8"))
    assert marks["points"] == {ADA: {"why": 3}, BOB: {"why": 2.5}}
    assert marks["comments"] == {ADA: {"why": "Say why."}, BOB: {"why": "Say why."}}
    assert marks["reusable"] == ["Say why."]
    table = rows(tmp_path)
    assert [table[name]["why (by hand, of 4)"] for name in ANSWERS] == ["3", "2.5", ""]
    assert [table[name]["total (of 11)"] for name in ("Ada Lovelace", "Bob")] == ["10", "7.6"]
    assert [table[name]["status"] for name in ANSWERS] == ["graded", "graded", "open: by hand"]

    with visit() as tab:  # the page that the merge wrote
        expect(points(tab, "Bob")).to_have_value("2.5")
        expect(card(tab, "Bob").locator(".sum")).to_have_text(late)
        expect(state(tab)).to_have_text("open answers: 1")


def test_a_draft_that_was_taken_in_gives_way_to_a_newer_mark(visit, write, tmp_path):
    with visit() as tab:
        points(tab, "Eve").fill("1")
        found = saved(tab, tmp_path / "saved.json")
        tab.reload()
        expect(points(tab, "Eve")).to_have_value("1")  # it is only in the file yet
        write(tmp_path / "saved.json")
        found["marks"][slug("Eve")]["why"] |= {"points": 2, "base": {"points": 1, "comment": ""}}
        (tmp_path / "newer.json").write_text(json.dumps(found))
        write(tmp_path / "newer.json")
        tab.reload()
        expect(points(tab, "Eve")).to_have_value("2")
        expect(state(tab)).to_have_text("open answers: 2")


def test_the_draft_survives_a_reload(visit):
    with visit() as tab:
        points(tab, "Eve").fill("1")
        comment(tab, "Eve").press_sequentially("Half a sent")
        tab.reload()
        expect(points(tab, "Eve")).to_have_value("1")
        expect(comment(tab, "Eve")).to_have_value("Half a sent")
        expect(state(tab)).to_have_text("open answers: 2; not saved yet")


@pytest.mark.parametrize("typed", ["4.5", "-1", "much", "1e0"])
def test_points_that_are_none_are_refused_in_words(visit, tmp_path, typed):
    with visit() as tab:
        points(tab, "Eve").fill(typed)
        refusal = card(tab, "Eve").get_by_role("alert")
        expect(refusal).to_have_text(f"“{typed}” is refused: points are a number from 0 to 4")
        expect(points(tab, "Eve")).to_have_attribute("aria-invalid", "true")
        tab.get_by_role("button", name="Save marks").click()
        expect(state(tab)).to_have_text("not saved: mend the points that are refused first")
        expect(points(tab, "Eve")).to_be_focused()
        points(tab, "Eve").fill("4")
        expect(refusal).to_be_hidden()
        assert saved(tab, tmp_path / "saved.json")["marks"][slug("Eve")]["why"]["points"] == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not opened: marks.json is no file that this page saved"),
        ("[]", "not opened: marks.json is no file that this page saved"),
        ('{"assignment": "other", "marks": {}}', "not opened: marks.json holds marks of other"),
        (
            '{"assignment": "tiny", "marks": {"gone": {}}}',
            "open answers: 3; not saved yet; students who are not on this page: 1",
        ),
    ],
)
def test_what_a_file_cannot_give_is_said(visit, tmp_path, content, words):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/marks.json").write_text(content)
    with visit() as tab:
        opened(tab, tmp_path / "other/marks.json")
        expect(state(tab)).to_have_text(words)


def test_names_and_marked_answers_can_be_hidden(visit):
    with visit() as tab:
        tab.get_by_label("hide names").check()
        assert tab.get_by_role("heading", level=3).all_text_contents() == ["Student 1", "Student 2", "Student 3"]
        tab.get_by_label("only open ones").check()
        points(tab, "Student 2").fill("2")
        expect(card(tab, "Student 2")).to_be_visible()  # nothing vanishes while somebody types
        tab.get_by_label("only open ones").uncheck()
        tab.get_by_label("only open ones").check()
        expect(card(tab, "Student 2")).to_be_hidden()
        expect(card(tab, "Student 3")).to_be_visible()


def test_an_answer_is_text(visit):
    with visit() as tab:
        expect(card(tab, "Bob").get_by_role("region")).to_have_text(ANSWERS["Bob"])
        expect(tab).to_have_title("tiny: marking")


# In Chromium's place, whose own dialog nobody can press in a test: what is written, and how often it asks where.
PICKER = """
window.asked = []; window.files = []; window.refuse = null;
window.showSaveFilePicker = async (options) => {
  window.asked.push(options.suggestedName);
  if (window.refuse) throw new DOMException("no", window.refuse);
  return { createWritable: async () => {
    let text = "";
    return { write: async (part) => { text += part; }, close: async () => { window.files.push(text); } };
  } };
};
"""


def test_a_browser_that_asks_where_to_save_writes_the_same_file_again(visit, write, tmp_path):
    with visit(PICKER) as tab:
        save = tab.get_by_role("button", name="Save marks")
        tab.evaluate("window.refuse = 'AbortError'")
        points(tab, "Eve").fill("1")
        save.click()
        expect(state(tab)).to_have_text("open answers: 2; not saved yet")  # the person closed the dialog
        tab.evaluate("window.refuse = 'NotAllowedError'")
        save.click()
        expect(state(tab)).to_have_text("not saved: no")
        tab.evaluate("window.refuse = null")
        save.click()
        expect(state(tab)).to_have_text("open answers: 2")
        points(tab, "Bob").fill("2")
        save.click()
        expect(state(tab)).to_have_text("open answers: 1")
        assert tab.evaluate("window.asked") == ["marks-from-page.json"] * 3, "not a fourth time"
        first, second = tab.evaluate("window.files")
    assert list(json.loads(first)["marks"]) == [slug("Eve")]
    (tmp_path / "saved.json").write_text(second, encoding="utf-8")
    assert write(tmp_path / "saved.json") == ["saved.json: 2 marks were taken in"]
    assert [rows(tmp_path)[name]["why (by hand, of 4)"] for name in ANSWERS] == ["", "2", "1"]


def test_on_a_phone_the_answer_is_seen_before_the_marking_guide(visit):
    with visit(viewport={"width": 390, "height": 844}) as tab:
        guide = tab.locator(".rubric")
        expect(guide.locator("summary")).to_be_visible()
        expect(guide.locator("pre")).to_be_hidden()
        answer = card(tab, "Ada Lovelace").get_by_role("region").bounding_box()
        assert answer["y"] + answer["height"] < 844, "without scrolling"
        guide.locator("summary").click()
        expect(guide.locator("pre")).to_be_visible()
    with visit(viewport={"width": 1280, "height": 844}) as tab:
        expect(tab.locator(".rubric pre")).to_be_visible()
        beside = card(tab, "Ada Lovelace").bounding_box()
        assert (
            beside["x"] >= tab.locator(".rubric").bounding_box()["x"] + tab.locator(".rubric").bounding_box()["width"]
        )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_the_page(visit, width, scheme):
    with visit(viewport={"width": width, "height": 844}, color_scheme=scheme) as tab:
        points(tab, "Ada Lovelace").fill("3")
        points(tab, "Bob").fill("5")
        tab.evaluate((VENDOR / ".axe/axe.min.js").read_text(encoding="utf-8"))  # as a script it would be forbidden
        assert tab.evaluate(AXE, {}) == []
        assert tab.evaluate(OVERFLOW) == []
