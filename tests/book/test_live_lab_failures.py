"""Whatever fails in the live lab, a sentence says so, and the lab goes on."""

import re

import pytest
from playwright.sync_api import expect

from tests.book.browsing import BOOK
from tests.book.lab_page import BENCH, SEVEN, begin, digit, draw, eventually, open_view, opened, verdict
from tools.website.fetch_assets import as_script

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live lab's failures")]
expect.set_options(timeout=60_000)

PROVOKED = ("That failed", "The networks stopped", "not enough memory", "Error", "console: ", "failed request")
CERTIFIED = "certified/mnist-certified.js"
ALTERED = re.compile(r'(labFiles\["mnist\.safetensors"\] = "H4s.{5000})(.)')


@pytest.fixture(scope="module")
def running(browser):
    with opened(browser, allowed=PROVOKED) as tab:
        yield tab


@pytest.fixture
def lab(running):
    """One lab for all: each test leaves it usable, which is what it is about."""
    running.evaluate("liveLab.engine.patience = 20000")
    goes_on(running)
    return running


def worker(tab):
    """The worker that runs now; those that were ended take a moment to leave the list."""
    eventually(lambda: tab.evaluate("1") and len(tab.workers) == 1)
    return tab.workers[0]


def alert(tab):
    return tab.locator(".lab-alert")


def goes_on(tab):
    """A drawing is read, the sentence is gone, and a view answers."""
    tab.get_by_role("button", name="Clear").click()
    draw(tab, SEVEN)
    for network in ("ordinary", "robust"):
        expect(verdict(tab, network)).to_have_text("7")
    expect(alert(tab)).to_be_hidden()
    panel = open_view(tab, "attack")
    expect(panel.locator("output.lab-words").first).to_contain_text("ooled")


def test_an_answer_fails(lab):
    lab.evaluate(f"{BENCH}.setDigit(new Float32Array(5), {{ settled: true, start: 0 }})")
    expect(alert(lab)).to_contain_text("That failed: ")
    expect(alert(lab)).to_contain_text("Press “Try again”, or draw on.")
    goes_on(lab)


def test_a_views_answer_fails_and_can_be_asked_for_again(lab):
    open_view(lab, "saliency")
    lab.evaluate(f"{BENCH}.ask('gradient', 'saliency', 'nobody', {{}}).catch({BENCH}.failed)")
    expect(alert(lab)).to_contain_text("there is no network nobody")
    alert(lab).get_by_role("button", name="Try again").click()
    expect(alert(lab)).to_be_hidden()
    goes_on(lab)


def test_the_worker_throws(lab):
    """In the middle of an answer that would never come to its end."""
    before = digit(lab)
    values = "{ digit: 3, steps: Infinity }"
    lab.evaluate(f"void {BENCH}.ask('ideal digit', 'ideal', 'mnist', {values}).catch({BENCH}.failed)")
    worker(lab).evaluate("() => void setTimeout(() => { throw new Error('enough of it') })")
    expect(alert(lab)).to_contain_text("The networks stopped (Uncaught Error: enough of it). Nothing is lost")
    assert digit(lab) == before
    alert(lab).get_by_role("button", name="Try again").click()
    expect(alert(lab)).to_be_hidden()
    goes_on(lab)


def test_the_worker_is_gone_without_a_word(lab):
    lab.evaluate("liveLab.engine.patience = 1000")
    worker(lab).evaluate("() => close()")
    lab.get_by_role("button", name="pick a test 4").click()  # one question: a later one would start the worker anew
    expect(alert(lab)).to_contain_text("The networks stopped (it was silent for 2 seconds)")
    lab.evaluate("liveLab.engine.patience = 20000")
    alert(lab).get_by_role("button", name="Try again").click()
    expect(alert(lab)).to_be_hidden()
    goes_on(lab)


def test_a_kernel_that_was_put_in_survives_the_worker(lab):
    panel = open_view(lab, "kernel")
    panel.get_by_role("button", name="Put this kernel into it").click()
    expect(lab.locator(".lab-verdict.lab-ordinary .lab-name")).to_have_text("ordinary, changed by you")
    before = lab.evaluate("[...liveLab.engine.kernels.mnist.slice(0, 9)]")
    lab.evaluate("liveLab.engine.patience = 1000")
    worker(lab).evaluate("() => close()")
    lab.get_by_role("button", name="pick a test 4").click()
    expect(alert(lab)).to_be_visible()
    lab.evaluate("liveLab.engine.patience = 20000")
    alert(lab).get_by_role("button", name="Try again").click()
    expect(verdict(lab, "ordinary")).to_have_text("4")
    assert lab.evaluate("[...liveLab.engine.kernels.mnist.slice(0, 9)]") == before == [1, 0, -1] * 3
    open_view(lab, "kernel").get_by_role("button", name="Restore its own weights").click()
    expect(lab.locator(".lab-verdict.lab-ordinary .lab-name")).to_have_text("ordinary")


