"""How long the live lab's answers take in Chromium, from the question to the answer on the page.

Drawing to new probabilities is of both networks, the occlusion map is a whole one of 529 windows. The page measures
itself; here it is only given something to do. Needs the built book.

"photographs" counts the time of the worker's thread too, and the most memory that the page's process has held. They are
computed in WebAssembly. WebGPU was tried with onnxruntime-web 1.30 (EfficientNet-Lite0, a gradient, Chromium's software
adapter, which can be tested everywhere): logits and gradient are the same to 1.5e-6, but a gradient took
45 to 71 s where WebAssembly takes 0.2 to 0.9 s, and the runtime is a second one, of 26.8 MB (6.7 MB gzipped). So it is
left out.

"training" is the bench that trains, with the choices that it begins with: until 97.5% of the 2,000 test digits are read
correctly for the first time. It counts the time of the worker's thread, which is what a quiet machine takes.

"challenges" walks to each of the lab's challenges with the networks of the page, and shows the value that it reaches.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from playwright.sync_api import Page, TimeoutError, sync_playwright

from benchmarks._race import Options, Race, Run, race, run
from tools.website.chromium import ARGUMENTS, find_chromium

PAGE = Path(__file__).parents[1] / "_build/html/lab/live_lab.html"
PHOTO_PAGE = PAGE.with_name("your_photo.html")
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
    said: float  # seconds that the page says its steps took, without the tests

    def __str__(self) -> str:
        step = 1000 * self.work / self.steps
        return f"{self.page:.1f} s by the clock, {step:.1f} ms a step; the page says {self.said:.1f} s for all"


def fields(stat: Path) -> tuple[str, list[str]]:
    """The name in a stat file of Linux's /proc, and the fields behind it; nothing if the process has ended."""
    try:
        name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
    except OSError:
        return "", []
    return name, rest.split()


def descends(process: Path) -> bool:
    """Whether this program has started it, itself or through others."""
    while process.name not in ("0", "1", str(os.getpid())):
        _, rest = fields(process / "stat")
        if not rest:
            return False
        process = process.with_name(rest[1])
    return process.name == str(os.getpid())


def workers() -> dict[Path, list[str]]:
    """The threads of the workers of this program's browsers, with the fields of their stat files."""
    found = {stat.parent: fields(stat) for stat in Path("/proc").glob("[0-9]*/task/[0-9]*/stat")}
    return {
        thread: rest
        for thread, (name, rest) in found.items()
        if name.startswith("DedicatedWorker") and descends(thread.parents[1])
    }


def worker_seconds() -> float:
    """Processor time of all workers, as Linux counts it by thread."""
    return sum(sum(map(int, rest[11:13])) for rest in workers().values()) / os.sysconf("SC_CLK_TCK")


def train(tab: Page, reached: list[float], enough: float) -> Run:
    """A network from random weights to the end; seconds of the worker's thread until it was good enough."""
    tab.get_by_role("button", name="Start over").click() if tab.evaluate("'A' in liveLab.engine.own") else None
    tab.wait_for_function("!liveLab.whole.train.running")
    reached.clear()
    before, start = worker_seconds(), time.perf_counter()
    tab.get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_function("!liveLab.whole.train.running")
    assert reached, f"it never read {enough:.1%} of the test digits"
    steps, said = tab.evaluate("(({ step, seconds }) => [step, seconds])(liveLab.engine.own.A)")
    seconds, clock = reached[:2]
    return Run(seconds - before, Lesson(clock - start, steps, worker_seconds() - before, said))


def training(options: Options) -> Iterator[Race]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        tab, reached, enough = browser.new_page(), [], 0.5 if options.quick else ENOUGH
        tab.set_default_timeout(600_000)
        tab.expose_function("enoughLearnt", lambda: reached.extend((worker_seconds(), time.perf_counter())))
        tab.goto(f"{PAGE.as_uri()}#train{'&passes=1' if options.quick else ''}")
        tab.locator(".lab-load").click()
        tab.locator(".lab-train").wait_for()
        tab.evaluate(WATCH, enough)
        lanes = {"training, seconds of its thread": partial(train, tab, reached, enough)}
        found = race(f"{enough:.1%} of the test digits", lanes, min(options.rounds, 3), note=str, warm_up=False)
        browser.close()
    found.bound(*lanes, seconds=MOST)
    yield found


# question about a photo -> the worker's task, its options, and the most seconds of the worker's thread that it may take
PHOTO_QUESTIONS: dict[str, tuple[str, dict, float]] = {
    "photo, a gradient": ("smooth", {"noise": 0, "samples": 1}, 0.25),
    "photo, 20 steps of an attack": ("push", {"target": 130, "eps": 2 / 255, "steps": 20}, 5),
    "photo, 169 positions of occlusion": ("cover", {"window": 32, "stride": 16, "fill": 0.5}, 12),
    "photo, 128 steps of a class": (
        "grow",
        {"way": "waves", "grey": False, "smooth": 30, "near": 0, "jitter": 0.06, "steps": 128},
        40,
    ),
}
ASK_OF_PHOTO = """async ([task, values]) => {
    const { engine, network, image, label } = liveLab.photographs[0];
    await engine.ask(task, network, { image, label, ...values });
}"""


MOST_MEMORY = 600  # MB that the page's process may hold


