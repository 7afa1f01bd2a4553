"""What the checks of an assignment are written with: by its author, in the notebook, and by the marking process.

The test cell of a task ends in a hidden part, which students never see and their process never holds::

    ### BEGIN HIDDEN TESTS
    def hidden(student: Any, reference: Any, rng):
        image, kernel = rng.random((9, 7)), rng.standard_normal((3, 3))
        yield "a 9 x 7 image", check.same(student.convolve2d(image, kernel), reference.convolve2d(image, kernel))

    check.here(hidden, globals())
    ### END HIDDEN TESTS

`student` and `reference` offer the functions of the submitted and of the solved notebook; `student.value("name")` is a
plain variable. Each `yield` is one part of the task: what was tried, and None if it is right, else a sentence. What is
tried has the same words whatever the seed. A part that an answer without thought gets right too is `check.easy`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from labkit.grading.authoring import mentions, messages
from labkit.grading.authoring.code import unpacked as unpacked
from labkit.grading.authoring.compare import finite as finite
from labkit.grading.authoring.compare import images as images
from labkit.grading.authoring.compare import raised as raised
from labkit.grading.authoring.compare import same as same
from labkit.grading.authoring.compare import show
from labkit.grading.authoring.messages import CheckFailed as CheckFailed
from labkit.grading.authoring.values import Raised as Raised
from labkit.grading.authoring.values import as_arguments
from labkit.grading.authoring.values import function as function
from labkit.grading.authoring.values import layers as layers
from labkit.grading.authoring.values import linear as linear
from labkit.grading.authoring.values import network as network
from labkit.grading.authoring.values import portable as portable

messages.install()  # whoever imports this in a notebook is a student or an author

LENT = ("labkit.data", "labkit.models", "labkit.plot", "labkit.widgets", "labkit.grading")  # what any answer may use
COLLECTED = "__hidden_checks__"  # a name in the namespace of a notebook whose hidden checks are only collected


@dataclass(frozen=True)
class Part:
    """One thing that a hidden check tried."""

    what: str
    words: str | None  # what is wrong with the answer; None where it is right
    easy: bool = False  # right by accident too: it counts only beside a part that is not


class Here:
    """The functions and variables of a namespace of this process, called like those of a student's process."""

    def __init__(self, namespace: dict):
        self._namespace = namespace

    def __getattr__(self, name: str) -> Callable:
        def call(*arguments: Any, **options: Any):
            if not callable(self._namespace.get(name)):
                return Raised("NameError", f"there is no function {name}")
            try:
                return portable(self._namespace[name](*as_arguments(arguments), **as_arguments(options)))
            except Exception as error:
                return Raised(type(error).__name__, str(error))

        return call

    def value(self, name: str):
        """The value of a variable."""
        if name not in self._namespace:
            return Raised("NameError", f"{name} is not defined")
        return portable(self._namespace[name])

    def names_in(self, function: str) -> set[str]:
        """What the code of a function mentions."""
        return mentions.in_function(self._namespace.get(function))


def equal(found: Any, expected: Any, what: str, hint: str = "", *, tolerance: float = 1e-5) -> None:
    """For visible checks: as `same`, raised as one AssertionError in words.

    Args:
        found: what the student's function returned.
        expected: what it should have returned.
        what: what was tried, "a 4 x 4 image, stride 2".
        hint: a question or a sentence that helps, see `that`.
        tolerance: see `same`.

    Raises:
        CheckFailed: they differ.
    """
    words = same(found, expected, tolerance)
    if words:
        raise CheckFailed(f"{what}: {words}.", hint)


def that(holds: Any, words: str, hint: str = "") -> None:
    """For visible checks: a sentence where something does not hold.

    Args:
        holds: whether it does.
        words: what is wrong.
        hint: what helps; in a notebook it is shown when the same thing fails again.

    Raises:
        CheckFailed: it does not; the message is the sentence and the hint.
    """
    if not holds:
        raise CheckFailed(words, hint)


def shaped(found: Any, shape: tuple[int, ...], what: str, hint: str = "") -> None:
    """For visible checks: a result is there, is a tensor or an array, has its shape, and holds finite numbers.

    Args:
        found: what the student's function returned.
        shape: what it should have.
        what: what it is, "your map".
        hint: a question that helps where the shape is another.

    Raises:
        CheckFailed: one of these does not hold; the message says which.
    """
    that(found is not None, f"{what}: nothing came back. Does your function end with a return?")
    is_array = isinstance(found, Tensor | np.ndarray)
    wanted = f"a tensor of shape {' x '.join(map(str, shape))}" if shape else "a tensor that holds a single number"
    that(is_array, f"{what}: expected {wanted}, got a {type(found).__name__}: {show(found)}")
    sizes = [f"shape {' x '.join(map(str, each))}" if each else "a single number" for each in (found.shape, shape)]
    that(tuple(found.shape) == shape, f"{what}: {', expected '.join(sizes)}.", hint)
    numbers = torch.as_tensor(found)
    that(
        not numbers.isnan().any(),
        f"{what}: found nan (not a number).",
        "It comes from 0 / 0, from inf − inf, and from the root or the logarithm of a number below zero.",
    )
    that(
        not numbers.isinf().any(),
        f"{what}: found inf (infinity).",
        "It comes from a division by zero, the logarithm of zero, or the exponential of a large number.",
    )


