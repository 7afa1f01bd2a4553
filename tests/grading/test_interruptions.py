"""What is left when grading is stopped: nothing that runs, and everything that was marked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.grading import tiny

SLOW = "import time\n\n\ndef spread(values):\n    time.sleep(50)\n    return values.max() - values.min()"


def left(mark):
    """The command lines of other processes with these words in their environment or command line."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            words = (process / "environ").read_bytes() + command
        except OSError:
            continue
        if mark in words and int(process.name) != os.getpid():
            found[process.name] = command.replace(b"\0", b" ").decode(errors="replace")[:200]
    return found


def wait(until, *, failing=lambda: ""):
    end = time.monotonic() + 300
    while not until():
        assert time.monotonic() < end, failing()
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped(tmp_path, boxed, how):
    tiny.write(tiny.solution(), tmp_path / "solutions" / "tiny" / "tiny.ipynb")
    tiny.write(tiny.honest(), tmp_path / "submissions" / "ada" / "tiny.ipynb")
    slow = tiny.honest()
    tiny.cell(slow, "spread").source = SLOW
    for number in range(4):
        tiny.write(slow, tmp_path / "submissions" / f"slow{number}" / "tiny.ipynb")
    place = str(tmp_path / "cache")
    command = [sys.executable, "-m", "labkit.grading", tmp_path / "solutions" / "tiny", tmp_path / "submissions"]
    command += ["--out", tmp_path / "out", "--workers", "2"]
    environment = os.environ | {"LABKIT_CACHE": place}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background ignore it
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    kept = tmp_path / "out" / "results"
    wait(lambda: list(kept.glob("ada-*.json")))
    assert len(left(place.encode())) >= 5, "the command, two servers, a process for a submission, and its box"
    process.send_signal(how)
    words = process.communicate()[1]
    wait(lambda: not left(place.encode()), failing=lambda: f"still there: {left(place.encode())}")
    (path,) = kept.glob("ada-*.json")
    assert json.loads(path.read_text())["result"]["student"] == "ada"
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert "stopped: 1 more are graded and kept" in words
        assert "Traceback" not in words
