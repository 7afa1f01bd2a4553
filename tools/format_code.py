"""Sort imports and format all code, notebooks too, and strip the notebooks of their outputs."""

import subprocess
import sys

from tools.check import notebooks


def main() -> None:
    subprocess.run(["ruff", "check", "--fix", "--exit-zero", "."], check=True)
    subprocess.run(["ruff", "format", "."], check=True)
    if notebooks():
        subprocess.run([sys.executable, "-m", "nbstripout", "--keep-id", *notebooks()], check=True)


if __name__ == "__main__":
    main()
