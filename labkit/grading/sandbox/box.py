"""Boxes for students' processes: no network, a read-only system, own files and processes, and limits on everything.

bubblewrap makes each box: it starts one idle process in namespaces of its own, and the student's process, forked from a
server that has loaded everything (see `zygote`), joins it there. When the idle process is killed, everything in the box
goes with it. Run by root, the processes in it belong to a user number that nobody has; run by anyone else, to that
user, in a user namespace without any capability.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from labkit.grading.sandbox import bubblewrap, control_groups, transport
from labkit.grading.sandbox.bubblewrap import HOME, IN_MEMORY, BoxError
from labkit.grading.sandbox.control_groups import ControlGroup
from labkit.grading.sandbox.fork_server import ForkServer, ServerError, students_server
from labkit.grading.sandbox.limits import Limits
from labkit.grading.sandbox.watcher import GRACE, PATIENCE, Watcher

FIRST_USER = 2_000_000  # user numbers from here on are nobody's


@dataclass
class Box:
    """A student's process, seen from outside."""

    limits: Limits
    folder: str  # the notebook's, as it is seen inside
    channel: socket.socket
    sandbox: subprocess.Popen | None = None  # bubblewrap; None without a sandbox
    lifeline: socket.socket | None = None  # when it is closed, the box ends
    pid: int = 0  # of the first process in the box, seen from outside
    pidfd: int = -1  # a descriptor that stands for it, whatever becomes of the number
    runner: int = -1  # a descriptor that stands for the notebook runner
    group: ControlGroup | None = None
    watcher: Watcher | None = None

    def exchange(self, order: dict[str, Any], seconds: float) -> tuple[dict[str, Any], float]:
        """Ask the process something.

        Args:
            order: see `notebook_runner`.
            seconds: of its own time that it may take.

        Returns:
            What it answered, and the seconds that it took.

        Raises:
            Lost: it is gone, hangs, uses too much, or answers nonsense.
        """
        assert self.watcher is not None
        self.watcher.start_clock(seconds)
        patience = PATIENCE * seconds + 2 * GRACE
        try:
            transport.send(self.channel, order | {"seconds": seconds}, seconds=patience)
            answer = transport.receive(self.channel, seconds=patience)
        except (transport.TransportError, TimeoutError) as error:
            raise Lost(self._reason(error), self.watcher.stop_clock()) from error
        used = self.watcher.stop_clock()
        if not isinstance(answer, dict):
            raise Lost("its process answered nonsense", used)
        return answer, used

    def _reason(self, error: Exception) -> str:
        if self.watcher is not None and self.watcher.reason:
            return self.watcher.reason
        if self.group is not None and self.group.ran_out_of_memory():
            return f"used more than {self.limits.memory / 2**30:g} GB of memory"
        return str(error) or "its process does not answer"

    @property
    def peak(self) -> int:
        """Bytes, the most memory that was seen."""
        return self.watcher.peak if self.watcher is not None else 0

    def processes(self) -> list[Path]:
        """The folders in /proc of all its processes; without a sandbox, of its first one."""
        if self.sandbox is None:
            return [Path(f"/proc/{self.pid}")]
        with contextlib.suppress(OSError):
            return [entry for entry in Path(f"/proc/{self.pid}/root/proc").iterdir() if entry.name.isdigit()]
        return []

    def interrupt(self) -> None:
        """Tell the notebook runner that its time is up."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self.runner, signal.SIGALRM)

    def end(self) -> None:
        """Kill every process."""
        with contextlib.suppress(OSError):
            if self.sandbox is not None:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            else:
                os.killpg(self.pid or 2**30, signal.SIGKILL)

    def close(self) -> None:
        """End every process in the box; its files go with it."""
        if self.watcher is not None:
            self.watcher.close()
        self.channel.close()
        self.end()
        if self.sandbox is not None:
            try:
                self.sandbox.wait(5)  # it buries the first process, which takes the others with it
            except subprocess.TimeoutExpired:
                self.sandbox.kill()
                self.sandbox.wait()
        if self.lifeline is not None:
            self.lifeline.close()
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        for descriptor in {self.pidfd, self.runner} - {-1}:
            os.close(descriptor)
        if self.group is not None:
            self.group.close()


class Lost(Exception):
    """A student's process is gone, hangs, or uses too much."""

    def __init__(self, reason: str, seconds: float = 0.0):
        super().__init__(reason)
        self.seconds = seconds  # that it took


