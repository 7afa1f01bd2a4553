"""How long the book takes to build, cold and warm, and how much a reader downloads with each page.

Cold: no executed notebook in the cache. Warm: a second time, with nothing changed. Seconds are those that processors
worked on it, so that other work on the machine counts as little as it can; with two of them at hand a cold build takes
little more than half as long. Weights: the HTML and everything that the page loads from the book, as it lies on disk
and as a web server would send it (gzip, where that helps); the second page costs less, since scripts and styles are
loaded once. `--only weights`, and --quick, weigh the book that was built last.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks._race import NotMeasured, Options, Race, Run, race, run
from tools.website.check_pages import Page, loaded_files, sent

ROOT = Path(__file__).parents[1]


BUILT = ROOT / "_build/html"


def build(folder: str) -> Run:
    command = [sys.executable, "-m", "tools.website.jupyter_book", "build", "book/", "--path-output", folder]
    environment = os.environ | {"COURSE_EXECUTED": f"{folder}/executed"}
    before = worked()
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"the book does not build:\n{result.stderr[-2000:]}")
    return Run(worked() - before)


def worked() -> float:
    """Seconds that processors have worked on processes that this one has started, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def built(options: Options) -> Iterator[Race]:
    if options.quick:
        return
    with tempfile.TemporaryDirectory() as folder:
        found = race("building the book", {name: partial(build, folder) for name in ("cold", "warm")}, 1)
        found.bound("cold", seconds=2 * 150)  # 150 s of two processors
        found.bound("warm", seconds=2 * 10)
        yield found


def weights(options: Options) -> Iterator[Race]:
    if not BUILT.exists():
        raise NotMeasured("there is no built book; `make book` builds it")
    weigh(BUILT)
    yield Race({})


def weigh(book: Path) -> None:
    """Print a row for each page, in kB: its own HTML, then with its figures, then with all that it loads."""
    columns = ("HTML", "gzipped", "+ figures", "gzipped", "+ shared", "gzipped")
    print(f"\n{'page, kB':<44}" + "".join(f"{column:>10}" for column in columns))
    sizes: dict[Path, tuple[int, int]] = {}
    for path in sorted(book.rglob("*.html")):
        if "_static" in path.relative_to(book).parts or "_modules" in path.relative_to(book).parts:
            continue
        page = Page(path.read_text(encoding="utf-8"))
        row = f"{path.relative_to(book)!s:<44}"
        for files in (set(), loaded_files(path, page, shared=False), loaded_files(path, page, shared=True)):
            for file in {path, *files} - sizes.keys():
                sizes[file] = (file.stat().st_size, sent(file))
            row += "".join(
                f"{sum(kind) / 1000:>10.0f}" for kind in zip(*(sizes[f] for f in {path, *files}), strict=True)
            )
        print(row, flush=True)


SECTIONS = {"build": built, "weights": weights}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=1)
