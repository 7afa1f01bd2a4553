"""The live lab's page in Chromium, for the tests that draw in it."""

import time
from contextlib import contextmanager

import torch
from playwright.sync_api import expect

from labkit import data
from tests.book.browsing import BOOK, inside

PAGE = BOOK / "lab/live_lab.html"
NETWORKS = ("mnist", "mnist-robust")
VIEWS = ("activations", "saliency", "occlusion", "attack", "certify", "ideal", "kernel")
SEVEN = [(0.2, 0.2), (0.7, 0.18), (0.6, 0.4), (0.5, 0.6), (0.42, 0.9)]  # on the pad, which is 1 wide and high
BENCH = "liveLab.benches[0]"


@contextmanager
def opened(browser, address=None, *, start=True, script=None, routes=(), allowed=(), **options):
    """The lab's page with outside hosts blocked, from disk by default; afterwards a failure for all that went wrong.

    `allowed` are parts of the messages that a test provokes, `routes` pairs of a pattern and what answers it instead.
    A page from disk must have its routes before it opens: Chromium does not hold up its files for later ones.
    """
    address = address or PAGE.as_uri()
    own = address.partition("/_build/")[0] if address.startswith("file:") else "/".join(address.split("/")[:3])
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    context.set_default_timeout(60_000)
    if script:
        context.add_init_script(script)
    tab, problems = context.new_page(), []
    tab.on("request", lambda request: inside(request.url, own) or problems.append(f"outside host: {request.url}"))
    tab.on("requestfailed", lambda request: problems.append(f"failed request: {request.url[:200]}"))
    tab.on("console", lambda message: message.type == "error" and problems.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    for pattern, answer in routes:
        tab.route(pattern, answer)
    tab.goto(address, wait_until="load")
    if start:
        begin(tab)
    yield tab
    context.close()
    problems = [problem for problem in problems if not any(part in problem for part in allowed)]
    if options.get("java_script_enabled", True):  # scripts that are announced and then not wanted count as failed
        assert not problems, "\n".join(problems)


def begin(tab):
    """Press the button and wait until the networks have spoken."""
    tab.locator(".lab-load").click()
    expect(verdict(tab, "ordinary")).not_to_have_text("–", timeout=90_000)


def verdict(tab, network):
    return tab.locator(f".lab-verdict.lab-{network} .lab-verdict-digit")


def open_view(tab, name):
    tab.evaluate(f"name => {BENCH}.show(name)", name)
    panel = tab.locator(f".lab-panel-{name}")
    expect(panel).to_be_visible()
    return panel


def draw(tab, points, *, scale=1.0, corner=(0.0, 0.0)):
    """One stroke with the mouse."""
    pad = tab.locator(".lab-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    places = [
        (box["x"] + (x * scale + corner[0]) * box["width"], box["y"] + (y * scale + corner[1]) * box["height"])
        for x, y in points
    ]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=6)
    tab.mouse.up()


def ask(tab, task, network, **values):
    """What the worker answers; tensors become Float32Arrays of 784 pixels, and come back as lists."""
    values = {key: value.flatten().tolist() if torch.is_tensor(value) else value for key, value in values.items()}
    return tab.evaluate(
        """async ([task, network, values]) => {
            values.image = Float32Array.from(values.image);
            const answer = Object.entries(await liveLab.engine.ask(task, network, values));
            return Object.fromEntries(answer.map(([key, value]) => [key, value?.length ? [...value] : value]));
        }""",
        [task, network, values],
    )


def eventually(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def press_until(tab, key, condition, most=80):
    for _ in range(most):
        tab.keyboard.press(key)
        if tab.evaluate(condition):
            return
    raise AssertionError(f"{key} pressed {most} times, and never {condition}")


def digit(tab):
    """The pixels that the networks see."""
    return tab.evaluate(f"[...{BENCH}.digit]")


def pick_first_seven(tab):
    """The first test 7, which later ones may have followed: hand its pixels in, as a button would."""
    image = data.examples("mnist", 10)[0][7].flatten().tolist()
    tab.evaluate(
        f"image => {BENCH}.setDigit(Float32Array.from(image), {{ settled: true, start: performance.now() }})", image
    )
    eventually(lambda: digit(tab) == image)
    expect(verdict(tab, "ordinary")).to_have_text("7")
