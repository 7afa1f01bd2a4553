"""Check everything (`make test`) or the quick part of it (`make check`), and say at the end what ran and what did not.

Every step runs even when an earlier one failed, so that one run shows all there is to repair.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from tools.environment import javascript
from tools.environment.debian import install
from tools.test_outcomes import worth_a_look
from tools.website.build_book import INDEX, build_book
from tools.website.chromium import HEADLESS, find_chromium

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "_build" / "check"  # what pytest wrote of each step, as JUnit's XML


class Step(NamedTuple):
    """One line of the summary. `run` returns whether it passed, or the reason why it could not run."""

    name: str
    run: Callable[[], bool | str]
    quick: Callable[[], bool | str] | None = None  # what `make check` runs instead, if anything
    beside: bool = False  # runs while the steps behind the first of these do, and needs nothing of them


Result = tuple[str, float, bool | str]  # a step's name, its seconds, and what came of it


def run_steps(steps: Sequence[Step], *, quick: bool = False) -> bool:
    """Run the steps and print what came of each; True if none failed.

    From the first step that may run beside others there are two rows of them, so that a processor has work while a
    browser waits or the last test of a step ends.
    """
    chosen = {step: run for step in steps if (run := step.quick if quick else step.run)}
    start = time.monotonic()
    row = {step.name: run for step, run in chosen.items() if not step.beside}
    second = {step.name: run for step, run in chosen.items() if step.beside}
    before = next((place for place, step in enumerate(chosen) if step.beside), 0)
    results = list(in_turn(dict(list(row.items())[:before])))
    with in_a_second_row(second) as others:
        results += in_turn(dict(list(row.items())[before:]))
    results += others
    ended = {name for name, _, _ in results}
    results += [(step.name, 0.0, False) for step in chosen if step.name not in ended]  # the second row broke off
    summarise(results, time.monotonic() - start)
    return not any(outcome is False for _, _, outcome in results)


def in_turn(runs: dict[str, Callable[[], bool | str]]) -> Iterator[Result]:
    """Run one step after the other."""
    for name, run in runs.items():
        print(f"\n=== {name}", flush=True)
        start = time.monotonic()
        outcome = run()
        yield name, time.monotonic() - start, outcome


@contextmanager
def in_a_second_row(runs: dict[str, Callable[[], bool | str]]) -> Iterator[list[Result]]:
    """Run steps beside the block, in a process of their own, with a mark before each line that they print.

    Yields:
        Their results, complete when the block has ended.
    """
    results: list[Result] = []
    context = get_context("fork")
    answers, answer = context.Pipe(duplex=False)
    lines, line = os.pipe()
    process = context.Process(target=_answer, args=(runs, line, answer))
    sys.stdout.flush()
    process.start()
    os.close(line)
    answer.close()
    printer = Thread(target=_print_marked, args=(lines,), daemon=True)
    printer.start()
    yield results
    with answers:
        try:
            while True:
                results.append(answers.recv())
        except EOFError:
            process.join()
    printer.join(5)  # not for ever: what a step left running may hold on to the other end


def _answer(runs: dict[str, Callable[[], bool | str]], line: int, answer: Connection) -> None:
    """In the process beside: all that is printed goes to one place, the results to another."""
    for stream in (1, 2):
        os.dup2(line, stream)
    os.close(line)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    for result in in_turn(runs):
        answer.send(result)


def _print_marked(lines: int) -> None:
    with os.fdopen(lines, encoding="utf-8", errors="replace") as printed:
        for line in printed:
            print(f"| {line}", end="", flush=True)


def summarise(results: list[tuple[str, float, bool | str]], seconds: float) -> None:
    """Print the table of steps, then what was not run and why, tests to look at, and one closing line."""
    print(f"\n{'step':<22}{'seconds':>9}  result")
    for name, took, outcome in results:
        print(f"{name:<22}{took:>9.1f}  {'passed' if outcome is True else 'not run' if outcome else 'FAILED'}")
    print(f"{'all':<22}{seconds:>9.1f}")
    for name, _, outcome in results:
        if isinstance(outcome, str):
            print(f"not run: {name}: {outcome}")
        print(*(f"{name}: {line}\n" for line in worth_a_look(REPORTS / f"{name}.xml")), sep="", end="")
    passed, failed = (sum(outcome is value for _, _, outcome in results) for value in (True, False))
    print(f"\n{passed} passed, {failed} failed, {len(results) - passed - failed} skipped", flush=True)


def notebooks() -> list[str]:
    """Every notebook of the working tree, as paths below its root."""
    places = ("book", "solutions", "exercises")
    found = (path.relative_to(ROOT) for place in places for path in (ROOT / place).rglob("*.ipynb"))
    return sorted(str(path) for path in found if ".ipynb_checkpoints" not in path.parts)


def command(*arguments: str, **environment: str) -> bool:
    """Run one of the environment's tools; True if it found nothing wrong."""
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=os.environ | environment).returncode == 0