@contextmanager
def untouched(model: nn.Module, *tensors: Tensor) -> Iterator[None]:
    """For visible checks: a call within leaves the network and its inputs as they were.

    Raises:
        CheckFailed: an input was changed or now asks for gradients, a weight was changed, or the network was left
            in training mode.
    """
    before = [tensor.detach().clone() for tensor in tensors]
    weights: dict[str, Tensor] = portable(model)
    yield
    changed = any(not torch.equal(old, now) for old, now in zip(before, tensors, strict=True))
    that(not changed, "your function changes the tensor it is given. Work on a copy: images.clone()")
    asks = any(tensor.requires_grad for tensor in tensors)
    words = "your function has turned on gradients in the tensor it was given. Ask for them on a copy: "
    that(not asks, words + "images.detach().clone().requires_grad_()")
    that(not model.training, "the network is left in training mode. Does something call model.train()?")
    same_weights = all(torch.equal(old, model.state_dict()[name]) for name, old in weights.items())
    that(same_weights, "the network's weights have changed. Only the images may")


def easy(what: str, words: str | None) -> Part:
    """A part that an answer without thought gets right too (the zeros of a blank image, an error, the input itself).

    It counts only beside a part that is not easy, see `fraction`.
    """
    return Part(what, words, easy=True)


def borrowed(student: Any, function: str, *names: str, lent: Sequence[str] = ()) -> str | None:
    """None where a function does its work itself, else a sentence that says what it calls.

    Marking asks this of every function by itself, with what the solution imports as `lent`. A hidden check asks it
    where something outside labkit would do the work too.

    Args:
        student: as in hidden checks.
        function: the function that was to be written.
        names: what else would do the work for it: functions and classes of any module by their own names, or in full
            with the module's, "scipy.signal" for all that is in it.
        lent: modules of labkit that it may use beside LENT.
    """
    return _not_own(student.names_in(function), names, (*LENT, *lent))


def own(function: Callable, *names: str) -> None:
    """For visible checks: a function does its work itself, and calls neither labkit's methods nor these names.

    Args:
        function: the student's.
        names: see `borrowed`.

    Raises:
        CheckFailed: the message says what it calls.
    """
    words = _not_own(mentions.in_function(function), names, LENT)
    that(words is None, f"your function gives what is wanted, but {words}.")


def _not_own(mentioned: set[str], names: Sequence[str], lent: Sequence[str]) -> str | None:
    for name in names:
        if any(_within(each, name) for each in mentioned):
            return f"it calls {name}, and that is what is to be written"
    ours = {name for name in mentioned if name.startswith("labkit.")}
    ours -= {name for name in ours for module in lent if _within(name, module)}
    longest = max(sorted(ours), key=lambda name: name.count("."), default="")
    name = longest.rpartition(".")[2]
    return f"it calls labkit's own {name}, and that is what is to be written" if name else None


def _within(name: str, module: str) -> bool:
    return f"{name}.".startswith(f"{module}.")


def parts(hidden: Callable, student: Any, reference: Any, seed: int) -> Iterator[Part]:
    """What a hidden check tries, one after the other, on inputs that the seed draws."""
    for found in hidden(student, reference, np.random.default_rng(seed)):
        yield found if isinstance(found, Part) else Part(*found)


class Judged(Protocol):
    """A part, wherever it comes from."""

    @property
    def words(self) -> str | None: ...

    @property
    def easy(self) -> bool: ...


def fraction(found: Sequence[Judged]) -> float:
    """The fraction of a task's points: that of its parts that are right; none as long as only easy ones are."""
    right = [part for part in found if part.words is None]
    return len(right) / len(found) if any(not part.easy for part in right) else 0.0


def here(hidden: Callable, namespace: dict, *, seed: int = 0) -> None:
    """Run a hidden check on the notebook that it stands in: student and reference are one.

    Raises:
        CheckFailed: a part is wrong; the message says which, and how.
    """
    if COLLECTED in namespace:
        namespace[COLLECTED].append(hidden)
        return
    own = Here(namespace)
    for part in parts(hidden, own, own, seed):
        if part.words:
            raise CheckFailed(f"{part.what}: {part.words}")


@contextmanager
def collecting(namespace: dict) -> Iterator[list[Callable]]:
    """Within it, `here` in a notebook with this namespace runs nothing, and hands over its check in a list instead."""
    namespace[COLLECTED] = found = []
    try:
        yield found
    finally:
        del namespace[COLLECTED]
