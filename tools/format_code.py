"""Sort imports and format all code, notebooks and JavaScript too, and strip the notebooks of their outputs."""

import subprocess
import sys

from tools.check import notebooks
from tools.environment import javascript


def main() -> None:
    subprocess.run(["ruff", "check", "--fix", "--exit-zero", "."], check=True)
    subprocess.run(["ruff", "format", "."], check=True)
    if notebooks():
        subprocess.run([sys.executable, "-m", "nbstripout", "--keep-id", *notebooks()], check=True)
    reason = javascript.format_code()
    if isinstance(reason, str):
        print(f"JavaScript is not formatted: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
