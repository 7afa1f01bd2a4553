"""Run every benchmark, one after the other so that none disturbs another; options such as --quick go to each."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    failed = []
    for script in sorted((ROOT / "benchmarks").glob("[!_]*.py")):
        print(f"\n=== {script.relative_to(ROOT)}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{script.stem}", *sys.argv[1:]], cwd=ROOT).returncode:
            failed.append(script.name)
    if failed:
        sys.exit(f"bench: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
