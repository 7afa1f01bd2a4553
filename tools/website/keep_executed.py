"""A pytest plugin: with --keep-executed=CACHE, what nbval has executed without a failure goes into that cache.

So a chapter is executed once, for its validation and for its page. nbclient makes notebooks of the kernel's messages,
as it does when the book executes a chapter itself: outputs, what was cleared again, and the state of widgets.
"""

import copy
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbval.plugin import IPyNbCell, IPyNbFile

from tools.website.execution import keep


class KeptNotebook(IPyNbFile):
    """A notebook under nbval whose kernel's messages are also made into an executed notebook."""

    def setup(self) -> None:
        super().setup()
        self.started = time.monotonic()
        self.sound = True
        self.client = NotebookClient(copy.deepcopy(self.nb), record_timing=False)
        self.client.reset_execution_trackers()
        self.waiting = [place for place, cell in enumerate(self.nb.cells) if cell.cell_type == "code"]
        self.request, self.place = "", 0  # of the cell that is being executed

    def get_kernel_message(self, timeout: float | None = None, stream: str = "iopub") -> dict[str, Any]:
        """The next message, once what it says about a cell is written into the executed notebook."""
        message = super().get_kernel_message(timeout=timeout, stream=stream)
        request = message["parent_header"].get("msg_id")
        if message["msg_type"] == "execute_input":
            self.request, self.place = request, self.waiting.pop(0)
            self.client.clear_before_next_output = False
        if request == self.request:
            with suppress(CellExecutionComplete):
                self.client.process_message(message, self.client.nb.cells[self.place], self.place)
        return message

    def teardown(self) -> None:
        super().teardown()
        if self.sound and not self.waiting:
            self.client.set_widgets_metadata()
            seconds = time.monotonic() - self.started
            keep(self.client.nb, self.path, cache=self.config.option.keep_executed, seconds=seconds)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-executed", type=Path, metavar="CACHE", help="folder of the cache of executed notebooks")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Iterator[None]:
    """Take the place of nbval's collector."""
    collectors = yield
    if parent.config.option.keep_executed is None:
        return collectors
    kept = KeptNotebook.from_parent
    return [kept(parent, path=file_path) if isinstance(each, IPyNbFile) else each for each in collectors]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Remember a failure: such a notebook is not kept."""
    report = yield
    if isinstance(item, IPyNbCell) and isinstance(item.parent, KeptNotebook) and not report.passed:
        item.parent.sound = False
    return report
