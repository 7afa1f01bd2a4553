"""What the processes of a box use together: memory, processor, time. Looked at from a thread of its own.

The time of a submission is the time that it takes itself. While its process waits for a processor that others hold, its
clock stands still, and so it does while the marking process sends, reads, or waits for a processor; while it computes
in several processes at once, the clock runs as fast as they do. So a neighbour that keeps all processors busy makes
nobody late, and sleeping is no way to stop the clock.

Memory is that of all processes, of files in memory and, as far as can be known from outside, of what waits in the
buffers of sockets and pipes. Where control groups may be used (see `control_groups`) the kernel limits the sum as well,
to the byte; the watcher then says why a process was ended.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from labkit.grading.sandbox.limits import Limits

INTERVAL = 0.05  # seconds between two looks
GRACE = 2  # seconds for a process that was told that its time is up
PATIENCE = 10  # nothing lasts longer than so many times its limit, whoever held the processors
GLANCE = 0.02  # seconds in which the kernel notes that a process has run
FEW = 8  # sockets and pipes of a process that are not counted
INODE = 1024  # bytes that the kernel needs for an empty file
TICK = os.sysconf("SC_CLK_TCK")


def _buffer() -> int:
    """The most bytes that the buffer behind one descriptor can hold."""
    try:
        return 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
    except (OSError, ValueError):
        return 2**19


def _with_buffers(folder: Path) -> int:
    """How many of a process's open files are sockets or pipes, which have a buffer behind them."""
    names, found = os.listdir(folder), 0
    for name in names if len(names) > FEW else ():
        with contextlib.suppress(OSError):  # it has been closed
            found += os.readlink(folder / name).startswith(("socket:", "pipe:"))
    return found


def _kilobytes(path: Path, *names: str) -> int:
    """Bytes: the sum of some lines of a file in /proc, 0 if the process is gone."""
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))


def _schedule(folder: str) -> tuple[float, float]:
    """Seconds that a process or a thread has run, and that it has waited for a processor, so far."""
    try:
        ran, waited, _ = Path(folder, "schedstat").read_text().split()
        return int(ran) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        return 0.0, 0.0


class Watcher:
    """Watches a box, measures the time of what it is asked, and ends it when it uses more than it may."""

    def __init__(
        self,
        limits: Limits,
        runner: int,
        processes: Callable[[], list[Path]],
        in_memory: list[str],
        interrupt: Callable[[], None],
        end: Callable[[], None],
    ):
        """Begin to watch.

        Args:
            limits: what the box may use.
            runner: process number of the notebook runner.
            processes: the folders in /proc of all processes in the box.
            in_memory: where its files in memory are seen from outside.
            interrupt: tells the runner that its time is up.
            end: ends the box.
        """
        self._limits, self._runner, self._processes, self._in_memory = limits, runner, processes, in_memory
        self._interrupt, self._end = interrupt, end
        self._buffer = _buffer()
        self._lock = threading.Lock()
        self._allowed: float | None = None  # seconds of what is being asked
        self._told = False
        self._processor = 0.0
        self._done = threading.Event()
        self.peak = 0  # bytes
        self.reason = ""  # why the box was ended
        self.look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look a last time, and no more."""
        self._done.set()
        self._thread.join()
        self.look()

    def start_clock(self, seconds: float) -> None:
        """From now on so many seconds are left."""
        with self._lock:
            self._allowed, self._told = seconds, False
            self._asker = threading.get_native_id()
            self._begin = time.monotonic(), self._not_its_own(), self._processor

    def stop_clock(self) -> float:
        """The seconds that were used since `start_clock`."""
        with self._lock:
            used, self._allowed = self._used(), None
        return used

    def look(self) -> None:
        """Measure memory and processor time once; end the box if that is too much."""
        resident, elsewhere, processor = 0, 0, 0.0
        processes = self._processes()
        for folder in processes:
            with contextlib.suppress(OSError, ValueError, IndexError):
                resident += _kilobytes(folder / "status", "RssAnon", "RssShmem")
                numbers = (folder / "stat").read_text().rpartition(")")[2].split()
                processor += sum(map(int, numbers[11:15])) / TICK  # with children that have ended
                elsewhere += self._buffer * max(_with_buffers(folder / "fd") - FEW, 0)
        for place in self._in_memory:
            with contextlib.suppress(OSError):
                files = os.statvfs(place)
                elsewhere += (files.f_blocks - files.f_bfree) * files.f_frsize + INODE * (files.f_files - files.f_ffree)
        if resident + elsewhere > self._limits.memory:  # pages that processes share were counted for each
            with contextlib.suppress(OSError, ValueError, IndexError):
                resident = sum(_kilobytes(folder / "smaps_rollup", "Pss_Anon", "Pss_Shmem") for folder in processes)
        with self._lock:
            self._processor = max(self._processor, processor)
        self.peak = max(self.peak, resident + elsewhere)
        if resident + elsewhere > self._limits.memory:
            self._stop(f"used more than {self._limits.memory / 2**30:g} GB of memory")

    def _watch(self) -> None:
        while not self._done.wait(INTERVAL):
            self.look()
            with self._lock:
                allowed, over, certain = self._allowed, self._over(), self._over(certain=True) > 0
            if over <= 0 or (not certain and self._in_a_queue()):
                continue
            with self._lock:
                over, told = self._over(), self._told  # it may have answered meanwhile
                self._told = told or over > 0
            if over > 0 and not told:
                self._interrupt()
            elif over > GRACE:
                self._stop(f"took longer than {allowed:g} seconds")

    def _over(self, *, certain: bool = False) -> float:
        """Seconds over what is allowed, below zero where nothing is asked."""
        return self._used(certain=certain) - self._allowed if self._allowed is not None else -1.0

    def _used(self, *, certain: bool = False) -> float:
        """Seconds of what is being asked; the `certain` ones are those that no waiting can make fewer."""
        if self._allowed is None:
            return 0.0
        begin, not_its_own, processor = self._begin
        passed = time.monotonic() - begin
        own = 0.0 if certain else passed - (self._not_its_own() - not_its_own)
        return max(own, self._processor - processor, passed / PATIENCE)

    def _not_its_own(self) -> float:
        """Seconds so far that the runner has waited for a processor, or whoever asks it has run or waited for one."""
        _, waited = _schedule(f"/proc/{self._runner}")
        return waited + sum(_schedule(f"/proc/self/task/{self._asker}"))

    def _in_a_queue(self) -> bool:
        """Whether the runner waits for a processor now. The kernel adds that to its sum only when it runs again."""
        before = _schedule(f"/proc/{self._runner}")
        self._done.wait(GLANCE)
        with contextlib.suppress(OSError, IndexError):
            state = Path(f"/proc/{self._runner}/stat").read_text().rpartition(")")[2].split()[0]
            return state == "R" and any(before) and _schedule(f"/proc/{self._runner}") == before
        return False

    def _stop(self, reason: str) -> None:
        if not self.reason:
            self.reason = reason
            self._end()
