"""The IPython shell that notebooks run in: the students' in their boxes, the solution in the marking process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


class Shell(InteractiveShell):
    """A shell that keeps no history, writes no files, and shows nothing, so that no picture is drawn for nobody."""

    def init_ipython_dir(self, ipython_dir: str) -> None:
        pass

    def init_profile_dir(self, profile_dir: object = None) -> None:
        pass

    def init_io(self) -> None:
        pass

    def init_virtualenv(self) -> None:
        pass

    def showtraceback(self, *arguments: Any, **options: Any) -> None:
        pass

    def showsyntaxerror(self, *arguments: Any, **options: Any) -> None:
        pass

    def enable_gui(self, gui: str | None = None) -> None:
        pass

    def _tee(self, channel: str) -> Any:  # IPython 9 would keep a copy of what is printed
        return nullcontext()


def new_shell() -> Shell:
    """A shell of its own, with an empty namespace."""
    settings = Config()
    settings.HistoryManager.enabled = False
    settings.HistoryManager.hist_file = ":memory:"
    settings.InteractiveShell.colors = "nocolor"
    settings.InteractiveShell.cache_size = 0
    shell = Shell(config=settings)
    parts: Any = shell  # traitlets hide the kinds of what they hold
    parts.display_formatter.format = lambda *arguments, **options: ({}, {})
    parts.display_pub.publish = lambda *arguments, **options: None
    return shell


def run_cell(shell: InteractiveShell, source: str) -> BaseException | None:
    """Run a cell; how it ended: None, or the error."""
    outcome = shell.run_cell(source, store_history=False)
    return outcome.error_before_exec or outcome.error_in_exec


@contextmanager
def nothing_printed() -> Iterator[None]:
    """Whatever is written to standard output and error within, by programs too, goes nowhere."""
    kept = [(stream, os.dup(stream)) for stream in (1, 2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream, _ in kept:
            os.dup2(nothing, stream)
        yield
    finally:
        os.close(nothing)
        for stream, copy in kept:
            os.dup2(copy, stream)
            os.close(copy)
