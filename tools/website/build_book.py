"""Build the book into _build/html with warnings as errors, from the full data sets where they can be had."""

import shutil
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

from labkit.files import cache_folder

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "_build/html/reports"
INDEX = ROOT / "_build/html/index.html"


def build_book() -> bool:
    """True if the book was built without a warning; prints what a reader needs to know either way."""
    start = time.monotonic()
    complete = data_sets()
    shutil.rmtree(REPORTS, ignore_errors=True)
    command = [sys.executable, "-m", "tools.website.jupyter_book", "build", "-W", "--keep-going", "book/"]
    built = subprocess.run(command, cwd=ROOT).returncode == 0
    if not built:
        show_reports()
        print("book: not built; the warnings and errors above say which page and line", file=sys.stderr)
        return False
    if not complete:
        print("book: built from the bundled samples, 2,000 images of each data set; `make data` fetches the full ones")
    print(f"book: built in {time.monotonic() - start:.0f} s, open {INDEX}")
    return True


def data_sets() -> bool:
    """Fetch the full data sets, unless they are there; False where they cannot be had."""
    splits = product(("mnist", "cifar10"), ("train", "test"))
    if all((cache_folder() / f"{name}-{split}.safetensors").exists() for name, split in splits):
        return True  # without `labkit data`, which takes seconds to say so
    return subprocess.run([sys.executable, "-m", "labkit.cli", "data"], cwd=ROOT).returncode == 0


def show_reports() -> None:
    """Show the tracebacks of notebooks that failed: Sphinx only names the files it wrote them to."""
    for report in sorted(REPORTS.rglob("*.err.log")):
        print(f"--- {report.relative_to(ROOT)}", file=sys.stderr)
        shutil.copyfileobj(report.open(), sys.stderr)


if __name__ == "__main__":
    sys.exit(not build_book())
