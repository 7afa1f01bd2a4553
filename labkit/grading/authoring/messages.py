"""What a student reads where a check fails: a sentence, and a hint when the same thing fails again.

IPython would print the way through the check's own code, dozens of lines, and the sentence below it. In a notebook the
sentence comes alone; `%tb` shows the rest. So do a few errors of PyTorch that every beginner meets.
"""

import linecache
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

AGAIN = "(There is a hint if this fails again.)"
# What PyTorch says; the same in plain words; a hint.
KNOWN = (
    (
        "does not require grad",
        "a gradient is asked for, and the tensor did not remember how it was computed",
        "Before the network sees it: x = images.detach().clone().requires_grad_(). And no torch.no_grad() around it.",
    ),
    (
        "not have been used in the graph",
        "a gradient is asked for with respect to a tensor that the result does not depend on",
        "Is it the same tensor that the network was given, or a copy of it?",
    ),
    (
        "backward through the graph a second time",
        "a gradient is asked for twice of one result",
        "Call the network again before each gradient.",
    ),
    (
        "grad can be implicitly created only for scalar outputs",
        "a gradient is asked for of several numbers at once",
        "Make one number of them first, with .sum().",
    ),
    (
        "a leaf Variable that requires grad",
        "a tensor is changed in place while PyTorch writes down what is done with it",
        "Make the step inside `with torch.no_grad():`.",
    ),
    (
        "Can't call numpy\\(\\) on Tensor that requires grad",
        "NumPy is given a tensor that still remembers how it was computed",
        "Use .detach() first.",
    ),
)

_failed: Counter[str] = Counter()  # how often each kind of sentence was shown


class CheckFailed(AssertionError):
    """A visible check is not content."""

    def __init__(self, words: str, hint: str = ""):
        super().__init__(f"{words} {hint}".rstrip())
        self.words, self.hint = words, hint


def told(words: str, hint: str = "") -> str:
    """What is shown: the words, and from the second time on the hint. Numbers in the words may differ."""
    kind = re.sub(r"[^A-Za-z]+", " ", words)
    _failed[kind] += 1
    if not hint:
        return words
    return f"{words}\n{hint if _failed[kind] > 1 else AGAIN}"


def in_words(error: BaseException, trace: TracebackType | None, names: dict[str, Any]) -> str | None:
    """An error as a student is told of it; None where Python's own traceback says it better.

    Args:
        error: what stopped a cell.
        trace: where.
        names: of the notebook; its functions are the student's.
    """
    if isinstance(error, CheckFailed):
        return told(error.words, error.hint)
    where = function = ""
    for frame, line in traceback.walk_tb(trace):
        if frame.f_globals is names and frame.f_code.co_name != "<module>":
            source = linecache.getline(frame.f_code.co_filename, line).strip()
            where = f"{frame.f_code.co_name}, line {line}" + (f": {source}" if source else "")
            function = frame.f_code.co_name
    if isinstance(error, NotImplementedError):
        return f"{function} is not written yet." if where else "This is not written yet."
    for pattern, words, hint in KNOWN if where else ():
        if re.search(pattern, str(error)):
            return told(f"{where}\n{words[0].upper()}{words[1:]}.", hint)
    return None


def install() -> None:
    """In a notebook: show errors so from now on. Elsewhere nothing happens."""
    get_shell: Callable[[], Any] = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    shell = get_shell()
    if hasattr(shell, "kernel"):
        shell.set_custom_exc((CheckFailed, RuntimeError), _show)


def _show(
    shell: Any, kind: type, error: BaseException, trace: TracebackType, tb_offset: int | None = None
) -> list[str]:
    words = in_words(error, trace, shell.user_ns)
    if words is None:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return []
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace  # what %tb shows
    lines = words.splitlines()
    shell._showtraceback(kind, error, lines)
    return lines
