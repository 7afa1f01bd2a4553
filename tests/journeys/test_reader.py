"""A reader's walk through the built book, from disk and offline, by links only: to a slider, the live lab, an exercise.

Nothing is opened by its address but the first page; everything else is a click on something that can be seen.
"""

import json
import re
from pathlib import Path

import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Page, expect

from tests.book.browsing import BOOK
from tests.book.lab_page import eventually, verdict

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.browser
PICTURE = """slider => [...slider.closest(".cell_output").querySelectorAll("img")]
    .filter(image => image.offsetParent !== null).map(image => image.src.length + image.src.slice(-500)).join()"""


@pytest.fixture
def tab(browser):
    """A tab on the first page; whatever is asked for over a network fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    page, outside = context.new_page(), []

    own = ("file:", "data:", "blob:")
    page.on("request", lambda request: request.url.startswith(own) or outside.append(request.url))
    page.goto((BOOK / "index.html").as_uri())
    yield page
    context.close()
    assert outside == []


def follow(tab: Page, words: str) -> None:
    """Click the first link in the page's text that says this."""
    tab.locator("article a", has_text=re.compile(words, re.IGNORECASE)).first.click()
    tab.wait_for_load_state()


def first_chapter(tab: Page) -> None:
    tab.locator("article .course-map a").first.click()
    tab.wait_for_load_state()
    assert "/basics/01_" in tab.url


def test_from_the_index_to_a_slider_that_moves(tab):
    first_chapter(tab)
    slider = tab.locator(".cell_output").get_by_role("slider").first
    slider.scroll_into_view_if_needed()
    before = slider.evaluate(PICTURE)
    assert before
    slider.focus()
    slider.press("End")
    eventually(lambda: slider.evaluate(PICTURE) != before)


def test_from_the_index_to_the_live_lab_and_to_a_drawn_digit(tab):
    follow(tab, "live lab")
    assert "/lab/" in tab.url
    tab.locator(".lab-load").first.click()
    expect(tab.get_by_role("button", name="Clear").first).to_be_visible(timeout=60_000)
    tab.get_by_role("button", name="pick a test 4").first.click()
    for network in ("ordinary", "robust"):
        expect(verdict(tab, network)).to_have_text("4", timeout=60_000)


def test_from_a_chapter_to_its_exercise(tab):
    first_chapter(tab)
    link = tab.locator("article a.download", has_text="convolution").first
    expect(link).to_be_visible()
    page = Path(tab.url.removeprefix("file://"))  # the browser opens a notebook's file, or offers to keep it
    notebook = json.loads((page.parent / (link.get_attribute("href") or "")).read_text("utf-8"))
    text = "".join("".join(cell["source"]) for cell in notebook["cells"])
    assert "raise NotImplementedError" in text
    assert "HIDDEN" not in text
    assert text == "".join(
        "".join(cell["source"])
        for cell in json.loads((ROOT / "exercises/convolution/convolution.ipynb").read_text("utf-8"))["cells"]
    )


def test_by_search_to_the_chapter_about_a_word(tab):
    """By the keyboard: the field that the search button opens, a word, the first chapter that is found."""
    tab.locator("button.search-button, button.search-button-field").locator("visible=true").first.click()
    field = tab.locator('input[name="q"]').locator("visible=true").first
    field.fill("occlusion")
    field.press("Enter")
    tab.wait_for_url("**/search.html*")
    found = tab.locator("#search-results li a", has_text=re.compile("cover|occlusion", re.IGNORECASE)).first
    found.wait_for()
    chapter = tab.locator('#search-results li a[href*="08_occlusion"]').first
    chapter.click()
    tab.wait_for_load_state()
    expect(tab.locator("article h1")).to_be_visible()
    assert "08_occlusion" in tab.url


def test_every_exercise_is_linked_by_a_chapter():
    linked = {
        name
        for page in BOOK.rglob("*.html")
        for name in re.findall(r"_downloads/\w+/(\w+)\.ipynb", page.read_text("utf-8"))
    }
    assert linked >= {path.name for path in (ROOT / "exercises").iterdir() if path.is_dir()}


def test_who_has_never_programmed_trains_breaks_and_hardens_a_network(tab):
    """By the words on the page alone: each step presses what a sentence names."""
    follow(tab, "live lab")
    tab.locator(".lab-load").first.click()
    tab.get_by_role("button", name="Train your own").click()
    expect(tab.get_by_text("Choose what your network is made of, press Train, and watch.")).to_be_visible(
        timeout=60_000
    )
    tab.get_by_role("combobox", name="filters").first.select_option("4")
    tab.get_by_role("combobox", name="passes").first.select_option("1")
    tab.get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_function("!liveLab.whole.train.running", timeout=300_000)
    expect(tab.locator(".lab-status").first).to_contain_text("of the test digits read correctly")
    tab.get_by_role("button", name="Draw for them, and attack them").click()
    tab.get_by_role("button", name="pick a test 4").first.click()
    tab.get_by_role("tab", name="Attack it").click()
    attack = tab.locator(".lab-panel-attack")
    attack.get_by_role("slider", name="eps").press("End")
    expect(attack.locator("output.lab-words").first).to_contain_text("Fooled: it now sees a", timeout=60_000)
    tab.get_by_role("button", name="Train your own").click()
    tab.get_by_role("combobox", name="passes").last.select_option("1")
    tab.get_by_role("button", name="Harden a copy of A").click()
    tab.wait_for_function("!liveLab.whole.train.running", timeout=600_000)
    words = tab.get_by_text(re.compile(r"Network A reads \d+% of the digits, and \d+% at eps 0.1. Network B reads"))
    before, after = map(int, re.findall(r"(\d+)% at eps", words.inner_text()))
    assert after > before


def test_who_has_a_photo_sees_what_a_network_finds_in_it_and_breaks_it(tab, tmp_path):
    """From the first page, by words on it alone, with a photo of one's own: nothing is programmed, nothing is sent."""
    Image.fromarray(skimage.data.chelsea()).save(tmp_path / "my cat.jpg", quality=92)
    follow(tab, "your photo")
    assert "/lab/" in tab.url
    tab.get_by_role("button", name="Try it on a photo of your own").click()
    choose = tab.get_by_role("button", name="Choose a photo")
    choose.wait_for(timeout=120_000)
    with tab.expect_file_chooser() as chooser:
        choose.click()
    chooser.value.set_files(tmp_path / "my cat.jpg")
    expect(tab.get_by_text("Your photo, 451 × 300 pixels.")).to_be_visible()
    expect(tab.locator(".lab-classes").first).to_contain_text(re.compile("cat|tabby"), timeout=60_000)
    tab.get_by_role("tab", name="Where").click()
    expect(tab.locator(".lab-panel-where figcaption").first).to_contain_text("saliency", timeout=60_000)
    tab.get_by_role("tab", name="Break").click()
    attack = tab.locator(".lab-panel-break")
    attack.get_by_role("combobox", name="push it into").fill("flamingo")
    attack.get_by_role("combobox", name="push it into").press("Enter")
    expect(attack.locator("output.lab-words").first).to_contain_text("Fooled: it sees flamingo.", timeout=300_000)
    expect(attack.locator(".lab-cures tbody tr")).to_have_count(3, timeout=60_000)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save these pictures").click()
    assert download.value.suggested_filename == "yours-break.png"
