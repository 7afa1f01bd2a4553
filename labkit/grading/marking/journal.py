"""What was asked, answered and expected while a task was marked: what a student can try again, and an instructor see.

Everything is text, and short, so that it can be kept in the record of a mark: small arrays number by number, large ones
by their kind, shape, range and digest.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from labkit.grading.authoring import check, code, compare
from labkit.grading.authoring.values import Raised
from labkit.grading.marking.results import Part, sentence

MOST_CODE = 2**18  # characters of a task's calls that are kept
LONGEST_VALUE = 1000  # characters of an answer, or of what was expected


@dataclass(frozen=True, eq=False)
class Call:
    """One question to a student's process, and its answer. That for a variable's value is a call of `value`."""

    name: str
    arguments: tuple
    options: dict
    answer: str  # in words

    def __str__(self) -> str:
        """Python that asks it again."""
        return self.arguments[0] if self.name == "value" else code.call(self.name, self.arguments, self.options)


class Watched:
    """A student whose calls are noted."""

    def __init__(self, student: Any):
        self._student = student
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Callable:
        return lambda *arguments, **options: self._noted(name, getattr(self._student, name), arguments, options)

    def value(self, name: str) -> Any:
        """The value of a variable."""
        return self._noted("value", self._student.value, (name,), {})

    def names_in(self, function: str) -> set[str]:
        """What the code of a function mentions."""
        return self._student.names_in(function)

    def _noted(self, name: str, ask: Callable, arguments: tuple, options: dict) -> Any:
        answer = ask(*arguments, **options)
        self.calls.append(Call(name, arguments, options, in_words(answer)))
        return answer


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

    def as_part(self, room: int) -> Part:
        """What is kept of it.

        Args:
            room: characters that are left for its calls. Where they need more, their names are kept.
        """
        calls = self.deciding
        source = "\n\n".join(map(str, calls))
        if len(source) > room:
            source = "\n".join(f"# {sentence(call.name)}" for call in calls)[:room]
        words = None if self.words is None else sentence(self.words)
        pair = self.compared
        if pair is None:
            answer = "; ".join(call.answer for call in calls)[:LONGEST_VALUE]
            return Part(self.what, words, self.easy, source, answer)
        found, expected = in_words(pair.found), in_words(pair.expected)
        return Part(self.what, words, self.easy, source, found, expected, pair.tolerance)


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


def in_words(value: Any) -> str:
    """A value as Python writes it where that is short, else what can be said about it in one line."""
    return sentence(_in_words(value, LONGEST_VALUE), LONGEST_VALUE)


def _in_words(value: Any, room: int) -> str:
    """As `in_words`; may be longer than there is room for, but only by one item."""
    if isinstance(value, Raised):
        return f"stops with {value}"
    if isinstance(value, Tensor | np.ndarray):
        array = value.numpy() if isinstance(value, Tensor) else value
        return code.expression(value) if 0 < array.size <= code.SHORT else _summary(value, array)
    if isinstance(value, list | tuple | dict):
        items, used = [], 0
        for item in value.items() if isinstance(value, dict) else value:
            if used > room:
                items.append(f"... ({len(value)} in all)")
                break
            items.append(
                f"{_in_words(item[0], room - used)}: {_in_words(item[1], room - used)}"
                if isinstance(value, dict)
                else _in_words(item, room - used)
            )
            used += len(items[-1])
        left, right = {list: "[]", tuple: ("(", ",)" if len(value) == 1 else ")"), dict: "{}"}[type(value)]
        return f"{left}{', '.join(items)}{right}"
    if isinstance(value, np.generic):
        return str(value)
    return repr(value[:room] if isinstance(value, str) else value)


def _summary(value: Tensor | np.ndarray, array: np.ndarray) -> str:
    kind = "tensor" if isinstance(value, Tensor) else "array"
    shape = " x ".join(map(str, array.shape)) or "single"
    words = f"{array.dtype} {kind} of shape {shape}"
    if array.size and array.dtype.kind in "biuf":
        with np.errstate(all="ignore"):
            low, high, mean = float(array.min()), float(array.max()), array.mean(dtype=float)
        words += f", from {low:.6g} to {high:.6g}, mean {mean:.6g}"
    return f"{words}, SHA-256 {hashlib.sha256(array.tobytes()).hexdigest()}"