def two_at_a_time(step: str, *arguments: str) -> bool:
    """Run pytest in two processes with a thread each: two threads that wait for each other would gain far less.

    They keep freed memory: to fetch it anew, page by page, takes a fifth of the time of a large batch's forward pass.
    """
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    one |= {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}  # read by glibc only
    return command("pytest", "-n", "2", f"--junitxml={REPORTS / step}.xml", *arguments, **one)


# A busy machine can starve a browser or a box. A test that fails is tried once more; the summary names it in any case.
TWICE = ("--reruns", "1")


def data_sets() -> bool | str:
    """Fetch what is missing, so that the tests and chapters below see the full sets where they can be had."""
    fetched = command("labkit.cli", "data")
    return fetched or "they cannot be fetched here; what follows uses the bundled samples"


def lint() -> bool:
    return command("ruff", "check", ".")


def spelling() -> bool:
    return command("codespell_lib")


def workflows() -> bool:
    zizmor = Path(sys.executable).with_name("zizmor")  # it is no module
    return subprocess.run([zizmor, "--offline", "--quiet", ".github"], cwd=ROOT).returncode == 0


def formatted() -> bool:
    return command("ruff", "format", "--check", ".")


def types() -> bool:
    return command("basedpyright")


def stripped() -> bool | str:
    if not notebooks():
        return "there are no notebooks"
    # Of each notebook that is not clean, nbstripout prints the cells it would change.
    return command("nbstripout", "--verify", "--keep-id", *notebooks())


def quick_tests() -> bool:
    return two_at_a_time("pytest", "-p", "no:nbval", "--dist=loadfile", "-m", "not slow and not browser")


def all_tests() -> bool:
    reason = None if shutil.which("bwrap") else install("bubblewrap")
    if reason:
        print(f"no bubblewrap here ({reason}): what grades submissions in boxes is skipped")
    chosen = ("-p", "no:nbval", "--dist=loadfile", "-m", "not browser", "--durations=10")
    return two_at_a_time("pytest", *chosen, *TWICE)


def run_chapters() -> bool | str:
    """Execute every chapter; its claims are assert cells, so an exception is a failure.

    The book is then built from what was executed here. Exercises are executed cell by cell, each task unanswered, wrong
    and right, by tests/journeys/test_student.py.
    """
    from tools.website.execution import cache_folder, course_state

    if not list((ROOT / "book").rglob("*.ipynb")):
        return "there are no chapters"
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600", "-W", "default"]
    kept = ["-p", "tools.website.keep_executed", f"--keep-executed={cache_folder(course_state())}"]
    return two_at_a_time("chapters", *nbval, *kept, "--dist=loadfile", "--durations=5", "book")


def exercises_in_step() -> bool | str:
    from tools.release_exercises import assignments, differences

    if not assignments():
        return "there are no solutions"
    found = differences()
    for line in found:
        print(f"{line}; `make exercises` writes it anew")
    print(f"{len(assignments())} assignments, {len(found)} differences")
    return not found


def pages() -> bool | str:
    from tools.website.check_pages import check_pages

    if not INDEX.exists():
        return "the book was not built"
    found = check_pages(INDEX.parent)
    print(*found, f"{len(found)} broken links or outside hosts", sep="\n")
    return not found


def browser_tests() -> bool | str:
    if not INDEX.exists():
        return "the book was not built"
    both = find_chromium(whole=True) and (shutil.which(HEADLESS) or "CHROMIUM" in os.environ)
    reason = None if both else install("chromium", HEADLESS)
    if find_chromium(whole=True) is None:
        return f"no Chromium here ({reason or 'installed, but not found'})"
    # Only the files with such tests: pytest would import all others to see that they have none.
    files = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.browser" in path.read_text()]
    return two_at_a_time("browser tests", "--dist=loadgroup", "-m", "browser", "--durations=5", *TWICE, *files)


STEPS = (
    Step("data sets", data_sets),
    Step("JavaScript", javascript.check, javascript.check),  # what it installs is used in both rows
    Step("types", types, types, beside=True),
    Step("exercises in step", exercises_in_step, beside=True),
    Step("chapters", run_chapters, beside=True),
    Step("book", build_book, beside=True),
    Step("links of the book", pages, beside=True),
    Step("browser tests", browser_tests, beside=True),
    Step("ruff check", lint, lint),
    Step("ruff format", formatted, formatted),
    Step("spelling", spelling, spelling),
    Step("workflows", workflows, workflows),
    Step("notebooks stripped", stripped, stripped),
    Step("pytest", all_tests, quick_tests),
)

if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--quick"]):
        sys.exit(f"usage: python -m tools.check [--quick], got {' '.join(sys.argv[1:])}")
    shutil.rmtree(REPORTS, ignore_errors=True)  # an earlier run's
    sys.exit(not run_steps(STEPS, quick=sys.argv[1:] == ["--quick"]))
