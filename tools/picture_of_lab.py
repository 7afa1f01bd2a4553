"""Make the picture at the head of the README, `docs/train.webp`: the live lab after a network has been trained in it.

Needs the built book. `python -m tools.picture_of_lab`
"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, ViewportSize, sync_playwright

from labkit.files import write_bytes
from tools.website.chromium import ARGUMENTS, find_chromium

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "_build/html/lab/live_lab.html"
PICTURE = ROOT / "docs/train.webp"
SIZE = ViewportSize(width=1280, height=760)
PATIENCE = 600_000  # milliseconds


def main() -> int:
    """Train a network in Chromium, and keep what the page looks like then."""
    program = find_chromium()
    if program is None or not PAGE.exists():
        print("picture: there is no Chromium here, or no built book (make book)", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        tab = browser.new_page(viewport=SIZE)
        tab.set_default_timeout(PATIENCE)
        tab.goto(f"{PAGE.as_uri()}#train&passes=2")
        tab.locator(".lab-load").click()
        tab.get_by_role("button", name="Train", exact=True).click()
        tab.wait_for_function("!liveLab.whole.train.running", timeout=PATIENCE)
        tab.evaluate("document.querySelector('.lab-train').scrollIntoView()")
        tab.evaluate("window.scrollBy(0, -70)")
        box = tab.locator(".lab-train").bounding_box()
        assert box is not None
        clip = FloatRect(x=box["x"], y=box["y"], width=box["width"], height=680)
        image = Image.open(io.BytesIO(tab.screenshot(clip=clip)))
        browser.close()
    written = io.BytesIO()
    image.convert("RGB").save(written, "WEBP", quality=80, method=6)
    write_bytes(PICTURE, written.getvalue())
    print(f"{PICTURE.relative_to(ROOT)}  {len(written.getvalue()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
