"""What every benchmark shares: a race between ways of doing the same, its table, and the options.

How to read a table. Every contender runs once to warm up; these results are compared. Then all take turns, round by
round, so that a busy machine slows all alike. A row gives the fastest of the rounds, and the ratio to the first row:
2.00 takes twice as long. The ratio is the median over the rounds of the ratio within a round, so it stands on a noisy
machine where the seconds do not. "wanted" is the most that the ratio (or, named so, the ratio to another row) may be.
"""

import argparse
import math
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labkit.files import write_json

REPORTS = Path(__file__).parents[1] / "_build/benchmarks"
MISSED = 3  # a benchmark's exit code where all ran and agreed, and something is slower than wanted


class Run(NamedTuple):
    """What a contender returns that takes its own time, for instance because it runs in a process of its own."""

    seconds: float
    result: Any = None
    megabytes: float | None = None


@dataclass
class Lane:
    """The runs of one contender."""

    runs: list[Run] = field(default_factory=list)
    result: Any = None
    error: str = ""

    @property
    def seconds(self) -> float:
        return min(run.seconds for run in self.runs)

    @property
    def megabytes(self) -> float | None:
        """The most of all runs."""
        return max((run.megabytes for run in self.runs if run.megabytes is not None), default=None)


Contender = Callable[[], object]


@dataclass
class Race:
    """The runs of each contender, and what went wrong: a contender failed, differs, or is slower than wanted."""

    lanes: dict[str, Lane]
    wrong: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def bound(self, name: str, *, seconds: float = math.inf, megabytes: float = math.inf) -> None:
        """Say what a contender may take at best, where no other one is the measure."""
        lane = self.lanes[name]
        if not lane.error and lane.seconds > seconds:
            self.slow.append(f"{name} takes {_time(lane.seconds)}, wanted: at most {_time(seconds)}")
        if not lane.error and (lane.megabytes or 0) > megabytes:
            self.slow.append(f"{name} takes {lane.megabytes:.0f} MB, wanted: at most {megabytes:.0f} MB")


def relative_difference(one: object, other: object) -> float:
    """The largest difference, as a fraction of the largest magnitude or of 1; of what is no tensor, 0 or infinite."""
    if isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape:
        one, other = one.detach().double(), other.detach().double()
        return float((one - other).abs().max() / other.abs().max().clamp(min=1))
    same = not isinstance(one, Tensor) and not isinstance(other, Tensor) and one == other
    return 0.0 if same else math.inf


def race(
    title: str,
    contenders: Mapping[str, Contender],
    rounds: int,
    *,
    equal: Sequence[str] = (),
    tolerance: float = 1e-4,
    difference: Callable[[Any, Any], float] = relative_difference,
    wanted: Mapping[str, Mapping[str, float]] | None = None,
    note: Callable[[Any], str] | None = None,
    warm_up: bool = True,
) -> Race:
    """Run the contenders in turns, compare their results, and print a table.

    Args:
        title: the table's first line.
        contenders: name -> what to run, the reference first. It returns its result, or a Run that it has timed itself.
        rounds: how often each is timed.
        equal: names whose results must be those of the first of these, up to tolerance.
        tolerance: the most that two results may differ.
        difference: how much they do; by default the largest difference, as a fraction of the largest magnitude.
        wanted: contender -> {another: the largest ratio of their times}. What is missed is told after all tables.
        note: what to write of a result at the end of its row.
        warm_up: run everything once before anything is timed; not needed where each run has a process of its own, and
            not done for a single round.

    Returns:
        The race. A contender that raises loses its own row and nothing else; one that is not installed is left out.

    Raises:
        ValueError: no contenders; rounds < 1.
    """
    if not contenders or rounds < 1:
        raise ValueError(f"a race needs contenders and at least one round, got {len(contenders)} and {rounds}")
    lanes = {name: Lane() for name in contenders}
    outcome = Race(lanes)
    for number in range(0 if warm_up and rounds > 1 else 1, rounds + 1):
        for name, lane in lanes.items():
            if lane.error:
                continue
            try:
                run = _timed(contenders[name])
            except ImportError as error:
                lane.error = f"not installed: {error}"
            except Exception as error:
                lane.error = f"failed: {type(error).__name__}: {error}".partition("\n")[0]
                outcome.wrong.append(f"{title}: {name} {lane.error}")
            else:
                lane.result = run.result
                if number:  # round 0 only warms up
                    lane.runs.append(run)
    print(f"\n{title}\n{'':<40}{'fastest':>12}{'ratio':>8}{'memory':>10}{'apart':>8}  wanted", flush=True)
    reference = next(iter(lanes.values()))
    for name, lane in lanes.items():
        if lane.error:
            print(f"{name:<40}{lane.error}", flush=True)
            continue
        ratio = "" if reference.error else f"{ratio_of(lane, reference):.2f}"
        memory = "" if lane.megabytes is None else f"{lane.megabytes:.0f} MB"
        apart = ""
        if name in equal and not lanes[equal[0]].error:
            gap = difference(lane.result, lanes[equal[0]].result)
            apart = f"{gap:.0e}" if gap else "0"
            if not gap <= tolerance:
                outcome.wrong.append(f"{title}: {name} differs from {equal[0]} by {gap:.1g}")
        remarks = []
        for other, most in (wanted or {}).get(name, {}).items():
            if not lanes[other].error:
                times = ratio_of(lane, lanes[other])
                remarks.append(f"{other} × {most:g}{'' if times <= most else ' (missed)'}")
                if times > most:
                    outcome.slow.append(f"{title}: {name} takes {times:.2f} × {other}, wanted: at most {most:g}")
        remarks += [note(lane.result)] if note else []
        row = f"{name:<40}{_time(lane.seconds):>12}{ratio:>8}{memory:>10}{apart:>8}  {', '.join(filter(None, remarks))}"
        print(row.rstrip(), flush=True)
    return outcome


