"""Chromium opens every built page with outside hosts blocked: nothing fails, sliders move, everybody can read it."""

import re
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from playwright.sync_api import Page, expect

from tests.book.browsing import AXE, BOOK, EVERY_IMPACT, IN_DARK, OVERFLOW, inside, served
from tools.website.fetch_assets import VENDOR

pytestmark = pytest.mark.browser

PAGES = sorted(str(page.relative_to(BOOK)) for page in BOOK.rglob("*.html") if "_static" not in page.parts)
CHAPTERS = [
    page for page in PAGES if page.split("/")[0] not in ("_modules", "reference", "lab", "teaching") and "/" in page
]
GENERATED = {  # from one template each: a page a module, and a page with its source
    place: [page for page in PAGES if page.startswith(place)] for place in ("reference/labkit", "_modules/labkit")
}
# Of the generated ones, axe reads each template's largest page and every eighth: it takes longer than all the rest.
READ_BY_AXE = {page for page in PAGES if not page.startswith(tuple(GENERATED))}
for group in GENERATED.values():
    READ_BY_AXE.update(group[::8], sorted(group, key=lambda page: (BOOK / page).stat().st_size)[-1:])

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
HEAVIEST, MOST_REQUESTS = 2_500_000, 20  # bytes and files, for a chapter that is the first page a reader opens

WITHOUT_ALT = """() => [...document.querySelectorAll("img")]
    .filter(image => !image.alt.trim() || /\\.(png|svg|jpe?g|gif|webp)$/.test(image.alt))
    .map(image => image.outerHTML.slice(0, 200))"""

DISTORTED = """() => [...document.querySelectorAll("img")]
    .filter(image => image.offsetWidth && Math.abs(
        image.offsetHeight / image.offsetWidth * image.naturalWidth / image.naturalHeight - 1) > 0.03)
    .map(image => image.outerHTML.slice(0, 200))"""

# Whether code that scrolls sideways can be scrolled with the keyboard.
REACHABLE = """() => [...document.querySelectorAll("pre")]
    .every(block => block.scrollWidth <= block.clientWidth || block.tabIndex === 0)"""

CONTROLS = ".course-slider input, .course-slider select"

# What a reader sees of the output that a slider belongs to: for a picture, what tells it from others.
VISIBLE = """slider => [...slider.closest(".course-slider").querySelectorAll("img")]
    .filter(figure => figure.offsetParent !== null && figure.complete).map(figure => figure.src).join()"""

# Whether the frame of these values is shown, and no other: a page decodes a frame before it shows it.
SETTLED = """slider => {
    const box = slider.closest(".course-slider");
    const controls = box.querySelectorAll(".course-controls :is(input, select)");
    const frame = [...controls].reduce((sum, control) => control.options
        ? sum * control.options.length + control.selectedIndex
        : sum * (Number(control.max) + 1) + control.valueAsNumber, 0);
    const frames = [...box.querySelectorAll(".course-frame")];
    return frames.every(({ hidden }, place) => hidden === (place !== frame))
        && frames[frame].querySelector("img").complete;
}"""


# Once through the page, so that all is loaded that a reader comes by; then whether it is there.
READ = """async () => {
    for (let top = 0; top < document.documentElement.scrollHeight; top += 600) {
        window.scrollTo({ top, behavior: "instant" });
        await new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)));
    }
    window.scrollTo({ top: 0, behavior: "instant" });
}"""
LOADED = "() => [...document.images].every((image) => image.complete || !image.checkVisibility())"


class Watched(NamedTuple):
    """A tab, what its page has asked for, and what went wrong."""

    tab: Page
    requests: set[str]
    problems: list[str]


