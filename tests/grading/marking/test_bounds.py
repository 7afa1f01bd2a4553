"""Bounds of a marking process, each in a process of its own."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from labkit.grading.sandbox import linux


def run(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])


@pytest.mark.slow
def test_work_is_stopped_and_waiting_is_not():
    done = run("""
        import signal
        from labkit.grading.marking.bounds import TooLong, at_most

        def work():
            while True:
                try:
                    sum(range(1000))
                except Exception:  # as a check might, which must not take it for a student's error
                    pass

        with at_most(0.2):
            signal.sigtimedwait([], 0.4)  # waits, without work
        try:
            with at_most(0.05):
                work()
        except TooLong as error:
            print(error)
        with at_most(0.05):
            pass
        signal.sigtimedwait([], 0.1)  # no alarm is left over
        print("went on")
    """)
    assert done.stdout.splitlines() == ["it took more than 0.05 seconds", "went on"], done.stderr


@pytest.mark.slow
def test_one_long_instruction_ends_the_process():
    done = run("""
        from labkit.grading.marking import bounds
        bounds.GRACE = 0
        with bounds.at_most(0.5):
            sum(range(10**13))
    """)
    assert done.returncode == -signal.SIGVTALRM, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not linux.IS_LINUX, reason="address space is bounded on Linux")
def test_memory_is_refused():
    done = run("""
        from labkit.grading.marking import bounds
        bounds.bound_memory()
        kept = bytearray(bounds.MEMORY // 2)
        try:
            bytearray(bounds.MEMORY)
        except MemoryError:
            print("refused")
    """)
    assert done.stdout == "refused\n", done.stderr
