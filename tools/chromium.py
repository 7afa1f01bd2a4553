"""Find the Chromium that the browser tests drive, and install it where that is allowed."""

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ELSEWHERE = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)

# No sandbox of its own (it refuses one for root), and nothing that would call out by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """Path of the browser to use: $CHROMIUM, else the first known one; None if there is none."""
    named = os.environ.get("CHROMIUM")
    found = [named] if named else [shutil.which(name) for name in NAMES] + list(ELSEWHERE)
    return next((path for path in found if path and Path(path).exists()), None)


def install(*packages: str) -> str | None:
    """Install Debian packages where this process may; otherwise the reason why not."""
    release = Path("/etc/os-release")
    if not release.exists() or "ID=debian" not in release.read_text().splitlines():
        return "this is not Debian, install them by hand"
    if os.geteuid() != 0:
        return f"not root; as root: apt-get install {' '.join(packages)}"
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    result = subprocess.run(command, env=environment, **quiet)
    if result.returncode:
        return f"apt-get could not install {' '.join(packages)}: {(result.stdout.splitlines() or ['no output'])[-1]}"
    return None
