"""What was asked and answered while a task was marked: what a student can try again, and an instructor look up."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from labkit.grading.authoring import code, compare
from labkit.grading.authoring.values import Raised
from labkit.grading.sandbox import transport

LARGEST = 4 * 2**20  # bytes of a submission's answers that are kept


@dataclass(frozen=True, eq=False)
class Call:
    """One question to a student's process. That for a variable's value is a call of `value`."""

    name: str
    arguments: tuple
    options: dict

    def __str__(self) -> str:
        """Python that asks it again."""
        return self.arguments[0] if self.name == "value" else code.call(self.name, self.arguments, self.options)


class Watched:
    """A student whose calls are noted."""

    def __init__(self, student: Any, answers: list | None = None):
        self._student, self._answers = student, [] if answers is None else answers
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Callable:
        return lambda *arguments, **options: self._noted(Call(name, arguments, options), getattr(self._student, name))

    def value(self, name: str):
        return self._noted(Call("value", (name,), {}), self._student.value)

    def _noted(self, call: Call, ask: Callable):
        answer = ask(*call.arguments, **call.options)
        self.calls.append(call)
        self._answers.append(answer)
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


def tried(parts: Callable[[Any], Iterator], student: Any, answers: list | None = None) -> Iterator[Tried]:
    """The parts of a hidden check with their calls.

    Args:
        parts: starts the check on a student.
        student: whose functions are called.
        answers: a list to which everything that came back is added, whatever happens.
    """
    watched, seen = Watched(student, answers), 0
    last: tuple[Call, ...] = ()
    running = parts(watched)
    while True:
        with compare.noted() as comparisons:
            part = next(running, None)
        if part is None:
            return
        last = tuple(watched.calls[seen:]) or last  # several parts may look at one answer
        seen = len(watched.calls)
        decided = [each for each in comparisons if each.words] or comparisons
        yield Tried(part.what, part.words, part.easy, last, decided[-1] if decided else None)


def packed(answers: dict[str, list]) -> bytes:
    """Answers of each task as bytes; what is larger than may be kept becomes a `Raised` that says so."""
    room, kept = LARGEST, {}
    for task, values in answers.items():
        kept[task] = []
        for value in values:
            item = {"raised": [value.kind, value.message]} if isinstance(value, Raised) else {"answer": value}
            size = len(transport.encode(item))
            if size > room:
                item = {"raised": ["TooLarge", f"an answer of {size:,} bytes, which is not kept"]}
            room -= size if size <= room else 0
            kept[task].append(item)
    return zlib.compress(transport.encode(kept))


def unpacked(content: bytes) -> dict[str, list]:
    """The answers again.

    Raises:
        TransportError: they cannot be read.
    """
    try:
        kept = transport.decode(zlib.decompress(content))
        return {
            task: [Raised(*item["raised"]) if "raised" in item else item["answer"] for item in items]
            for task, items in kept.items()
        }
    except (zlib.error, AttributeError, KeyError, TypeError) as error:
        raise transport.TransportError("no record that can be read") from error