def test_memory_is_refused(lab):
    """50,000 copies of a digit need five gigabytes in the first layer alone, and wasm can count up to four."""
    values = f"{{ image: {BENCH}.digit, digit: 7, noise: 0, samples: 50000 }}"
    lab.evaluate(f"void {BENCH}.ask('SmoothGrad', 'smoothgrad', 'mnist', {values}).catch({BENCH}.failed)")
    expect(alert(lab)).to_contain_text("There is not enough memory here for that. Close other tabs.", timeout=90_000)
    goes_on(lab)


def test_a_tab_in_the_background_is_not_taken_for_a_failure(lab):
    session = lab.context.new_cdp_session(lab)
    lab.evaluate("liveLab.engine.patience = 3000")
    lab.get_by_role("button", name="pick a test 4").click()
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    lab.wait_for_timeout(7000)  # longer than a worker may be silent twice
    session.send("Page.setWebLifecycleState", {"state": "active"})
    expect(verdict(lab, "ordinary")).to_have_text("4")
    expect(alert(lab)).to_be_hidden()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda text: ALTERED.sub(lambda found: found[1] + ("A" if found[2] != "A" else "B"), text), "is damaged"),
        (
            lambda text: text + as_script({"mnist.safetensors": b"\x02" + 7 * b"\0" + b"{}"}).decode(),
            "the ordinary network cannot be opened: there is no tensor conv1.weight",
        ),
        (lambda text: "", "the file mnist.onnx has not been loaded"),
    ],
    ids=["a bit flipped", "other weights", "an empty script"],
)
def test_a_broken_weight_file(browser, spoil, sentence):
    text = (BOOK / "_static/lab/networks/mnist.js").read_text()
    spoilt = spoil(text)
    assert spoilt != text
    route = ("**/networks/mnist.js", lambda route: route.fulfill(body=spoilt, content_type="text/javascript"))
    with opened(browser, start=False, routes=[route], allowed=PROVOKED) as tab:
        tab.locator(".lab-load").click()
        note = tab.locator(".lab-note")
        expect(note).to_contain_text(sentence, timeout=90_000)
        expect(note).to_contain_text("Press the button to try again.")
        tab.unroute("**/networks/mnist.js")
        begin(tab)
        goes_on(tab)


def test_a_missing_file_is_named_and_can_be_tried_again(browser):
    routes = [(f"**/{name}", lambda route: route.abort()) for name in ("networks/digits.js", CERTIFIED)]
    with opened(browser, start=False, routes=routes, allowed=PROVOKED) as tab:
        tab.locator(".lab-load").click()
        expect(tab.locator(".lab-note")).to_contain_text(
            "The file networks/digits.js could not be loaded. Check your connection, and press the button to try again."
        )
        tab.unroute("**/networks/digits.js")
        begin(tab)
        goes_on(tab)
        panel = open_view(tab, "certify")
        load = panel.get_by_role("button", name="Open the certified network (loads ")
        load.click()
        expect(panel.locator(".lab-note")).to_contain_text(f"The file {CERTIFIED} could not be loaded.")
        expect(alert(tab)).to_be_hidden()
        tab.unroute(f"**/{CERTIFIED}")
        load.click()
        expect(panel.locator("output.lab-words").first).to_contain_text("roved", timeout=90_000)
        eventually(lambda: tab.evaluate("document.activeElement.ariaLabel") == "eps")


def test_questions_asked_while_it_starts_anew_all_have_answers(lab):
    lab.evaluate("liveLab.engine.patience = 1000")
    worker(lab).evaluate("() => close()")
    lab.get_by_role("button", name="pick a test 4").click()
    expect(alert(lab)).to_be_visible()
    lab.evaluate("liveLab.engine.patience = 20000")
    for each in "0123456789":
        lab.get_by_role("button", name=f"pick a test {each}").click()
    expect(verdict(lab, "robust")).to_have_text("9")
    eventually(lambda: lab.evaluate("[...document.querySelectorAll('.lab-alert')].every(each => each.hidden)"))
