"""The page in a browser, opened from disk with every outside host blocked: sliders, a phone, a dark room."""

import pytest
import torch

from labkit.report import report
from tests.book.browsing import OVERFLOW
from tests.book.conftest import browser
from tests.report.conftest import small

__all__ = ["browser"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("report")]
WIDTHS = {"desk": 1100, "phone": 390}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = report(small(), images, torch.tensor([0, 1, 2, 3, 0, 1]), classes=["one", "two", "three", "four"])
    return found.save(tmp_path_factory.mktemp("page") / "report.html").as_uri()


def opened(browser, address, width=1100, scheme="light"):
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("requestfailed", lambda request: page.wrong.append(request.url))
    page.goto(address)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_sticks_out_and_nothing_is_asked_for(browser, address, width, scheme):
    page = opened(browser, address, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.evaluate(OVERFLOW)
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.wrong == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 18, 18)"
    assert dark == (scheme == "dark")


def test_sliders_move_without_a_kernel(browser, address):
    page = opened(browser, address)
    section = page.locator("#attribution")
    slider = section.get_by_label("image", exact=True)
    assert section.locator(".frame:visible").get_attribute("data-value") == "image 1"
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert section.locator(".frame:visible").get_attribute("data-value") == "image 4"
    assert slider.get_attribute("aria-valuetext") == "image 4"
    section.get_by_label("strength of the map").fill("20")
    shown = section.locator(".frame:visible .over").first
    assert shown.evaluate("(image) => getComputedStyle(image).opacity") == "0.2"


def test_without_javascript_every_frame_is_there(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#attribution .frame:visible").count() == 6
    context.close()
