"""Run the benchmarks one after the other, so that none disturbs another, and print a table of what came of each.

`python -m tools.run_benchmarks NAME ...` runs only these. A target that is missed is no error: the machine may be busy,
or slower than the one that the target was set on. What was stopped goes on with --resume, which leaves out what has
been measured since labkit or the benchmarks last changed.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit.files import digest_of, read_json, write_json

ROOT = Path(__file__).parents[1]
OUTCOMES = ROOT / "_build/benchmarks/outcomes"
KINDS = ("failed", "missed", "not measured")  # the first that has a line is the benchmark's result


def benchmarks() -> list[str]:
    return sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 if a benchmark failed, else 0."""
    parser = argparse.ArgumentParser(description="Run the benchmarks and print a table of what came of each.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to run: {', '.join(benchmarks())}")
    parser.add_argument("--resume", action="store_true", help="leave out what has been measured since the last change")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--rounds", type=int, help="how often each contender is timed")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(benchmarks()))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(benchmarks())}")
    options = ["--quick"] * chosen.quick + (["--rounds", str(chosen.rounds)] if chosen.rounds else [])
    made_from = {"state": digest_of([ROOT / "labkit", ROOT / "benchmarks"], "*.py"), "options": options}
    results: dict[str, dict[str, Any]] = {}
    try:
        for name in chosen.names or benchmarks():
            path = OUTCOMES / f"{name}.json"
            known = read_json(path) if chosen.resume and path.exists() else {}
            fresh = {key: known.get(key) for key in made_from} == made_from and not known["failed"]
            results[name] = known if fresh else measure(name, options, path, made_from)
    except KeyboardInterrupt:
        print("\nstopped; go on with --resume")
        return 130
    finally:
        print(table(results), flush=True)
    return int(any(result["failed"] for result in results.values()))


def measure(name: str, options: Sequence[str], path: Path, made_from: dict[str, Any]) -> dict[str, Any]:
    """Run one benchmark; its outcome, which is kept at path."""
    load = os.getloadavg()[0]
    print(f"\n=== benchmarks/{name}.py, load {load:.1f}", flush=True)
    path.unlink(missing_ok=True)
    start = time.monotonic()
    command = [sys.executable, "-m", f"benchmarks.{name}", *options, "--outcome", str(path)]
    code = subprocess.run(command, cwd=ROOT).returncode
    if path.exists():
        outcome = read_json(path)
    else:
        outcome = {kind: [] for kind in KINDS} | {"failed": [f"it ended with code {code} before its last section"]}
    outcome |= made_from | {"seconds": time.monotonic() - start, "load": load}
    write_json(path, outcome, indent=1)
    return outcome


def table(results: dict[str, dict[str, Any]]) -> str:
    """A row a benchmark, with the load when it began; below it what failed, was missed or could not be measured."""
    lines = [f"\n{'benchmark':<22}{'seconds':>9}{'load':>7}  result"]
    for name, result in results.items():
        kind = next((kind for kind in KINDS if result[kind]), "passed")
        kind = {"missed": "target missed"}.get(kind, kind)
        lines.append(f"{name:<22}{result['seconds']:>9.1f}{result['load']:>7.1f}  {kind}")
        lines += [f"    {kind}: {line}" for kind in KINDS for line in result[kind]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
