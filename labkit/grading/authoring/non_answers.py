"""Answers that answer nothing: what a hidden check is tried on, so that only a solution earns its points.

`attempts` makes them for any task by itself. It watches which functions and variables a hidden check asks for, and
builds from the type and the shape of the solution's own answers what somebody could return without having read the
question: constants, nan, the input, its negative, zeros, random numbers, digits that labkit ships, the answer to the
call before. A part of a check that one of them passes should be `check.easy`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice, product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labkit import data
from labkit.grading.authoring import check

COMBINED = 12  # kinds of leaf that are combined with each other where an answer has several parts
WHOLE = {
    "nothing": None,
    "0": 0,
    "0.0": 0.0,
    "-0.0": -0.0,
    "1": 1,
    "-1": -1,
    "0.5": 0.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "a huge number": 1e300,
    "a subnormal number": 5e-324,
    "a complex number": 1 + 1j,
    "True": True,
    "False": False,
    "no text": "",
    "an empty list": [],
    "an empty tuple": (),
    "an empty dict": {},
    "a list of 0.0": [0.0],
    "None and a list of 0.0": (None, [0.0]),
    "an empty tensor": torch.zeros(0),
    "ValueError": check.Raised("ValueError", "no"),
    "NotImplementedError": check.Raised("NotImplementedError", ""),
    "NameError": check.Raised("NameError", "there is no such function"),
}


@dataclass
class Question:
    """One call of a student's function, and what the solution answers."""

    expected: Any
    arguments: tuple
    previous: Any  # the solution's answer to the call before, None at the first
    rng: np.random.Generator


Leaf = Callable[[np.ndarray, Question], np.ndarray]
Attempt = Callable[[Question], Any]


def _constant(value: complex) -> Leaf:
    return lambda array, question: np.full(array.shape, value)


def _input(change: Callable[[np.ndarray], np.ndarray]) -> Leaf:
    """The first argument with as many numbers as are wanted, else as many of the first array's as there are."""

    def leaf(array: np.ndarray, question: Question) -> np.ndarray:
        arrays = [np.asarray(each) for each in question.arguments if isinstance(each, Tensor | np.ndarray)]
        arrays = sorted((each for each in arrays if each.size), key=lambda each: each.shape != array.shape)
        if not arrays:
            return np.zeros(array.shape)
        return change(np.resize(arrays[0], array.shape).astype(float))

    return leaf


def _wanted_digits(array: np.ndarray, question: Question) -> np.ndarray:
    """Real digits of the classes that the arguments name."""
    arrays = [np.asarray(each) for each in question.arguments if isinstance(each, Tensor | np.ndarray | int)]
    whole = [each.ravel() for each in arrays if each.dtype.kind in "iu"]
    labels = np.resize(whole[0] if whole else [3], len(array) if array.ndim else 1)
    return (
        np.stack([_digits(int(label) % 10)(array[:1], question)[0] for label in labels])
        if array.ndim == 4
        else array * 0
    )


def _digits(label: int) -> Leaf:
    """Real digits of a class, where images of their size are wanted."""

    def leaf(array: np.ndarray, question: Question) -> np.ndarray:
        if array.shape[-2:] != (28, 28):
            return np.full(array.shape, label)
        return np.resize(_shipped(label), array.shape)

    return leaf


@cache
def _shipped(label: int) -> np.ndarray:
    images, labels = data.examples("mnist", 100)
    return images[labels == label].numpy()


LEAVES: dict[str, Leaf] = {
    "zeros": _constant(0.0),
    "ones": _constant(1.0),
    "the input": _input(lambda array: array),
    "real digits of the classes": _wanted_digits,
    "random numbers": lambda array, question: question.rng.random(array.shape),
    "halves": _constant(0.5),
    "nan": _constant(float("nan")),
    "the input's negative": _input(lambda array: -array),
    "whole numbers": lambda array, question: question.rng.integers(0, 10, array.shape),
    "normal numbers": lambda array, question: question.rng.standard_normal(array.shape),
    "counting": lambda array, question: np.arange(array.size).reshape(array.shape),
    "minus ones": _constant(-1.0),
    "huge numbers": _constant(-1e300),
    "minus zeros": _constant(-0.0),
    "inf": _constant(float("inf")),
    "subnormal numbers": _constant(5e-324),
    "complex numbers": _constant(1j),
    "one minus the input": _input(lambda array: 1 - array),
    "the input, reversed": _input(lambda array: np.flip(array)),
    "the input's signs": _input(np.sign),
    "coins": lambda array, question: question.rng.integers(0, 2, array.shape),
    "logarithms": _constant(float(np.log(4))),
} | {f"real digits, {label}": _digits(label) for label in range(10)}