def page_megabytes() -> float:
    """The most memory that the processes with a worker, page and worker together, have held so far."""
    found = [0.0]
    for process in {thread.parents[1] for thread in workers()}:
        (line,) = (each for each in (process / "status").read_text().splitlines() if each.startswith("VmHWM"))
        found.append(int(line.split()[1]) * 1024 / 1e6)
    return max(found)


TINY = {"steps": 2, "stride": 96}  # that only show that the benchmark still runs


def ask_of_photo(tab: Page, options: Options, name: str) -> Run:
    """Seconds of the worker's thread, and the memory of the page."""
    task, values, _ = PHOTO_QUESTIONS[name]
    values = {key: options.size(value, TINY.get(key, value)) for key, value in values.items()}
    before = worker_seconds()
    tab.evaluate(ASK_OF_PHOTO, [task, values])
    return Run(worker_seconds() - before, megabytes=page_megabytes())


def photographs(options: Options) -> Iterator[Race]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        tab = browser.new_page()
        tab.set_default_timeout(600_000)
        tab.goto(PHOTO_PAGE.as_uri())
        tab.locator(".lab-load").click()
        tab.wait_for_function("liveLab.photographs[0]?.logits.length")
        lanes = {name: partial(ask_of_photo, tab, options, name) for name in PHOTO_QUESTIONS}
        found = race("an answer about a photo, seconds of the worker's thread", lanes, min(options.rounds, 3))
        browser.close()
    for name, (_, _, most) in PHOTO_QUESTIONS.items():
        found.bound(name, seconds=most, megabytes=MOST_MEMORY)
    yield found


HARDEN = "harden"
# challenge -> the addresses that lead to it; at those that begin with "train", Train is pressed and waited for
WAYS: dict[str, list[str]] = {
    "two": ["attack&digit=7&towards=2&distance=least"],
    "robust": [f"attack&digit={digit}&distance=least" for digit in ("3.0", "2.3")],
    "differ": ["activations&drawing=FUegUO"],
    "hide": [f"occlusion&digit={digit}&window=6" for digit in (9, 4, 8, 2)],
    "fast": ["train&passes=1&shift=0&norm=yes"],
    "small": ["train&filters=4&convolutions=3"],
    "best": ["train&passes=10"],
    "lies": ["train&wrong=0.3"],
    "cheat": ["train&corner=sevens&passes=1", "activations&digit=4&corner=white"],
    "misread": [
        "train&corner=sevens&passes=1&race=yes&b.corner=sevens&b.passes=1",  # neither knows a 7 without the corner
        *(f"activations&digit=7.{turn}" for turn in range(20)),
    ],
    "harden": ["train&passes=2", HARDEN],
    "harder": ["train&passes=2", HARDEN],
}
REST = 10_000  # milliseconds that a view has to answer in
# Go to an address; done when the bench for digits has looked at its digit, or the bench that trains has its choices.
GO = """async address => {
    const there = new Promise(done => addEventListener("hashchange", done, { once: true }));
    if (location.hash !== address) {
        location.hash = address;
        await there;
    }
    if (!address.startsWith("#train")) await liveLab.whole.digits.retry();
}"""
TAKEN = """choices => liveLab.whole.train && choices.map(each => each.split("="))
    .every(([name, value]) => liveLab.whole.train.settings.get(name) === value)"""


REACHED = "goal => liveLab.whole.challenges.has(goal)"


def reach(tab: Page, goal: str) -> Run:
    """Walk the way to a challenge; fails if the lab does not say that it is reached."""
    start = time.perf_counter()
    tab.evaluate("liveLab.whole.challenges.records.clear()")
    tab.evaluate("liveLab.whole.look(['mnist', 'mnist-robust'])")
    for address in WAYS[goal]:
        if address == HARDEN:
            tab.get_by_role("button", name="Harden a copy of A").click()
        else:
            tab.evaluate(GO, f"#{address}")
        if address.startswith("train"):
            tab.wait_for_function(TAKEN, arg=address.split("&")[1:])
            tab.get_by_role("button", name="Train", exact=True).click()
        if address.startswith("train") or address == HARDEN:
            tab.wait_for_function("!liveLab.whole.train.running")
            look = ["A", "B"] if "race=yes" in address else ["A", "mnist"]
            tab.evaluate("names => liveLab.whole.look(names)", look)
        elif not address.startswith("activations"):
            with suppress(TimeoutError):
                tab.wait_for_function(REACHED, arg=goal, timeout=REST)
        if tab.evaluate(REACHED, goal):
            value = tab.evaluate("goal => liveLab.whole.challenges.records.best[goal]", goal)
            return Run(time.perf_counter() - start, value)
    best = tab.evaluate("goal => liveLab.whole.challenges.records.best[goal] ?? null", goal)
    raise AssertionError(f"not reached; the best was {best}")


def challenges(options: Options) -> Iterator[Race]:
    """That each challenge can be reached, and by what value; one that cannot counts as wrong."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        tab = browser.new_page()
        tab.set_default_timeout(600_000)
        tab.goto(f"{PAGE.as_uri()}#attack&digit=7")
        tab.locator(".lab-load").click()
        tab.locator(".lab-pad").wait_for()
        quick = [goal for goal, way in WAYS.items() if len(way) == 1 and not way[0].startswith("train")]
        lanes = {goal: partial(reach, tab, goal) for goal in (quick if options.quick else WAYS)}
        yield race("challenges of the live lab", lanes, 1, note="{:.3g}".format)
        browser.close()


SECTIONS = {"answers": section, "training": training, "photographs": photographs, "challenges": challenges}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=21)
