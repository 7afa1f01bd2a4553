"""Find the Chromium that the browser tests drive."""

import os
import shutil
from pathlib import Path

HEADLESS = "chromium-headless-shell"  # what draws no window has a third less to do for a page; it knows no camera
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ELSEWHERE = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)

# No sandbox of its own (it refuses one for root), nothing that would call out by itself, and no host but this machine:
# a request to another one fails at once.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium(*, whole: bool = False) -> str | None:
    """Path of the browser to use: $CHROMIUM, else the first known one; None if there is none.

    Args:
        whole: One that could open a window, too.
    """
    named = os.environ.get("CHROMIUM")
    names = NAMES if whole else (HEADLESS, *NAMES)
    found = [named] if named else [shutil.which(name) for name in names] + list(ELSEWHERE)
    return next((path for path in found if path and Path(path).exists()), None)
