"""Views of the live lab inside chapters: nothing is loaded before a click, and the way on leads to the same state."""

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.book.browsing import AT_REST, AXE, BOOK, IN_DARK, OVERFLOW
from tests.book.lab_page import begin, digit, eventually, opened, verdict
from tools.website.fetch_assets import VENDOR

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live views")]
expect.set_options(timeout=60_000)

CHAPTER = BOOK / "attacks/15_a_small_push.html"


def test_a_chapter_leads_to_the_same_state_in_the_lab(browser):
    with opened(browser, CHAPTER.as_uri(), start=False) as tab:
        assert tab.evaluate("typeof labFiles") == "undefined", "nothing is loaded before the click"
        expect(tab.locator(".lab-load")).to_contain_text("Try it on a digit of your own: Attack it (loads ")
        begin(tab)
        expect(verdict(tab, "ordinary")).to_have_text("5")
        panel = tab.get_by_role("group", name="Attack it")
        expect(panel.locator("output.lab-words").first).to_contain_text("Not fooled: it still sees a 5")
        assert tab.locator(".lab-help dt").all_text_contents() == ["pad", "sliders"], "there are no tabs, and no maps"
        slider = panel.get_by_role("slider", name="eps")
        assert slider.input_value() == "0.05"
        slider.press("End")
        expect(panel.locator("output.lab-words").first).to_contain_text("Fooled: it now sees a")
        tab.get_by_role("button", name="pick a test 3").click()
        link = tab.get_by_role("link", name="Open this in the live lab")
        eventually(lambda: link.get_attribute("href") == "../lab/live_lab.html#attack&digit=3&eps=0.5")
        assert tab.evaluate("location.hash") == "", "a chapter keeps its own address"
        before = digit(tab)
        link.click()
        begin(tab)
        expect(verdict(tab, "ordinary")).to_have_text("3")
        assert digit(tab) == before
        expect(tab.locator(".lab-panel-attack")).to_be_visible()
        assert tab.locator(".lab-panel-attack").get_by_role("slider", name="eps").input_value() == "0.5"
        expect(tab.locator(".lab-panel-attack").get_by_role("link", name="A small push")).to_be_visible()


PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"}


def keeps_nobody_out(tab):
    """In light colours and in dark ones."""
    tab.add_script_tag(path=VENDOR / ".axe/axe.min.js")
    for scheme, rules in (("light", {}), ("dark", IN_DARK)):
        tab.emulate_media(color_scheme=scheme)
        expect(tab.locator("html")).to_have_attribute("data-theme", scheme)
        tab.wait_for_function(AT_REST)
        assert tab.evaluate(AXE, rules) == [], scheme
        assert tab.evaluate(OVERFLOW) == [], scheme


def test_nobody_is_kept_out_of_a_view(browser):
    with opened(browser, CHAPTER.as_uri(), start=False, **PHONE) as tab:
        begin(tab)
        expect(tab.locator(".lab-panel-attack output.lab-words").first).to_contain_text("ooled")
        keeps_nobody_out(tab)


def test_without_javascript_a_chapter_links_to_the_lab(browser):
    with opened(browser, CHAPTER.as_uri(), start=False, java_script_enabled=False) as tab:
        expect(tab.locator(".live-lab a")).to_have_attribute("href", "../lab/live_lab.html")


YOURS, SIXTEEN = BOOK / "lab/your_photo.html", BOOK / "attacks/16_any_image_into_any_class.html"


def test_a_chapter_breaks_its_photo_and_leads_to_the_same_state_in_the_lab(browser):
    with opened(browser, SIXTEEN.as_uri(), start=False) as tab:
        assert tab.evaluate("typeof labFiles") == "undefined", "nothing is loaded before the click"
        load = tab.locator(".lab-load")
        expect(load).to_contain_text("Try it on a photo of your own: Break (loads ")
        load.click()
        rows = tab.locator(".lab-panel-break .lab-cures tbody tr")
        expect(rows).to_have_count(3, timeout=300_000)
        expect(tab.locator(".lab-panel-break output.lab-words").first).to_contain_text("Fooled: it sees flamingo.")
        link = tab.get_by_role("link", name="Open this in the live lab")
        address = "../lab/live_lab.html#photographs&view=break&photo=cat&towards=flamingo"
        eventually(lambda: link.get_attribute("href") == address)
        assert tab.evaluate("location.hash") == "", "a chapter keeps its own address"
        assert tab.evaluate("Object.keys(labFiles).includes('mnist.onnx')") is False, "no network that is not needed"


def test_the_page_for_the_readers_photo_takes_one(browser, tmp_path):
    Image.fromarray(np.tile((np.arange(300) % 256).astype(np.uint8), (200, 1))).save(tmp_path / "stripes.png")
    with opened(browser, YOURS.as_uri(), start=False, **PHONE) as tab:
        expect(tab.locator(".lab-load")).to_contain_text("Try it on a photo of your own (loads ")
        tab.locator(".lab-load").click()
        expect(tab.locator(".lab-classes th").first).not_to_have_text("", timeout=300_000)
        with tab.expect_file_chooser() as chooser:
            tab.get_by_role("button", name="Choose a photo").click()
        chooser.value.set_files(tmp_path / "stripes.png")
        expect(tab.get_by_text("Your photo, 300 × 200 pixels.")).to_be_visible()
        keeps_nobody_out(tab)
