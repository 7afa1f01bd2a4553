"""The student's process: it runs the cells of one notebook and then calls their functions when asked.

The cells run in an IPython shell, so that magics, `!commands`, top-level await and `_` work, and an error in a cell
stops that cell only. What is not there, against a Jupyter kernel: nobody answers `input()`, nothing is displayed (so
that no picture is drawn for nobody), and widgets have no front end.

Everything here is in the hands of the student's code; whoever listens must believe nothing but the size of what comes.
"""

import logging
import os
import signal
import socket
import sys
import warnings
from contextlib import contextmanager, nullcontext

from labkit.grading.sandbox import transport

LONGEST = 300  # characters of an error message


def serve(channel: socket.socket) -> None:
    """Answer until the other side hangs up."""
    logging.disable(logging.CRITICAL)
    sys.modules["torch"].set_num_threads = lambda number: None  # one each: the processors are shared
    sys.path.insert(0, "")  # the notebook's folder comes first, as in Jupyter
    shell = new_shell()
    sys.modules["__main__"] = shell.user_module
    run = shell.run_cell  # as it is before anything has run
    transport.send(channel, {"ready": True})
    while True:
        order = transport.receive(channel, tokens=True)
        match order["do"]:
            case "run":
                run_cell(run, order["cell"], order["seconds"], channel)
            case "call":
                reply(
                    channel,
                    lambda order=order: call(shell.user_ns, order["name"], order["arguments"], order["options"]),
                )
            case "value":
                reply(channel, lambda order=order: value(shell.user_ns, order["name"]))


def new_shell():
    """An IPython shell that keeps no history, and shows nothing."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def init_io(self):
            pass

        def init_virtualenv(self):
            pass

        def showtraceback(self, *arguments, **options):
            pass

        def showsyntaxerror(self, *arguments, **options):
            pass

        def enable_gui(self, gui=None):
            pass

        def _tee(self, channel):  # IPython 9 would keep a copy of everything that is printed
            return nullcontext()

    os.environ.setdefault("IPYTHONDIR", os.path.join(os.environ.get("TMPDIR", "/tmp"), "ipython"))
    settings = Config()
    settings.HistoryManager.enabled = False
    settings.InteractiveShell.colors = "nocolor"
    settings.InteractiveShell.cache_size = 0
    shell = Shell(config=settings)
    shell.display_formatter.format = lambda *arguments, **options: ({}, {})
    shell.display_pub.publish = lambda *arguments, **options: None
    return shell


def run_cell(run, source: str, seconds: float, channel: socket.socket) -> None:
    """Run one cell for so long at most, and say how it ended: nothing, or the error."""
    with at_most(seconds), warnings.catch_warnings():
        try:
            result = run(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as escaped:
            error = escaped
    found = None if error is None else [type(error).__name__, short(error)]
    transport.send(channel, {"ended": found})


@contextmanager
def at_most(seconds: float):
    """Raise a TimeoutError in what runs too long. Code may catch it; then the marking process ends the process."""

    def stop(*_):
        raise TimeoutError(f"stopped after {seconds:g} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def reply(channel: socket.socket, work) -> None:
    try:
        answer = {"result": work()}
    except BaseException as error:
        answer = {"raised": [type(error).__name__, short(error)]}
    try:
        transport.send(channel, answer)
    except transport.TransportError:
        raise
    except BaseException as error:  # it cannot be sent: a figure, a liar, more than there is memory for
        transport.send(channel, {"raised": ["TypeError", short(error)]})


def call(names: dict, name: str, arguments: list, options: dict):
    if not callable(names.get(name)):
        raise NameError(f"there is no function {name}")
    return names[name](*arguments, **options)


def value(names: dict, name: str):
    if name not in names:
        raise NameError(f"{name} is not defined")
    return names[name]


def short(error: BaseException) -> str:
    try:
        return str(error)[:LONGEST]
    except BaseException:
        return ""