def ratio_of(lane: Lane, other: Lane) -> float:
    """How many times as long a lane takes: the median of the rounds."""
    return median(own.seconds / its.seconds for own, its in zip(lane.runs, other.runs, strict=True))


def _timed(contender: Contender) -> Run:
    start = time.perf_counter()
    result = contender()
    return result if isinstance(result, Run) else Run(time.perf_counter() - start, result)


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


class NotMeasured(Exception):
    """Raised by a section that cannot run here, with the reason; no fault of the benchmark."""


class Options(NamedTuple):
    rounds: int
    quick: bool

    def size(self, full: int, tiny: int) -> int:
        """A size for the race, or the tiny one that only shows that the benchmark still runs."""
        return tiny if self.quick else full

    def alone(self, function: Callable[[], Run]) -> Contender:
        """The function in a new process for every run, which --quick does without."""
        return function if self.quick else partial(alone, function)


def run(
    doc: str | None,
    sections: Mapping[str, Callable[[Options], Iterable[Race]]],
    arguments: Sequence[str] | None = None,
    *,
    rounds: int = 5,
) -> None:
    """The command line of a benchmark: run the races of its sections, and say what was missed at the end.

    Args:
        doc: what is measured; its first line is shown by --help.
        sections: name -> a generator of races. One that fails loses what is left of it and nothing else.
        arguments: those of the command line by default.
        rounds: how often each contender is timed by default.

    Raises:
        SystemExit: 1 where a contender or a section failed or results differ; MISSED where all went well, but, without
            --quick, something is slower than wanted.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each is timed; by default {rounds}")
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections), help="sections to run")
    parser.add_argument("--quick", action="store_true", help="one round of tiny sizes, to see that it runs")
    parser.add_argument("--outcome", type=Path, help="a JSON file for what failed, was missed and was not measured")
    chosen = parser.parse_args(arguments)
    options = Options(1 if chosen.quick else chosen.rounds, chosen.quick)
    outcome: dict[str, list[str]] = {"failed": [], "missed": [], "not measured": []}
    for name in chosen.only:
        try:
            for each in sections[name](options):
                outcome["failed"] += each.wrong
                outcome["missed"] += [] if options.quick else each.slow
        except NotMeasured as reason:
            outcome["not measured"].append(f"section {name}: {reason}")
        except Exception as error:
            traceback.print_exc()
            outcome["failed"].append(f"section {name} failed: {type(error).__name__}: {error}")
    for kind, lines in outcome.items():
        print(*(f"\n{kind}: {line}" for line in lines), sep="", end="\n" if lines else "", flush=True)
    if chosen.outcome:
        write_json(chosen.outcome, outcome, indent=1)
    if outcome["failed"] or outcome["missed"]:
        sys.exit(1 if outcome["failed"] else MISSED)


def alone(function: Callable[[], Run]) -> Run:
    """The function's result from a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function).result()


def peak() -> float:
    """The most memory this process has held so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would begin with what the parent process held
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def backward(model: torch.nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """The bare pass that no gradient method can do without: one forward and one backward pass, down to the pixels."""
    inputs = images.detach().requires_grad_()
    return torch.autograd.grad(model(inputs).gather(1, classes[:, None]).sum(), inputs)[0]


def drawn(name: str, png: bytes) -> None:
    """Write a chart of a benchmark below _build."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"{name}.png").write_bytes(png)
    print(f"drawn in _build/benchmarks/{name}.png")
