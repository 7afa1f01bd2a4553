"""Types and shapes, checked at every call while the tests run, of the functions of labkit that conftest.py names.

jaxtyping's import hook (installed by conftest.py) wraps each function and hands `checker` a stand-in with the same
signature, which it calls with the arguments and the result. Annotations bind us, not our callers: a call whose
arguments violate them must be refused by the function itself, with the words of a ValueError, and such tests go on as
ever. So nothing is checked before the call. If it returns, everything is: then a violation of whatever annotation,
of an argument or of the result, fails the test.
"""

from collections.abc import Callable
from typing import Any

import pytest
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeCallHintViolation
from torch.fx import Proxy

CONFIGURATION = BeartypeConf(is_pep484_tower=True)  # where a float is wanted, an int will do
_checks: dict[tuple, Callable] = {}  # of functions within functions, which are made anew at each call, too


def checker(stand_in: Callable) -> Callable:
    """What checks the calls of one function; jaxtyping applies it to two stand-ins, without and with the result."""
    if stand_in.__annotations__.get("return") is Any:  # without
        return lambda *args, **kwargs: None
    key = (stand_in.__module__, stand_in.__qualname__, stand_in.__code__.co_varnames)

    def check(*args: object, **kwargs: object) -> None:
        __tracebackhide__ = True
        if any(isinstance(each, Proxy) for each in args):  # a network that torch.fx traces
            return
        if key not in _checks:
            _checks[key] = beartype(conf=CONFIGURATION)(stand_in)
        try:
            _checks[key](*args, **kwargs)
        except BeartypeCallHintViolation as violation:
            pytest.fail(f"types and shapes are not as annotated: {violation}")

    return check
