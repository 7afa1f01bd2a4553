"""Build the book into _build/html with warnings as errors, from the full data sets where they can be had."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "_build/html/reports"
INDEX = ROOT / "_build/html/index.html"


def build_book() -> bool:
    """True if the book was built without a warning; prints what a reader needs to know either way."""
    start = time.monotonic()
    data = subprocess.run([sys.executable, "-m", "labkit.cli", "data"], cwd=ROOT)
    shutil.rmtree(REPORTS, ignore_errors=True)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "-W", "--keep-going", "book/"]
    built = subprocess.run(command, cwd=ROOT).returncode == 0
    if not built:
        show_reports()
        print("book: not built; the warnings and errors above say which page and line", file=sys.stderr)
        return False
    if data.returncode:
        print("book: built from the bundled samples, 2,000 images of each data set; `make data` fetches the full ones")
    print(f"book: built in {time.monotonic() - start:.0f} s, open {INDEX}")
    return True


def show_reports() -> None:
    """Show the tracebacks of notebooks that failed: Sphinx only names the files it wrote them to."""
    for report in sorted(REPORTS.rglob("*.err.log")):
        print(f"--- {report.relative_to(ROOT)}", file=sys.stderr)
        shutil.copyfileobj(report.open(), sys.stderr)


if __name__ == "__main__":
    sys.exit(not build_book())