class Boxes:
    """Makes boxes, one at a time or several; keeps the server that students' processes are forked from."""

    def __init__(
        self,
        modules: Sequence[str] = (),
        cells: Sequence[str] = (),
        *,
        limits: Limits | None = None,
        sandbox: bool = True,
        server: ForkServer | None = None,
    ):
        """Prepare to make boxes.

        Args:
            modules: what the notebooks import.
            cells: what they begin with; run once beforehand, so that what it loads is there.
            limits: of each box.
            sandbox: False runs students' code as whoever grades, with no box around it.
            server: what students' processes are forked from, where it runs already; it has loaded modules and cells.

        Raises:
            BoxError: there is no bubblewrap here.
        """
        if sandbox:
            bubblewrap.check_available()
        self.limits, self.sandbox = limits or Limits(), sandbox
        self._modules, self._cells, self._server = modules, cells, server
        control_groups.remove_forgotten()

    def __enter__(self) -> "Boxes":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the server, and every process that was forked from it."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def warm(self) -> ForkServer:
        """The server; started, if it does not run, and left to its imports."""
        if self._server is None:
            self._server = students_server("labkit.grading.sandbox.zygote", self._modules, self._cells)
        return self._server

    @contextlib.contextmanager
    def open(self) -> Iterator[Box]:
        """A new box with a new process in it that waits for orders (see `notebook_runner`)."""
        box = self.start()
        try:
            yield box
        finally:
            box.close()

    def start(self) -> Box:
        """As `open`, to be closed by the caller.

        Raises:
            BoxError: bubblewrap cannot make one here; the message is its own.
        """
        server = self.warm()
        channel, theirs = socket.socketpair()
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with theirs, contextlib.ExitStack() as stack:
            stack.callback(channel.close)
            box = self._empty(channel)
            stack.callback(box.close)
            try:
                self._fork(server, box, theirs)
                theirs.close()
                runner = self._hello(box)
            except (OSError, ValueError, transport.TransportError, ServerError) as error:
                raise BoxError(f"a process cannot join its box: {error}") from error
            stack.pop_all()
        box.pid = box.pid or runner
        in_memory = [f"/proc/{box.pid}/root{place}" for place in IN_MEMORY] if self.sandbox else []
        box.watcher = Watcher(self.limits, runner, box.processes, in_memory, box.interrupt, box.end)
        return box

    def _empty(self, channel: socket.socket) -> Box:
        if not self.sandbox:
            return Box(self.limits, tempfile.mkdtemp(prefix="labkit-grade-"), channel)
        group = control_groups.make(self.limits)
        try:
            sandbox, pid, lifeline = bubblewrap.start(self.limits, group.lists[0] if group else None)
        except BaseException:
            if group is not None:
                group.close()
            raise
        return Box(self.limits, HOME, channel, sandbox, lifeline, pid, os.pidfd_open(pid), group=group)

    def _fork(self, server: ForkServer, box: Box, theirs: socket.socket) -> None:
        server.wait()
        with contextlib.ExitStack() as stack:
            descriptors = [theirs.fileno()] + ([box.pidfd] if self.sandbox else [])
            for path in box.group.lists if box.group is not None else ():
                descriptors.append(stack.enter_context(path.open("w")).fileno())
            server.fork(json.dumps(self._order(box.folder)).encode(), descriptors)

    def _hello(self, box: Box) -> int:
        """The runner's process number, which the kernel writes on its first words, before any of the student's code."""
        box.channel.settimeout(60)
        runner = bubblewrap.sender(box.channel, socket.MSG_PEEK)
        answer = transport.receive(box.channel, seconds=60)
        if answer != {"ready": True} or not runner:
            raise ValueError(answer.get("failed", "no reason given") if isinstance(answer, dict) else "nonsense")
        box.runner = os.pidfd_open(runner)
        box.channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        return runner

    def _order(self, folder: str) -> dict[str, Any]:
        as_root = self.sandbox and os.geteuid() == 0
        temporary = "/tmp" if self.sandbox else folder
        own = {"TMPDIR": temporary, "MPLCONFIGDIR": f"{temporary}/matplotlib"}
        return {
            "boxed": self.sandbox,
            "folder": folder,
            "environment": bubblewrap.environment(folder) | own,
            "uid": FIRST_USER + os.getpid() if as_root else None,
            "cpu": int(self.limits.total) + 1,
            "memory": self.limits.memory,
            "files": self.limits.files,
            "processes": self.limits.processes,
        }