def attempts(expected: Any) -> dict[str, Attempt]:
    """What to try where the solution answers like this; each makes an answer of a `Question`.

    Args:
        expected: one answer of the solution.
    """
    found: dict[str, Attempt] = {name: partial(_same_for_all, value) for name, value in WHOLE.items()}
    found["the answer before"] = lambda question: question.previous
    for place in range(4):
        found[f"argument {place}"] = partial(_argument, place)
    found |= {f"{name} of the right shape": partial(_filled, (leaf,), False) for name, leaf in LEAVES.items()}
    found |= {f"{name}, of the right type too": partial(_filled, (leaf,), True) for name, leaf in LEAVES.items()}
    if isinstance(expected, tuple | list | dict) and 1 < len(expected) <= 4:
        names = list(LEAVES) if len(expected) == 2 else list(LEAVES)[: COMBINED // 2]
        for pair in islice(product(names, names[:COMBINED], *[names[:3]] * (len(expected) - 2)), 250):
            leaves = tuple(LEAVES[name] for name in pair)
            found[" and ".join(pair)] = partial(_filled, leaves, True)
    return found


class Blind:
    """A student who answers every question with one attempt, and the functions of a solution behind it."""

    def __init__(self, solution: check.Here, attempt: Attempt, seed: int):
        self._solution, self._attempt = solution, attempt
        self._rng = np.random.default_rng(seed)
        self._previous: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable:
        def call(*arguments: Any, **options: Any):
            return self._answer(name, getattr(self._solution, name)(*arguments, **options), arguments)

        return call

    def value(self, name: str):
        return self._answer(name, self._solution.value(name), ())

    def names_in(self, function: str) -> set[str]:
        return set()

    def _answer(self, name: str, expected: Any, arguments: tuple):
        question = Question(expected, arguments, self._previous.get(name), self._rng)
        self._previous[name] = expected
        return check.portable(self._attempt(question))


def earned(
    hidden: Callable, solution: check.Here, *, seed: int, others: Iterable[str] = ()
) -> Iterator[tuple[str, float, list[str]]]:
    """Try everything on one hidden check.

    Args:
        hidden: the check, as `check.collecting` hands it over.
        solution: the functions of the solved notebook; they are asked often, so `solution.Reference` saves time.
        seed: of the inputs.
        others: functions of other tasks, whose answers are tried too.

    Yields:
        What was tried, the fraction of the task's points that it earns, and the parts that it passes.
    """
    seen: list[Any] = []
    watch = Blind(solution, lambda question: seen.append(question.expected) or question.expected, seed)
    list(check.parts(hidden, watch, solution, seed))
    tried: dict[str, Attempt] = {}
    for expected in seen:
        tried = attempts(expected) | tried
    for name in others:
        tried[f"what {name} answers"] = partial(_other, solution, name)
    for name, attempt in tried.items():
        found = list(check.parts(hidden, Blind(solution, attempt, seed), solution, seed))
        yield name, check.fraction(found), [part.what for part in found if part.words is None]


def _same_for_all(value: Any, question: Question):
    return value


def _argument(place: int, question: Question):
    return question.arguments[place] if place < len(question.arguments) else None


def _other(solution: check.Here, name: str, question: Question):
    return getattr(solution, name)(*question.arguments)


def _filled(leaves: tuple[Leaf, ...], typed: bool, question: Question):
    """The expected answer with other numbers in it."""
    expected = question.expected
    several = isinstance(expected, tuple | list) and len(expected) == len(leaves)
    if several and len(leaves) > 1:
        return type(expected)(_fill(each, leaf, typed, question) for each, leaf in zip(expected, leaves, strict=True))
    return _fill(expected, next(iter(leaves)), typed, question)


def _fill(expected: Any, leaf: Leaf, typed: bool, question: Question):
    if isinstance(expected, dict):
        return {key: _fill(value, leaf, typed, question) for key, value in expected.items()}
    if isinstance(expected, tuple | list):
        return type(expected)(_fill(value, leaf, typed, question) for value in expected)
    if isinstance(expected, str) or expected is None or isinstance(expected, check.Raised):
        return "" if isinstance(expected, str) else None
    array = np.asarray(expected)
    with np.errstate(all="ignore"):
        made = np.asarray(leaf(array, question))
        if typed and not (made.dtype.kind == "c" and array.dtype.kind != "c"):
            whole = np.nan_to_num(made).clip(-9e15, 9e15) if array.dtype.kind in "iu" else made
            made = whole.astype(array.dtype)
    if isinstance(expected, Tensor):
        return torch.from_numpy(made.reshape(array.shape).copy())
    return made if isinstance(expected, np.ndarray) else made.item()


def asked(hidden: Callable, solution: check.Here, *, seed: int = 0) -> list[str]:
    """The functions and variables that a hidden check asks of a student, in their order."""
    names: dict[str, None] = {}

    class Watched:
        def __getattr__(self, name: str) -> Callable:
            names[name] = None
            return getattr(solution, name)

        def value(self, name: str):
            names[name] = None
            return solution.value(name)

        def names_in(self, function: str) -> set[str]:
            return solution.names_in(function)

    list(check.parts(hidden, Watched(), solution, seed))
    return list(names)
