"""Chromium opens every built page with all outside hosts blocked: nothing fails, nothing sticks out, sliders move."""

import functools
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tools.chromium import ARGUMENTS, find_chromium

pytestmark = pytest.mark.browser

BOOK = Path(__file__).parents[2] / "_build/html"
PAGES = sorted(str(page.relative_to(BOOK)) for page in BOOK.rglob("*.html") if "_static" not in page.parts)
CHAPTERS = [page for page in PAGES if page.split("/")[0] not in ("_modules", "reference") and "/" in page]

WITHOUT_ALT = """() => [...document.querySelectorAll("img")]
    .filter(image => !image.alt.trim() || /\\.(png|svg|jpe?g|gif|webp)$/.test(image.alt))
    .map(image => image.outerHTML.slice(0, 200))"""

DISTORTED = """() => [...document.querySelectorAll("img")]
    .filter(image => image.offsetWidth && Math.abs(
        image.offsetHeight / image.offsetWidth * image.naturalWidth / image.naturalHeight - 1) > 0.03)
    .map(image => image.outerHTML.slice(0, 200))"""

# What sticks out of the page, wide enough to make it scroll sideways.
OVERFLOW = """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
    [...document.querySelectorAll("body *")]
    .filter(element => element.getBoundingClientRect().right > window.innerWidth + 1)
    .filter(element => !element.closest(".highlight pre, .output, .sidebar, .bd-sidebar-primary"))
    .map(element => element.outerHTML.slice(0, 120)).slice(0, 5)"""

# What a reader sees of the output that a slider belongs to.
VISIBLE = """slider => [...slider.closest(".cell_output").querySelectorAll("img, svg, canvas")]
    .filter(figure => figure.offsetParent !== null).map(figure => figure.src || figure.outerHTML).join()"""

# The least contrast between a widget's text and what is behind it, as WCAG counts it.
CONTRAST = """() => {
    const parse = color => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue].map(value => value / 255)
            .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] > 0.99) return color;
        }
        return [255, 255, 255];
    };
    const texts = [...document.querySelectorAll(".jupyter-widgets .widget-label, .jupyter-widgets .widget-readout")];
    return Math.min(21, ...texts.filter(text => text.textContent.trim()).map(text => {
        const [a, b] = [parse(getComputedStyle(text).color), behind(text)].map(luminance);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
}"""


@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium here; name one with CHROMIUM=/path")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser, address, *, width=1280, scheme="light"):
    """A tab on one page, and afterwards a failure for all that went wrong while it was open."""
    problems = []
    own = address.partition("/_build/")[0] if address.startswith("file:") else "/".join(address.split("/")[:3])
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(60_000)
    tab = context.new_page()
    tab.route("**/*", lambda route: route.continue_() if inside(route.request.url, own) else route.abort())
    tab.on("request", lambda request: inside(request.url, own) or problems.append(f"outside host: {request.url}"))
    tab.on("requestfailed", lambda request: problems.append(f"failed request: {request.url[:200]}"))
    tab.on("response", lambda response: response.status >= 400 and problems.append(f"missing: {response.url}"))
    tab.on("console", lambda message: message.type == "error" and problems.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    tab.goto(address, wait_until="load")
    if tab.locator('script[type="application/vnd.jupyter.widget-view+json"]').count():
        tab.locator(".jupyter-widgets").first.wait_for()
    tab.evaluate("() => window.MathJax?.startup?.promise")
    tab.wait_for_load_state("networkidle")
    yield tab
    context.close()
    assert not problems, "\n".join(problems)


def inside(address, own):
    return address.startswith((own, "data:", "blob:"))


def move_sliders(tab):
    """Press the right arrow key on every slider, then the left one; how many sliders there were."""
    sliders = tab.locator('.cell_output [role="slider"]')
    for index in range(sliders.count()):
        slider = sliders.nth(index)
        before, value = slider.evaluate(VISIBLE), slider.get_attribute("aria-valuenow")
        away, back = ("ArrowLeft", "ArrowRight") if value == slider.get_attribute("aria-valuemax") else KEYS
        assert slider.get_attribute("aria-label"), f"slider {index} has no name"
        slider.focus()
        assert before, f"slider {index} has no picture"
        slider.press(away)
        assert shows(tab, slider, before, same=False), f"slider {index}: the keyboard moves no picture"
        slider.press(back)
        assert shows(tab, slider, before, same=True), f"slider {index}: the way back leads elsewhere"
    return sliders.count()


def shows(tab, slider, picture, *, same):
    """Whether within five seconds the slider's output shows this picture, or another one."""
    for _ in range(50):
        if (slider.evaluate(VISIBLE) == picture) is same:
            return True
        tab.wait_for_timeout(100)
    return False


KEYS = ("ArrowRight", "ArrowLeft")


def test_the_book_is_there():
    assert "index.html" in PAGES, "build the book first: make book"
    assert CHAPTERS, "the book has no chapters"


@pytest.mark.parametrize("page", PAGES)
def test_page_wide_and_light(browser, page):
    with opened(browser, (BOOK / page).as_uri()) as tab:
        assert tab.locator("h1").count() >= 1
        assert tab.evaluate(WITHOUT_ALT) == []
        assert tab.evaluate(OVERFLOW) == []
        assert tab.evaluate(DISTORTED) == []
        assert tab.evaluate(CONTRAST) >= 4.5
        move_sliders(tab)


@pytest.mark.parametrize("page", PAGES)
def test_page_on_a_dark_phone(browser, page):
    with opened(browser, (BOOK / page).as_uri(), width=390, scheme="dark") as tab:
        assert tab.locator("html").get_attribute("data-theme") == "dark"
        assert tab.evaluate(OVERFLOW) == []
        assert tab.evaluate(DISTORTED) == []
        assert tab.evaluate(CONTRAST) >= 4.5
        move_sliders(tab)
        assert tab.evaluate(OVERFLOW) == [], "after the sliders moved"


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_has_a_slider_and_works_over_http(browser, page):
    with served(BOOK) as address, opened(browser, f"{address}/{page}") as tab:
        assert move_sliders(tab) >= 1, "every chapter has a slider"


def test_search_finds_a_word_from_disk(browser):
    with opened(browser, (BOOK / "search.html").as_uri() + "?q=convolution") as tab:
        tab.locator("#search-results li a").first.wait_for()


def test_search_finds_a_word_over_http(browser):
    with served(BOOK) as address, opened(browser, f"{address}/search.html?q=convolution") as tab:
        tab.locator("#search-results li a").first.wait_for()


@contextmanager
def served(folder):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
