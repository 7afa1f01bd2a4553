"""How long the live lab's answers take in Chromium, from the question to the answer on the page, in milliseconds.

Drawing to new probabilities is of both networks, the occlusion map is a whole one of 529 windows. Ends with an error
where even the best time is beyond its bound. Needs the built book.
"""

import argparse
import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.website.chromium import ARGUMENTS, find_chromium  # noqa: E402

PAGE = ROOT / "_build/html/lab/19_live_lab.html"
STROKE = [(0.2, 0.2), (0.7, 0.18), (0.6, 0.4), (0.5, 0.6), (0.42, 0.9)]

BOUNDS = {"drawing to probabilities": 40, "gradient": 20, "SmoothGrad of 25": 300, "occlusion map": 1000}

# The page measures itself; here it is only given something to do.
WORK = """async (repeats) => {
    for (const times of Object.values(labTimings)) times.length = 0;
    const [image, network] = [lab.digit, "mnist"];
    const once = (name, task, values) => lab.timed(name, task, { network, image, ...values });
    for (let at = 0; at < repeats; at++) {
        await once("gradient", "saliency", { digit: 7 });
        await once("SmoothGrad of 25", "smoothgrad", { digit: 7, noise: 0.15, samples: 25 });
        await once("attack", "attack", { eps: 0.2, target: null, steps: 1 });
    }
    await once("occlusion map", "occlusion", { window: 6 });
    return structuredClone(labTimings);
}"""


def measure(tab, *, repeats: int = 5) -> dict[str, list[float]]:
    """Times of each kind, in milliseconds, in a page whose lab has been started."""
    times = tab.evaluate(WORK, repeats)
    tab.evaluate("labTimings['drawing to probabilities'].length = 0")
    box = tab.locator(".lab-pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in STROKE]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=6)
    tab.mouse.up()
    tab.wait_for_timeout(500)
    return times | {"drawing to probabilities": tab.evaluate("[...labTimings['drawing to probabilities']]")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=21)
    repeats = parser.parse_args().repeats
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        tab = browser.new_page()
        tab.goto(PAGE.as_uri())
        tab.locator(".lab-load").click()
        tab.locator(".lab-pad").wait_for(timeout=90_000)
        tab.wait_for_timeout(1000)
        times: dict[str, list[float]] = {}
        for _ in range(3):
            for what, measured in measure(tab, repeats=repeats).items():
                times.setdefault(what, []).extend(measured)
        browser.close()
    print(f"{'':<28}{'median':>8}{'least':>8}{'most':>8}{'bound':>8}   ms")
    for what, measured in times.items():
        if not measured:  # the page's own, for a view that was not open
            continue
        numbers = (statistics.median(measured), min(measured), max(measured))
        bound = BOUNDS.get(what, "")
        print(f"{what:<28}" + "".join(f"{number:>8.1f}" for number in numbers) + f"{bound:>8}")
    late = [what for what, bound in BOUNDS.items() if min(times[what]) > bound]
    if late:
        sys.exit(f"beyond the bound even at best: {', '.join(late)}")


if __name__ == "__main__":
    main()
