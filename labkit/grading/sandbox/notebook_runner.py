"""The student's process: it runs the cells of one notebook and then calls their functions when asked.

The cells run in an IPython shell, so that magics, `!commands`, top-level await and `_` work, and an error in a cell
stops that cell only. What is not there, against a Jupyter kernel: nobody answers `input()`, nothing is displayed, and
widgets have no front end.

Everything here is in the hands of the student's code; whoever listens must believe nothing but the size of what comes.
"""

import logging
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from labkit.grading.sandbox import transport
from labkit.grading.sandbox.shell import new_shell

LONGEST = 300  # characters of an error message


def serve(channel: socket.socket) -> None:
    """Answer until the other side hangs up."""
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    torch.set_num_threads = lambda number: None  # type: ignore[assignment]  # one each: processors are shared
    sys.path.insert(0, "")  # the notebook's folder comes first, as in Jupyter
    shell = new_shell()
    sys.modules["__main__"] = shell.user_module
    run = shell.run_cell  # as it is before anything has run
    transport.send(channel, {"ready": True})
    while True:
        order = transport.receive(channel, tokens=True)
        with until_time_is_up(order["seconds"]):
            answer = run_cell(run, order["cell"]) if order["do"] == "run" else ask(shell.user_ns, order)
        try:
            transport.send(channel, answer)
        except transport.TransportError:
            raise
        except BaseException as error:  # it cannot be sent: a figure, a liar, more than there is memory for
            transport.send(channel, {"raised": ["TypeError", short(error)]})


@contextmanager
def until_time_is_up(seconds: float) -> Iterator[None]:
    """The marking process measures the time and sends SIGALRM. Code may ignore that: then its process is ended."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took longer than {seconds:g} seconds")

    signal.signal(signal.SIGALRM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def run_cell(run: Callable, source: str) -> dict[str, Any]:
    """Run one cell, and say how it ended: None, or the error's name and words."""
    with warnings.catch_warnings():
        try:
            outcome = run(source, store_history=False)
            error = outcome.error_before_exec or outcome.error_in_exec
        except BaseException as escaped:
            error = escaped
    return {"ended": None if error is None else [type(error).__name__, short(error)]}


def ask(names: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    """What a function returns, a variable is, or raises."""
    try:
        name = order["name"]
        if order["do"] == "value":
            if name not in names:
                raise NameError(f"{name} is not defined")
            return {"result": names[name]}
        if not callable(names.get(name)):
            raise NameError(f"there is no function {name}")
        return {"result": names[name](*order["arguments"], **order["options"])}
    except BaseException as error:
        return {"raised": [type(error).__name__, short(error)]}


def short(error: BaseException) -> str:
    """The words of an error, whatever its `__str__` does."""
    try:
        return str(error)[:LONGEST]
    except BaseException:
        return ""
