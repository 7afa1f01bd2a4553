"""Whose time and memory count, measured on real processes that are in no box."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from labkit.grading.sandbox.limits import Limits
from labkit.grading.sandbox.watcher import Watcher

SPIN = "while True: pass"


class Watched:
    """A process with a watcher, which notes what it is told instead of doing it."""

    def __init__(self, code, limits=None):
        self.process = subprocess.Popen([sys.executable, "-c", f"print(flush=True)\n{code}"], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.told = []
        children = lambda: [Path(f"/proc/{pid}") for pid in (self.process.pid, *self.children())]  # noqa: E731
        told = self.told
        limits = limits or Limits()
        pid = self.process.pid
        self.watcher = Watcher(limits, pid, children, [], lambda: told.append("time"), lambda: told.append("end"))

    def children(self):
        try:
            return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watcher.close()
        for pid in self.children():
            os.kill(int(pid), 9)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def beside(count, watched):
    """So many neighbours that spin, on the one processor that the watched process has too."""
    neighbours = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        for process in (*neighbours, watched.process):
            os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        yield
    finally:
        for process in neighbours:
            process.kill()
            process.wait()


def until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_neighbour_that_takes_all_processors_makes_nobody_late():
    """On one processor, beside nine others: a second of one's own time is ten on the wall."""
    with Watched(SPIN) as watched, beside(9, watched):
        watched.watcher.start_clock(60)
        begin = time.monotonic()
        time.sleep(3)
        passed = time.monotonic() - begin
        assert watched.watcher.stop_clock() < passed / 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_who_gets_no_processor_at_all_is_not_told_that_its_time_is_up():
    """The kernel adds waiting to its sum only when a process runs again: until then it looks like the process's own."""
    with Watched(SPIN) as watched, beside(3, watched):
        os.sched_setscheduler(watched.process.pid, os.SCHED_IDLE, os.sched_param(0))
        watched.watcher.start_clock(1)
        time.sleep(4)
        assert watched.told == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_time_of_whoever_asks_does_not_count():
    with Watched("import time; time.sleep(1000)") as watched:
        watched.watcher.start_clock(60)
        begin, end = time.monotonic(), time.thread_time() + 1
        while time.thread_time() < end:
            pass
        passed = time.monotonic() - begin
        assert watched.watcher.stop_clock() < passed - 0.9


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_sleeping_does_not_stop_the_clock():
    with Watched("import time; time.sleep(1000)") as watched:
        watched.watcher.start_clock(0.3)
        until(lambda: "time" in watched.told)
        assert watched.watcher.stop_clock() >= 0.3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_who_does_not_stop_is_ended():
    with Watched(SPIN) as watched:
        watched.watcher.start_clock(0.1)
        until(lambda: "end" in watched.told)
        assert watched.told[0] == "time"
        assert watched.watcher.reason == "took longer than 0.1 seconds"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_of_children_counts_and_shared_pages_once():
    hold = "import os, time\nx = bytearray(b'x') * 300_000_000\n"
    with Watched(
        hold + "for _ in range(5):\n    if os.fork() == 0: break\ntime.sleep(1000)", Limits(memory=10**9)
    ) as w:
        until(lambda: len(w.children()) == 5)
        w.watcher.look()
        assert w.told == [], "six times 300 MB that are the same"
    with Watched(
        "import os, time\nfor _ in range(5):\n    if os.fork() == 0:\n        x = bytearray(b'x') * 300_000_000\n"
        "        break\ntime.sleep(1000)",
        Limits(memory=10**9),
    ) as w:
        until(lambda: "end" in w.told)
        assert w.watcher.reason == "used more than 0.931323 GB of memory"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_sockets_may_hold_what_nobody_sees_and_open_files_do_not():
    keep = "import socket, time\nkept = [OPEN for _ in range(100)]\ntime.sleep(1000)"
    peaks = []
    for kind in ("open('/dev/null')", "socket.socket()"):
        with Watched(keep.replace("OPEN", kind)) as watched:
            until(lambda: len(list(Path(f"/proc/{watched.process.pid}/fd").iterdir())) > 100)
            watched.watcher.look()
            peaks.append(watched.watcher.peak)
    files, sockets = peaks
    assert sockets - files > 90 * 2**18, "at least a usual buffer for each, but for a few"


def test_a_limit_is_above_zero():
    for field in ("cell", "call", "total", "memory", "processes"):
        with pytest.raises(ValueError, match=f"{field} must be above 0, got -1"):
            Limits(**{field: -1})
