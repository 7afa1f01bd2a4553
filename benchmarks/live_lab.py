"""How long the live lab's answers take in Chromium, from the question to the answer on the page.

Drawing to new probabilities is of both networks, the occlusion map is a whole one of 529 windows. The page measures
itself; here it is only given something to do. Needs the built book.

"training" is the bench that trains, with the choices that it begins with: until 97.5% of the 2,000 test digits are read
correctly for the first time. It counts the time of the worker's thread, which is what a quiet machine takes.
"""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

from benchmarks._race import Options, Race, Run, race, run
from tools.website.chromium import ARGUMENTS, find_chromium

PAGE = Path(__file__).parents[1] / "_build/html/lab/19_live_lab.html"
STROKE = [(0.2, 0.2), (0.7, 0.18), (0.6, 0.4), (0.5, 0.6), (0.42, 0.9)]
DRAWING = "drawing to probabilities"
# question -> the worker's task, its options, and the most milliseconds that the best answer may take
QUESTIONS: dict[str, tuple[str, dict, float]] = {
    "gradient": ("saliency", {"digit": 7}, 20),
    "SmoothGrad of 25": ("smoothgrad", {"digit": 7, "noise": 0.15, "samples": 25}, 300),
    "attack": ("attack", {"eps": 0.2, "target": None, "steps": 1}, 300),
    "occlusion map": ("occlusion", {"window": 6}, 1000),
}
ASK = """async ([name, task, values]) => {
    const { engine, benches: [{ digit: image }] } = liveLab;
    engine.timings[name] = [];
    await engine.timed(name, task, "mnist", { image, ...values });
    return engine.timings[name][0];
}"""


def ask(tab: Page, name: str) -> Run:
    task, values, _ = QUESTIONS[name]
    return Run(tab.evaluate(ASK, [name, task, values]) / 1000)


def draw(tab: Page) -> Run:
    """A stroke of 24 moves; the middle one of the times until a move had its answer."""
    tab.evaluate(f"liveLab.engine.timings['{DRAWING}'].length = 0")
    box = tab.locator(".lab-pad").bounding_box()
    assert box, "the pad is not on the page"
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in STROKE]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=6)
    tab.mouse.up()
    tab.wait_for_timeout(500)
    return Run(median(tab.evaluate(f"[...liveLab.engine.timings['{DRAWING}']]")) / 1000)


def section(options: Options) -> Iterator[Race]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        tab = browser.new_page()
        tab.goto(PAGE.as_uri())
        tab.locator(".lab-load").click()
        tab.locator(".lab-pad").wait_for(timeout=90_000)
        lanes = {name: partial(ask, tab, name) for name in QUESTIONS} | {DRAWING: partial(draw, tab)}
        found = race("an answer of the live lab", lanes, options.rounds)
        browser.close()
    for name, (_, _, most) in QUESTIONS.items():
        found.bound(name, seconds=most / 1000)
    found.bound(DRAWING, seconds=0.040)
    yield found


ENOUGH, MOST = 0.975, 30  # share of the test digits, seconds of one thread
WATCH = """enough => liveLab.engine.addEventListener("measured", ({ detail }) => {
    if (detail.what === "test" && detail.accuracy >= enough) enoughLearnt();
})"""


class Lesson(NamedTuple):
    """What training took until it was good enough, and in all."""

    page: float  # seconds by the clock until then
    steps: int
    work: float  # seconds of the worker's thread for all steps, tests included

    def __str__(self) -> str:
        return f"{self.page:.1f} s by the clock, {1000 * self.work / self.steps:.1f} ms a step"


def worker_seconds() -> float:
    """Processor time of all workers of all browsers here, as Linux counts it by thread."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        try:
            name, _, fields = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended
            continue
        if name.startswith("DedicatedWorker"):
            ticks += sum(map(int, fields.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def train(tab: Page, reached: list[float]) -> Run:
    """A network from random weights to the end; seconds of the worker's thread until it was good enough."""
    tab.get_by_role("button", name="Start over").click() if tab.evaluate("'A' in liveLab.engine.own") else None
    tab.wait_for_function("!liveLab.whole.train.running")
    reached.clear()
    before, start = worker_seconds(), time.perf_counter()
    tab.get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_function("!liveLab.whole.train.running")
    assert reached, f"it never read {ENOUGH:.1%} of the test digits"
    steps = tab.evaluate("liveLab.engine.own.A.step")
    seconds, clock = reached[:2]
    return Run(seconds - before, Lesson(clock - start, steps, worker_seconds() - before))


def training(options: Options) -> Iterator[Race]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        tab, reached = browser.new_page(), []
        tab.set_default_timeout(600_000)
        tab.expose_function("enoughLearnt", lambda: reached.extend((worker_seconds(), time.perf_counter())))
        tab.goto(f"{PAGE.as_uri()}#train")
        tab.locator(".lab-load").click()
        tab.locator(".lab-train").wait_for()
        tab.evaluate(WATCH, ENOUGH)
        lanes = {"training, seconds of its thread": partial(train, tab, reached)}
        found = race(f"{ENOUGH:.1%} of the test digits", lanes, min(options.rounds, 3), note=str, warm_up=False)
        browser.close()
    found.bound(*lanes, seconds=MOST)
    yield found


SECTIONS = {"answers": section, "training": training}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=21)
