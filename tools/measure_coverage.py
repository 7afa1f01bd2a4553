"""Run the tests with coverage.py, print what of labkit no test runs, and fail below the bound in pyproject.toml.

`python -m tools.measure_coverage tests/attacks ...` runs only these and adds them to what has been measured since
labkit last changed, so that the whole can be measured in pieces. The browser's tests are left out: what they run of
labkit, others run too.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from labkit.files import digest_of
from tools.check import TWICE, command, two_at_a_time

ROOT = Path(__file__).parents[1]
DATA = ROOT / "_build/coverage"
STATE = DATA / ".made-from"


def main(paths: Sequence[str] = ()) -> int:
    """Measure everything, or add some tests; 1 if a test failed or too little is covered."""
    state = digest_of([ROOT / "labkit"], "*.py")
    if not paths or not STATE.exists() or STATE.read_text() != state:  # lines of older files are other lines
        shutil.rmtree(DATA, ignore_errors=True)
        DATA.mkdir(parents=True)
        STATE.write_text(state)
    chosen = ("-p", "no:nbval", "--dist=loadfile", "-m", "not browser", *TWICE)
    passed = two_at_a_time("coverage", *chosen, "--cov", "--cov-append", "--cov-report=", "--cov-fail-under=0", *paths)
    reported = command("coverage", "report")
    return 0 if passed and reported else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
