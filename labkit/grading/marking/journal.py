"""What was asked and answered while a task was marked: what a student can try again, and an instructor look up."""

import base64
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from labkit.grading.authoring import check, code, compare
from labkit.grading.authoring.values import Raised
from labkit.grading.sandbox import transport

LARGEST = 2**20  # bytes of a task's answers that are kept


@dataclass(frozen=True, eq=False)
class Call:
    """One question to a student's process. That for a variable's value is a call of `value`."""

    name: str
    arguments: tuple
    options: dict

    def __str__(self) -> str:
        """Python that asks it again."""
        return self.arguments[0] if self.name == "value" else code.call(self.name, self.arguments, self.options)


class Kept:
    """What a student's functions answered in one task, as text that is written into the record."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._room = LARGEST

    def add(self, answer: Any) -> None:
        """Keep an answer if it is not too large; else say so in its place."""
        size = _size(answer)
        if size > self._room:
            answer = Raised("TooLarge", f"an answer of {size:,} bytes, which is not kept")
        item = {"raised": [answer.kind, answer.message]} if isinstance(answer, Raised) else {"answer": answer}
        piece = base64.b64encode(zlib.compress(transport.encode(item), 1)).decode()
        self._room -= len(piece)
        self._pieces.append(piece)

    def text(self) -> str:
        return " ".join(self._pieces)


def answers(text: str) -> list:
    """What `Kept.text` gave, as values again.

    Raises:
        TransportError: it cannot be read.
    """
    found = []
    for piece in text.split():
        try:
            item = transport.decode(zlib.decompress(base64.b64decode(piece)))
            found.append(Raised(*item["raised"]) if "raised" in item else item["answer"])
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            raise transport.TransportError("no record that can be read") from error
    return found


def _size(value: Any) -> int:
    """About how many bytes a value takes when it is sent."""
    if isinstance(value, Tensor | np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return 8 + sum(map(_size, value))
    return len(value) if isinstance(value, str) else 8


class Watched:
    """A student whose calls are noted, and whose answers are kept."""

    def __init__(self, student: Any):
        self._student = student
        self.kept = Kept()
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Callable:
        return lambda *arguments, **options: self._noted(Call(name, arguments, options), getattr(self._student, name))

    def value(self, name: str) -> Any:
        """The value of a variable."""
        return self._noted(Call("value", (name,), {}), self._student.value)

    def _noted(self, call: Call, ask: Callable) -> Any:
        answer = ask(*call.arguments, **call.options)
        self.calls.append(call)
        self.kept.add(answer)
        return answer


class Replayed:
    """A student who gives recorded answers, in their order."""

    def __init__(self, answers: list):
        self._answers = iter(answers)

    def __getattr__(self, name: str) -> Callable:
        return lambda *arguments, **options: self.value(name)

    def value(self, name: str):
        return next(self._answers, Raised("Stopped", "no more answers were recorded"))


@dataclass(frozen=True)
class Tried:
    """One part of a task, with the calls it was made of and the comparison that decided."""

    what: str
    words: str | None
    easy: bool
    calls: tuple[Call, ...]
    compared: compare.Compared | None

    @property
    def deciding(self) -> tuple[Call, ...]:
        """The calls that a wrong part is about: of a list of answers the first wrong one's, else all."""
        pair = self.compared
        if (
            pair is None
            or not isinstance(pair.found, list)
            or len(pair.found) != len(self.calls)
            or len(self.calls) < 2
        ):
            return self.calls
        both = zip(self.calls, pair.found, pair.expected, strict=False)
        wrong = [call for call, found, expected in both if compare.same(found, expected, pair.tolerance)]
        return tuple(wrong[:1]) or self.calls


def tried(parts: Iterator[check.Part], watched: Watched) -> Iterator[Tried]:
    """The parts of a hidden check with their calls.

    Args:
        parts: of the check on this student.
        watched: the student.
    """
    seen = 0
    last: tuple[Call, ...] = ()
    while True:
        with compare.noted() as comparisons:
            part = next(parts, None)
        if part is None:
            return
        last = tuple(watched.calls[seen:]) or last  # several parts may look at one answer
        seen = len(watched.calls)
        decided = [each for each in comparisons if each.words] or comparisons
        yield Tried(part.what, part.words, part.easy, last, decided[-1] if decided else None)
