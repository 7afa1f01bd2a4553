"""Bounds on what the marking process itself uses for one submission: whatever a student sends, it costs no more.

Each submission is marked in a process of its own, so these bounds are that process's. What is over them raises an
exception where Python can still raise one; where it cannot, within one long instruction, the process ends, and
`schedule` goes on without what it was at.
"""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from labkit.grading.sandbox import linux

MEMORY = 450 * 2**20  # bytes more than it was forked with
GRACE = 2  # seconds until the process ends, if no exception could be raised


class TooLong(BaseException):
    """It took too much of the processor's time. No Exception, so that no check takes it for a student's."""


def bound_memory() -> None:
    """From now on an allocation that needs more than `MEMORY` fails."""
    if linux.IS_LINUX:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (linux.own_address_space() + MEMORY, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TooLong in what takes more of the processor's time. Waiting does not count. Not to be nested."""

    def stop(*_: Any) -> None:
        raise TooLong(f"it took more than {seconds:g} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    # By default this signal ends the process. A timer counts from now; the kernel's limit of processor time would count
    # from the process's start, by another clock than the one that a process can read.
    ending = signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds + GRACE)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGPROF, before)
        signal.signal(signal.SIGVTALRM, ending)
