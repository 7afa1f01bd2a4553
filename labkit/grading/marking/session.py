"""A submission's notebook, run in a box and asked questions."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from labkit.grading.authoring import mentions
from labkit.grading.authoring.assignments import Cell
from labkit.grading.authoring.check import Raised, borrowed
from labkit.grading.authoring.values import BORROWED
from labkit.grading.marking.results import sentence
from labkit.grading.sandbox.box import Box, Boxes, Lost

RESTARTS = 4  # processes that a submission may use up
NONSENSE = "its process answered nonsense"


class Session:
    """The process of a submission. One that dies is replaced, a few times."""

    def __init__(self, boxes: Boxes, cells: list[Cell]):
        self._boxes, self._cells = boxes, cells
        self._box: Box | None = None
        self._left = RESTARTS
        self._skipped: set[int] = set()
        self._mentioned: dict[str, set[str]] = {}
        self.seconds = 0.0  # of its own time
        self.errors: dict[int, str] = {}  # how cells ended that did not end well
        self.memory = 0
        self.stopped = ""  # why no further process is started

    @cached_property
    def _bindings(self) -> mentions.Bindings:
        return mentions.bindings(cell.source for cell in self._cells)

    def names_in(self, function: str) -> set[str]:
        """What the code of a function mentions, as it stands in the notebook."""
        if function not in self._mentioned:
            self._mentioned[function] = mentions.in_sources(self._bindings, function)
        return self._mentioned[function]

    def start(self) -> None:
        """Run the notebook's cells, if they have not been run in a process that still lives."""
        while self._box is None and not self.stopped:
            if self._left == 0:
                self.stopped = "its process ended too often"
                return
            self._left -= 1
            self._box = self._boxes.start()
            for place, cell in enumerate(self._cells):
                if place not in self._skipped and not self._run(place, cell):
                    break

    def close(self) -> None:
        """End the process."""
        if self._box is not None:
            self._box.close()
            self.memory = max(self.memory, self._box.peak)
            self._box = None

    def _run(self, place: int, cell: Cell) -> bool:
        """Run one cell; False if that was the end of the process, which is then replaced by one that leaves it out."""
        try:
            ended = self._exchange({"do": "run", "cell": cell.source}, self._boxes.limits.cell)["ended"]
            if ended is not None:
                kind, message = ended
                self.errors[place] = sentence(f"{kind}: {message}")
            return True
        except (Lost, KeyError, ValueError, TypeError) as error:
            self._skipped.add(place)
            self.errors[place] = f"left out: {error if isinstance(error, Lost) else NONSENSE}"
            self.close()
            return False

    def ask(self, order: dict[str, Any]) -> Any:
        """The result of a call or a variable's value, or `Raised`."""
        self.start()
        if self._box is None:
            return Raised("Stopped", self.stopped)
        try:
            answer = self._exchange(order, self._boxes.limits.call)
            if "result" in answer:
                return answer["result"]
            kind, message = answer["raised"]
            return Raised(sentence(kind), sentence(message))
        except (Lost, KeyError, ValueError, TypeError) as error:
            self.close()
            return Raised("Stopped", str(error) if isinstance(error, Lost) else NONSENSE)

    def _exchange(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self._box is not None
        total = self._boxes.limits.total
        left = total - self.seconds
        try:
            answer, used = self._box.exchange(order, min(seconds, max(left, 0.1)))
        except Lost as error:
            self.seconds += error.seconds
            if self.seconds < total:
                raise
            self.stopped = f"took more than {total:g} seconds altogether"
            raise Lost(self.stopped) from error
        self.seconds += used
        return answer


class Student:
    """The functions and variables of a submission, as hidden checks use them.

    A function that calls what was to be written is not called: every answer of it says so.
    """

    def __init__(self, session: Session, lent: Sequence[str]):
        """
        Args:
            session: the process to ask.
            lent: modules of labkit that functions may use, beside check.LENT.
        """
        self._session, self._lent = session, lent

    def names_in(self, function: str) -> set[str]:
        """What the code of a function mentions, as it stands in the notebook."""
        return self._session.names_in(function)

    def __getattr__(self, name: str) -> Callable:
        words = borrowed(self, name, lent=self._lent)

        def call(*arguments: Any, **options: Any) -> Any:
            if words:
                return Raised(BORROWED, words)
            order = {"do": "call", "name": name, "arguments": list(arguments), "options": options}
            return self._session.ask(order)

        return call

    def value(self, name: str) -> Any:
        """The value of a variable."""
        return self._session.ask({"do": "value", "name": name})
