"""A process that has loaded what its children need, and forks one of them for each order.

Importing PyTorch takes seconds; a fork takes milliseconds. Two such servers grade: the children of one become students'
processes (see `zygote`), those of the other each mark one submission (see `labkit.grading.marking.process`). The second
is a child of the first, so PyTorch is imported once.

A server ends when everybody who could give it orders has ended, and its children end with it.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from labkit.grading.sandbox import bubblewrap, linux

LONGEST_ORDER = 65536


class ServerError(Exception):
    """The server cannot start, or has ended."""


class ForkServer:
    """A server, seen from the process that gives the orders and from the children of that process."""

    def __init__(self, control: socket.socket, process: subprocess.Popen | None = None):
        """A server that runs: see `start` and `branch`.

        Args:
            control: the connection to it.
            process: the server, where this process has started it.
        """
        self._control, self._process = control, process
        self._first_words = b""

    @classmethod
    def start(cls, module: str, settings: bytes, environment: dict[str, str]) -> "ForkServer":
        """Start a server; it loads what it needs in the meantime, see `wait`.

        Args:
            module: run as `python -m MODULE FD PARENT`; it ends in a call of `serve`.
            settings: what it reads from its standard input.
            environment: all of its environment variables.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-s", "-P", "-m", module, str(theirs.fileno()), str(os.getpid())]
            process = subprocess.Popen(
                command,
                env=environment,
                pass_fds=[theirs.fileno()],
                cwd="/",
                stdin=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is the affair of whoever gives the orders
            )
        assert process.stdin is not None
        try:
            with process.stdin as file:
                file.write(settings)
        except BrokenPipeError:
            pass  # it has ended: `wait` says so
        return cls(control, process)

    def branch(self, order: bytes, descriptors: list[int]) -> "ForkServer":
        """A child of this server that becomes a server itself. It gets its end of a connection, and may give this one
        orders too.

        Args:
            order: what makes it a server.
            descriptors: what it gets after these two.

        Raises:
            ServerError: this server has ended.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.fork(order, [theirs.fileno(), self._control.fileno(), *descriptors])
        return ForkServer(control)

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def fileno(self) -> int:
        """What becomes readable when the server has loaded everything, or has ended."""
        return self._control.fileno()

    def wait(self, seconds: float = 300) -> bytes:
        """The server's first words, when it has loaded everything.

        Raises:
            ServerError: it has ended, or takes too long.
        """
        if not self._first_words:
            self._control.settimeout(seconds)
            try:
                self._first_words = self._control.recv(LONGEST_ORDER)
            except TimeoutError:
                raise ServerError(f"it was not ready after {seconds:g} seconds") from None
            self._control.settimeout(None)
        if not self._first_words:
            raise ServerError("it ended before it was ready")
        return self._first_words

    def fork(self, order: bytes, descriptors: list[int]) -> None:
        """Fork a child that carries the order out; it gets copies of the descriptors.

        Raises:
            ServerError: the server has ended.
        """
        try:
            socket.send_fds(self._control, [order], descriptors)
        except OSError as error:
            raise ServerError(f"it has ended ({error})") from error

    def close(self) -> None:
        """End the server and its children. A branch ends when nobody else can give it orders either."""
        self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def students_server(module: str, modules: Sequence[str], cells: Sequence[str]) -> ForkServer:
    """Start what students' processes are forked from.

    Args:
        module: `zygote`, or one that is more than that.
        modules: what the notebooks import.
        cells: what they begin with; run once beforehand, so that what it loads is there.
    """
    settings = json.dumps({"modules": list(modules), "cells": list(cells)}).encode()
    return ForkServer.start(module, settings, bubblewrap.environment(str(Path.home())))


def serve(control: socket.socket, carry_out: Callable[[bytes, list[int]], None], first_words: bytes = b"ready") -> None:
    """Fork a child for each order until nobody is left to give one. Called by a server when it has loaded everything.

    Args:
        control: the server's end of the connection.
        carry_out: what a child does: the order, and the descriptors that came with it.
        first_words: what `ForkServer.wait` returns.
    """
    linux.adopt_orphans()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once
    gc.collect()
    gc.freeze()  # the children's collector then leaves the shared pages alone
    server = os.getpid()
    control.send(first_words)
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, LONGEST_ORDER, 8)
        if not order:
            return
        if os.fork() == 0:
            try:
                linux.die_with(server)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                carry_out(order, descriptors)
                os._exit(0)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
