"""Predictions, quizzes, glossary and progress in Chromium: they wait for the reader, remember, and need no mouse."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.book.browsing import AXE, BOOK, OVERFLOW
from tools.website.fetch_assets import VENDOR

pytestmark = pytest.mark.browser
CHAPTER = BOOK / "basics/01_convolution.html"


@pytest.fixture
def chapter(browser):
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    tab = context.new_page()
    tab.goto(CHAPTER.as_uri())
    yield tab
    context.close()


def kept(tab):
    return json.loads(tab.evaluate("localStorage.getItem('course-progress')"))["basics/01_convolution"]


def test_a_guess_locks_and_comes_back(chapter):
    predict, recall = (chapter.locator(f".course-{kind}").first for kind in ("predict", "recall"))
    answer = recall.locator(".course-answer")
    expect(answer).to_be_hidden()
    predict.get_by_role("button", name="Lock my guess").click()
    expect(predict.get_by_role("status")).to_have_text("Choose one first.")
    predict.get_by_role("radio").first.focus()
    chapter.keyboard.press("Space")
    chapter.keyboard.press("Enter")  # sends the form, as everywhere
    expect(predict.get_by_role("status")).to_contain_text("Locked.")
    expect(predict.get_by_role("radio").first).to_be_disabled()
    expect(answer).to_be_visible()
    expect(recall.locator(".course-guess")).to_contain_text("Your guess: A")
    chapter.reload()
    expect(predict.get_by_role("status")).to_contain_text("Locked.")
    expect(answer).to_be_visible()


def test_nobody_has_to_guess(chapter):
    recall = chapter.locator(".course-recall").first
    recall.get_by_role("button", name="Show me without guessing").click()
    expect(recall.locator(".course-answer")).to_be_visible()
    assert all("guess" not in guess for guess in kept(chapter)["predict"].values())


def test_a_quiz_explains_what_was_chosen(chapter):
    quiz = chapter.locator(".course-quiz").first
    right, explanations = int(quiz.get_attribute("data-answer")), quiz.locator(".course-why")
    wrong = (right + 1) % explanations.count()
    described = [radio.get_attribute("aria-describedby") for radio in quiz.get_by_role("radio").all()]
    assert not any(described), "a screen reader would say which one is right"
    for place, verdict in ((wrong, "No."), (right, "Right.")):
        expect(explanations.nth(place)).to_be_hidden()
        quiz.get_by_role("radio").nth(place).check()
        quiz.get_by_role("button", name="Check").click()
        expect(quiz.get_by_role("status")).to_contain_text(verdict)
        expect(explanations.nth(place)).to_contain_text(verdict)
        expect(quiz.get_by_role("radio").nth(place)).to_have_accessible_description(re.compile(re.escape(verdict)))
    quiz.get_by_role("button", name="Show all explanations").click()
    for explanation in explanations.all():
        expect(explanation).to_be_visible()
    (answer,) = kept(chapter)["quiz"].values()
    assert answer == {"right": True}


def test_what_is_not_locked_yet_stays_chosen(chapter):
    chosen = chapter.locator(".course-predict").first.get_by_role("radio").nth(2)
    chosen.check()
    quiz = chapter.locator(".course-quiz").first
    quiz.get_by_role("radio").first.check()
    quiz.get_by_role("button", name="Check").click()
    expect(chosen).to_be_checked()


def test_a_guess_is_a_number_that_can_be_kept(chapter):
    chapter.goto((BOOK / "basics/05_from_scratch.html").as_uri())
    predict = chapter.locator(".course-predict[data-number]").first
    for guess, said in (("1e400", "A number, please"), ("1,5", "Locked.")):
        predict.get_by_role("textbox").fill(guess)
        predict.get_by_role("button", name="Lock my guess").click()
        expect(predict.get_by_role("status")).to_contain_text(said)


def test_answers_last_as_long_as_the_page_where_the_storage_is_full(chapter):
    chapter.get_by_label("I have solved the exercise").check()
    chapter.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    predict = chapter.locator(".course-predict").first
    predict.get_by_role("radio").first.check()
    predict.get_by_role("button", name="Lock my guess").click()
    expect(predict.get_by_role("status")).to_contain_text("Locked.")
    expect(chapter.locator(".course-recall").first.locator(".course-answer")).to_be_visible()
    expect(chapter.get_by_label("I have solved the exercise")).to_be_checked()


def test_answered_and_open_boxes_keep_nobody_out(chapter):
    for button in ("Lock my guess", "Check"):
        box = chapter.locator(".course-box").filter(has=chapter.get_by_role("button", name=button)).first
        box.get_by_role("radio").first.check()
        box.get_by_role("button", name=button).click()
    chapter.locator("a.course-term").first.focus()
    chapter.add_script_tag(path=VENDOR / ".axe/axe.min.js")
    for width, scheme in ((1280, "light"), (390, "dark")):
        chapter.set_viewport_size({"width": width, "height": 844})
        chapter.emulate_media(color_scheme=scheme)
        expect(chapter.locator("html")).to_have_attribute("data-theme", scheme)
        assert chapter.evaluate(OVERFLOW) == []
        assert chapter.evaluate(AXE, {}) == []


def test_a_word_shows_its_definition(chapter):
    word, tip = chapter.locator("a.course-term").first, chapter.get_by_role("tooltip")
    word.focus()
    expect(tip).to_be_visible()
    assert len(tip.inner_text()) > 20
    assert word.get_attribute("aria-describedby") == tip.get_attribute("id")
    chapter.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    word.hover()
    expect(tip).to_be_visible()


def test_ticks_can_be_saved_reset_and_brought_back(chapter, tmp_path):
    chapter.get_by_label("I have solved the exercise").check()
    tick = "#pst-primary-sidebar a.current .course-ticks"
    expect(chapter.locator(tick)).to_have_attribute("title", re.compile("exercise$"))
    chapter.wait_for_timeout(1000)  # a renderer that ends at once may take what was written last with it
    chapter.goto((BOOK / "index.html").as_uri())
    row = chapter.locator(".course-map tr").filter(has_text="The convolution")
    expect(row.locator(".course-ticks")).to_have_attribute("title", re.compile("exercise$"))
    with chapter.expect_download() as download:
        chapter.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "kept.json")
    chapter.on("dialog", lambda dialog: dialog.accept())
    chapter.get_by_role("button", name="Reset").click()
    expect(row.locator(".course-ticks")).to_have_count(0)
    for other in ('{"a": 1}', "[]", "7"):
        (tmp_path / "other.json").write_text(other)
        chapter.locator("input[type=file]").set_input_files(tmp_path / "other.json")
        expect(chapter.get_by_text("This is not a file that “Export” has written.")).to_be_visible()
        chapter.get_by_role("button", name="Reset").click()
    chapter.locator("input[type=file]").set_input_files(tmp_path / "kept.json")
    expect(row.locator(".course-ticks")).to_have_attribute("title", re.compile("exercise$"))


def test_one_switch_for_all_code(chapter):
    switch = chapter.get_by_role("combobox", name="Code:")
    folds = "[...document.querySelectorAll('.cell > details')].map(fold => fold.open)"
    switch.select_option("none")
    assert not any(chapter.evaluate(folds))
    chapter.goto((BOOK / "attacks/15_a_small_push.html").as_uri())
    assert not any(chapter.evaluate(folds))
    switch.select_option("all")
    assert all(chapter.evaluate(folds))


def test_without_javascript_everything_is_there(browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(CHAPTER.as_uri())
    for part in (".course-answer", ".course-why", ".course-choice"):
        found = tab.locator(part).all()
        assert found
        assert all(each.is_visible() for each in found), part
    context.close()