def watched(browser, own):
    """A new tab, for pages whose addresses begin so."""
    # Without motion, so that no colour is measured on its way to another one.
    tab = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce").new_page()
    tab.context.set_default_timeout(60_000)
    requests, problems = set(), []

    def asked(request):
        requests.add(request.url.partition("#")[0])
        if not inside(request.url, own):
            problems.append(f"outside host: {request.url}")

    tab.on("request", asked)
    tab.on("requestfailed", lambda request: problems.append(f"failed request: {request.url[:200]}"))
    tab.on("response", lambda response: response.status >= 400 and problems.append(f"missing: {response.url}"))
    tab.on("console", lambda message: message.type == "error" and problems.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    return Watched(tab, requests, problems)


@contextmanager
def opened(browser, address):
    """A tab on one page, and afterwards a failure for all that went wrong while it was open."""
    own = address.partition("/_build/")[0] if address.startswith("file:") else "/".join(address.split("/")[:3])
    tab, _, problems = watched(browser, own)
    tab.goto(address, wait_until="load")
    yield tab
    tab.context.close()
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def spare():
    """The tab that the page before has left: a new one costs as much as a page. One with a failure is not kept."""
    return []


@pytest.fixture
def visit(browser, spare):
    @contextmanager
    def go(page):
        """As `opened`, from disk, and what the page asks for."""
        found = spare.pop() if spare else watched(browser, BOOK.as_uri().partition("/_build/")[0])
        tab, requests, problems = found
        tab.goto("about:blank")
        tab.emulate_media(color_scheme="light")
        tab.set_viewport_size(WIDE)
        requests.clear()
        problems.clear()
        tab.goto((BOOK / page).as_uri(), wait_until="load")
        yield tab, requests
        assert not problems, "\n".join(problems)
        spare.append(found)

    return go


def move_sliders(tab):
    """Take every slider and menu to its last value with the keyboard and back; how many sliders there were."""
    controls = tab.locator(CONTROLS)
    for control in controls.all():
        name = control.evaluate("control => control.labels[0].textContent")
        assert name, "a slider or menu has no name"
        control.focus()
        first = pressed(tab, control, "Home")  # some start elsewhere
        assert first, f"{name} has no picture"
        assert pressed(tab, control, "End") != first, f"{name}: its last value shows the same picture as its first"
        if control.get_attribute("type") == "range":
            readout = control.evaluate("slider => slider.closest('div').querySelector('output').textContent")
            assert control.get_attribute("aria-valuetext") == readout, f"{name} reads out {readout} differently"
        assert pressed(tab, control, "Home") == first, f"{name}: the way back leads elsewhere"
        assert pressed(tab, control, "ArrowRight") != first, f"{name}: one step changes nothing"
        pressed(tab, control, "ArrowLeft")
    return controls.count()


def pressed(tab, control, key):
    """The pictures of a slider's output, when those of the value are there that this key leads to."""
    control.press(key)
    return settled(tab, control)


def settled(tab, control):
    tab.wait_for_function(SETTLED, arg=control.element_handle(), timeout=60_000)
    return control.evaluate(VISIBLE)


def test_the_book_is_there():
    assert "index.html" in PAGES, "build the book first: make book"
    assert CHAPTERS, "the book has no chapters"
    assert all(len(group) > 30 for group in GENERATED.values()), "generated pages have moved"


def weighs_little(tab, requests):
    """Read to its end: every file that it needs, most of which it shares with other pages."""
    tab.evaluate(READ)
    tab.wait_for_function(LOADED, timeout=60_000)
    sizes = {address: Path(url2pathname(urlsplit(address).path)).stat().st_size for address in files(requests)}
    assert sum(sizes.values()) <= HEAVIEST, sorted(sizes.items(), key=lambda each: each[1])[-5:]
    assert len(sizes) <= MOST_REQUESTS, list(sizes)


def files(requests):
    return [address for address in requests if address.startswith("file:")]


@pytest.mark.parametrize("page", PAGES)
def test_page(visit, page):
    """From disk, on a wide screen in light colours, and then on a phone in dark ones."""
    with visit(page) as (tab, requests):
        if page in CHAPTERS:
            weighs_little(tab, requests)
        assert tab.locator("h1").count() >= 1
        assert tab.evaluate(WITHOUT_ALT) == []
        assert tab.evaluate(OVERFLOW) == []
        assert tab.evaluate(DISTORTED) == []
        if page in READ_BY_AXE:
            tab.add_script_tag(path=VENDOR / ".axe/axe.min.js")
            generated = page.startswith(tuple(GENERATED))
            assert tab.evaluate(AXE if generated else EVERY_IMPACT, {}) == []
        assert move_sliders(tab) >= (page in CHAPTERS), "every chapter has a slider"
        tab.emulate_media(color_scheme="dark")
        tab.set_viewport_size(PHONE)
        expect(tab.locator("html")).to_have_attribute("data-theme", "dark")
        tab.wait_for_function(REACHABLE, timeout=60_000)  # the theme looks a while after the window has changed
        assert tab.evaluate(OVERFLOW) == []
        assert tab.evaluate(DISTORTED) == []
        if page in READ_BY_AXE:
            assert tab.evaluate(AXE, IN_DARK) == []
        for control in tab.locator(CONTROLS).all():
            pressed(tab, control, "End")
        assert tab.evaluate(OVERFLOW) == [], "after the sliders moved"


def test_chapter_over_http_plays_with_the_keyboard(browser):
    with served(BOOK) as address, opened(browser, f"{address}/basics/03_training_mnist.html") as tab:
        slider = tab.locator(".course-slider input").first
        slider.scroll_into_view_if_needed()
        readout, before = tab.locator(".course-slider output").first, settled(tab, slider)
        value = readout.inner_text()
        tab.get_by_role("button", name="play steps").press("Enter")
        expect(readout).not_to_have_text(value)
        assert settled(tab, slider) != before, "the play button moves nothing"


def test_units_show_what_they_see(browser):
    with opened(browser, (BOOK / "features/06_filters_and_activations.html").as_uri()) as tab:
        view = tab.locator(".labkit-browse")
        units, text, seen = view.get_by_role("application"), view.locator("output"), view.locator(".labkit-box").first
        first = view.locator("img").all()[1].get_attribute("src")
        view.get_by_role("combobox", name="layer").select_option("relu2")
        view.get_by_role("combobox", name="image").select_option("a 7")
        expect(text).to_contain_text("relu2, map 0, row 0, column 0: 0.")
        expect(text).to_contain_text("5 × 5 pixels, rows 0–4, columns 0–4")  # two of the eight rows are padding
        assert view.locator("img").all()[1].get_attribute("src") != first
        units.focus()
        for key in ("ArrowDown", "ArrowRight", "ArrowRight", "PageDown", "ArrowRight", "ArrowLeft", "ArrowUp"):
            units.press(key)
        expect(text).to_contain_text("relu2, map 1, row 0, column 2:")
        units.press("ArrowUp")  # there is nothing above the uppermost map
        expect(text).to_contain_text("relu2, map 1, row 0, column 2:")
        units.press("End")
        expect(text).to_contain_text("relu2, map 31, row 13, column 13:")
        corner = seen.bounding_box()
        place = units.bounding_box()
        tab.mouse.move(place["x"] + place["width"] * 0.05, place["y"] + place["height"] * 0.1)  # in the first map
        expect(text).to_contain_text("relu2, map 0, row")
        assert seen.bounding_box()["x"] < corner["x"]


@pytest.mark.parametrize("place", ["disk", "server"])
def test_search_finds_prose_first_with_excerpts(browser, place):
    with served(BOOK) as server:
        address = server if place == "server" else BOOK.as_uri()
        with opened(browser, f"{address}/search.html?q=logits") as tab:
            finds = tab.locator(".course-finds li")
            expect(finds.first.locator("a")).to_have_text("logit")  # the glossary's
            expect(finds.locator("p mark").first).to_have_text(re.compile("logit", re.IGNORECASE))
            links = [link.get_attribute("href") for link in finds.locator("a").all()]
            api = [link.startswith("./reference/labkit") for link in links]
            assert True in api
            assert api == sorted(api), "prose comes before the API"
            finds.locator("a").first.click()
            expect(tab).to_have_url(re.compile(r"/glossary\.html"))
            expect(tab.locator(".bd-article h1")).to_be_visible()
