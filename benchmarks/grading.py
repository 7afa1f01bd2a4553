"""labkit-grade beside nbgrader autograde: the same honest submissions of one assignment, marked by each.

Both begin from nothing in every round, so that labkit-grade's start (it solves the assignment, warms its processes and
lets the canary fly) counts. nbgrader runs submissions one after the other in one process; labkit-grade takes as many
workers as there are processors. A single submission says how long one waits for a page of feedback. Memory is what the
machine has less of while they run, and work is the time of its processors, whoever used it: leave it alone meanwhile;
its load before the first round is printed. nbgrader gets fewer submissions: it needs the same time for each.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat

from benchmarks._race import NotMeasured, Options, Race, run
from labkit.grading.sandbox.box import Boxes
from labkit.grading.sandbox.bubblewrap import BoxError

ROOT = Path(__file__).parents[1]
NAME, SUBMISSIONS, WITH_NBGRADER = "saliency_and_smoothgrad", 50, 10
WANTED = 10  # times nbgrader's throughput
MARKERS = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION[^\n]*\n?", re.MULTILINE)


def honest(name: str, number: int) -> nbformat.NotebookNode:
    """The released notebook with the solutions filled in, as a student called `number` would hand it in."""
    solved = nbformat.read(ROOT / "solutions" / name / f"{name}.ipynb", as_version=4)
    released = nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)
    sources = {cell.id: cell.source for cell in solved.cells}
    for cell in released.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = MARKERS.sub("", sources[cell.id]) + (f"\n# {number}" if cell.cell_type == "code" else "")
    return released


def course(folder: Path, name: str, count: int) -> None:
    """A course folder as nbgrader wants it."""
    shutil.copytree(ROOT / "solutions" / name, folder / "solutions" / name)
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for number in range(count):
        place = folder / "_build" / "submitted" / f"student{number:03}" / name
        place.mkdir(parents=True)
        nbformat.write(honest(name, number), place / f"{name}.ipynb")


Figures = tuple[float, float, float]


def measured(command: list, folder: Path) -> Figures:
    """Seconds it takes, seconds of the processors, and the most MB of memory that the machine has less meanwhile."""
    before, least, done = available(), [available()], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            least.append(available())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin, work = time.perf_counter(), worked()
    try:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    finally:
        done.set()
        watcher.join()
    if finished.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{finished.stderr[-2000:]}")
    return time.perf_counter() - begin, worked() - work, (before - min(least)) / 1e6


def worked() -> float:
    """Seconds that the processors have worked since the machine began: user, nice and system."""
    words = Path("/proc/stat").read_text().split()
    return sum(map(int, words[1:4])) / os.sysconf("SC_CLK_TCK")


def available() -> int:
    """Bytes of memory that programs could still get."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


def ours(folder: Path, name: str, count: int) -> Figures:
    out = folder / "out"
    command = [sys.executable, "-m", "labkit.grading", name, folder / "_build" / "submitted", "--out", out]
    figures = measured(command, folder)
    rows = list(csv.DictReader((out / "grades.csv").read_text(encoding="utf-8-sig").splitlines()))
    total = next(column for column in rows[0] if column.startswith("total"))
    most = re.search(r"of ([\d.]+)\)", total)[1]
    wrong = [row["student"] for row in rows if row[total] != most]
    if len(rows) != count or wrong:
        raise RuntimeError(f"labkit-grade: {len(rows)} rows, not all points for {wrong}")
    return figures


def nbgrader(folder: Path, name: str, count: int) -> Figures:
    from nbgrader.api import Gradebook

    command = [sys.executable, "-m", "nbgrader"]
    subprocess.run([*command, "generate_assignment", name, "--force"], cwd=folder, check=True, capture_output=True)
    patience = ["--Execute.timeout=600", "--Execute.iopub_timeout=120"]  # 4 s, its own, end figures on a busy machine
    figures = measured([*command, "autograde", name, "--force", *patience], folder)
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        notebooks = [notebook for found in book.assignment_submissions(name) for notebook in found.notebooks]
        right = [notebook for notebook in notebooks if notebook.code_score == notebook.max_code_score]
        if len(right) != count:
            raise RuntimeError("nbgrader: not all points for honest work")
    return figures


def section(options: Options) -> Iterator[Race]:
    try:
        Boxes()
    except BoxError as error:
        raise NotMeasured(str(error)) from None
    count, fewer = options.size(SUBMISSIONS, 1), options.size(WITH_NBGRADER, 1)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic
    print(f"{NAME}, {len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':<20}{'submissions':>12}{'seconds':>9}{'work s':>8}{'a minute':>10}{'memory MB':>11}")
    rates = {}
    for what, number in (("nbgrader autograde", fewer), ("labkit-grade, one", 1), ("labkit-grade", count)):
        with tempfile.TemporaryDirectory() as folder:
            course(Path(folder), NAME, number)
            work = nbgrader if what == "nbgrader autograde" else ours
            seconds, work_done, memory = work(Path(folder), NAME, number)
        rates[what] = 60 * number / seconds
        print(f"{what:<20}{number:>12}{seconds:>9.1f}{work_done:>8.1f}{rates[what]:>10.1f}{memory:>11.0f}", flush=True)
    ratio = rates["labkit-grade"] / rates["nbgrader autograde"]
    told = f"labkit-grade: {ratio:.1f} x nbgrader's throughput, wanted {WANTED} x"
    print(f"\n{told}")
    yield Race({}, slow=[told] if ratio < WANTED else [])


SECTIONS = {"submissions": section}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=1)
