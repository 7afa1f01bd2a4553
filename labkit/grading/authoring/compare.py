"""Comparing an answer with the right one: None where they agree, else one sentence that says where they do not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from labkit.grading.authoring.values import Raised


@dataclass(frozen=True)
class Compared:
    """A comparison that was made, and how it ended."""

    found: Any
    expected: Any
    tolerance: float
    words: str | None


_noted: list[Compared] | None = None


@contextmanager
def noted() -> Iterator[list[Compared]]:
    """Within it the calls of `same` are noted in a list."""
    global _noted
    before, _noted = _noted, []
    try:
        yield _noted
    finally:
        _noted = before


def same(found: Any, expected: Any, tolerance: float = 1e-5, *, spare: float = 0.0) -> str | None:
    """None where the values agree, else one sentence that says where they do not.

    Args:
        found: what the student's function returned.
        expected: what it should have returned.
        tolerance: the difference that is allowed, as a fraction of the largest expected number.
        spare: the fraction of an array's numbers that may differ all the same, where rounding decides about a sign.
    """
    words = _same(found, expected, tolerance, spare)
    if _noted is not None:
        _noted.append(Compared(found, expected, tolerance, words))
    return words


def finite(found: Any, shape: tuple[int, ...]) -> str | None:
    """None where these are finite real numbers in an array or a tensor of this shape, else a sentence.

    For parts that ask for a property of an answer instead of comparing it with the reference's.
    """
    if isinstance(found, Raised):
        return found.words
    words = _same_numbers(found, np.zeros(shape), np.inf, 0)
    if words is None and not np.isfinite(np.asarray(found, dtype=float)).all():
        return "it holds nan or inf"
    return words


def images(found: Any, shape: tuple[int, ...]) -> str | None:
    """None where these are images (a tensor, its pixels in [0, 1]) of this shape, else a sentence."""
    if finite(found, shape) is None and not isinstance(found, Tensor):
        return f"a {type(found).__name__}, not a tensor"
    return finite(found, shape) or (None if found.min() >= 0 and found.max() <= 1 else "a pixel lies outside [0, 1]")


def raised(found: Any, kind: str = "ValueError") -> str | None:
    """None where the call raised that exception, else a sentence."""
    if not isinstance(found, Raised):
        return f"it should raise a {kind}, and returned {show(found)}"
    return None if found.kind == kind else f"it should raise a {kind}, and stops with {found}"


def _same(found: Any, expected: Any, tolerance: float, spare: float) -> str | None:
    if isinstance(found, Raised):
        return found.words
    if found is None and expected is not None:
        return "nothing came back: does it end with a return?"
    if isinstance(found, list | tuple) and _numeric(expected):
        for item in found:  # the answers to several calls
            if isinstance(item, Raised):
                return item.words
            if item is None:
                return "None in the place of numbers: does it end with a return?"
    if isinstance(expected, dict):
        return _same_dicts(found, expected, tolerance, spare)
    if isinstance(expected, list | tuple) and not _numeric(expected):
        return _same_lists(found, expected, tolerance, spare)
    if expected is None or isinstance(expected, str):
        return None if type(found) is type(expected) and found == expected else f"{show(found)}, not {show(expected)}"
    return _same_numbers(found, expected, tolerance, spare)


def _same_dicts(found: Any, expected: dict, tolerance: float, spare: float) -> str | None:
    if not isinstance(found, dict):
        return f"{show(found)}, not a dict"
    if found.keys() != expected.keys():
        return f"the keys are {show(list(found))}, expected {show(list(expected))}"
    parts = ((key, _same(found[key], expected[key], tolerance, spare)) for key in expected)
    return next((f"at {key!r}: {words}" for key, words in parts if words), None)


def _same_lists(found: Any, expected: list | tuple, tolerance: float, spare: float) -> str | None:
    if not isinstance(found, list | tuple):
        return f"{show(found)}, not a {type(expected).__name__}"
    if len(found) != len(expected):
        return f"{len(found)} thing{'s' * (len(found) != 1)} came back, expected {len(expected)}"
    pairs = enumerate(zip(found, expected, strict=True), start=1)
    parts = ((place, _same(mine, right, tolerance, spare)) for place, (mine, right) in pairs)
    return next((f"number {place}: {words}" for place, words in parts if words), None)


def _same_numbers(found: Any, expected: Any, tolerance: float, spare: float) -> str | None:
    expected = np.asarray(expected)
    try:
        found = np.asarray(found)
    except ValueError:  # rows of different lengths
        return f"{show(found)} is not an array"
    if found.dtype.kind not in "biufc":
        return f"{show(found)}, not numbers"
    if found.shape != expected.shape:
        return f"the shape is {_shape(found)}, expected {_shape(expected)}"
    fitting = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "c": "iufc"}[expected.dtype.kind]
    if found.dtype.kind not in fitting:
        wanted = {"b": "True and False", "i": "whole numbers", "u": "whole numbers"}.get(expected.dtype.kind, "numbers")
        return f"{show(found)} is of kind {found.dtype}, expected {wanted} ({expected.dtype})"
    if expected.size == 0:
        return None
    finite = np.isfinite(expected)
    allowed = tolerance * (np.abs(expected[finite]).max(initial=0) or 1) if expected.dtype.kind in "fc" else 0
    with np.errstate(invalid="ignore", over="ignore"):
        wide = [array.astype(complex if array.dtype.kind == "c" else float) for array in (found, expected)]
        wrong = ~np.where(
            finite,
            np.abs(wide[0] - wide[1]) <= allowed,
            (found == expected) | (found != found) & (expected != expected),
        )
    if expected.dtype.kind in "biu":
        wrong = found != expected
    if wrong.mean() <= spare:
        return None
    place = tuple(int(index) for index in np.argwhere(wrong)[0])
    where = f"at {list(place)}: " if place else ""
    if np.isnan(found[place]):
        return f"{where}nan (not a number), expected {_number(expected[place])}"
    return f"{where}{_number(found[place], expected[place])}, expected {_number(expected[place], found[place])}"


def _numeric(values: Any) -> bool:
    """A list of numbers, or of lists of numbers, that is one array."""
    try:
        return np.asarray(values).dtype.kind in "biufc" and not any(isinstance(v, Tensor | np.ndarray) for v in values)
    except (ValueError, TypeError):
        return False


def _number(value: Any, other: Any = None) -> str:
    short = f"{value:.6g}" if value.dtype.kind in "fc" else str(value)
    return repr(value.item()) if other is not None and short == f"{other:.6g}" else short


def _shape(array: np.ndarray) -> str:
    return str(array.shape) if array.ndim else "that of a single number"


def show(value: Any) -> str:
    text = " ".join(str(value.tolist() if isinstance(value, np.ndarray | Tensor) else repr(value)).split())
    return text if len(text) <= 80 else text[:77] + "..."
