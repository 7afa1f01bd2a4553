"""Make .venv and install labkit with the exact versions of constraints.txt.

Runs on whatever Python the machine has, before anything is installed: the standard library only, and
no syntax that an old Python cannot read, so that it can say in one line what is missing.
"""

import os
import subprocess
import sys
from typing import NoReturn

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
VENV = os.path.join(ROOT, ".venv")
LOG = os.path.join(VENV, "set-up.log")
OLDEST = (3, 11)


def main() -> None:
    if len(sys.argv) != 2:
        fail("usage: python3 tools/environment/set_up.py STAMP")
    if sys.version_info < OLDEST:
        fail(
            "needs Python {}.{} or later, and {} is {}.{}; name another one: make PYTHON=/path/to/python3".format(
                *OLDEST, sys.executable, *sys.version_info[:2]
            )
        )
    try:
        import ensurepip  # noqa: F401  (Debian ships venv without it)
        import venv
    except ImportError:
        fail("this Python has no venv module; on Debian or Ubuntu: apt-get install python3-venv")

    python = os.path.join(VENV, "bin", "python")
    if not (os.path.exists(python) and works(python, "-m", "pip", "--version")):
        say("making .venv with Python {}.{}.{}".format(*sys.version_info[:3]))
        venv.create(VENV, clear=True, with_pip=True)
    say("installing the packages of pyproject.toml at the versions of constraints.txt (minutes, the first time)")
    install = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    steps = [["pip>=25.1"], ["-c", "constraints.txt", "-e", ".", "--group", "dev"]]  # an older pip knows no groups
    with open(LOG, "w") as log:
        failed = any(subprocess.call(install + step, cwd=ROOT, stdout=log, stderr=log) for step in steps)
    if failed:
        with open(LOG) as log:
            lines = [line.strip(" \u2502\u2570\u2500>\n") for line in log]
        errors = [line for line in lines if line.startswith("ERROR")] + ["ERROR: it stopped without saying why"]
        fail(
            "pip could not install the packages ({}). Is the network there? Then run the same command again, "
            "it goes on where it stopped (all that pip said: .venv/set-up.log)".format(errors[0].rstrip("."))
        )
    with open(sys.argv[1], "w"):
        pass
    say("done")


def works(*command: str) -> bool:
    return not subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def say(line: str) -> None:
    print("set-up: " + line, flush=True)


def fail(line: str) -> NoReturn:
    sys.exit("set-up: " + line)


if __name__ == "__main__":
    main()
