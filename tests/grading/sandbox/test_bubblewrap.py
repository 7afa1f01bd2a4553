"""A box ends with the process that started it, whenever that is killed."""

import os
import random
import signal
import time

import pytest

from labkit.grading.sandbox import bubblewrap
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.limits import Limits
from tests.grading.test_interruptions import left, wait


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path, monkeypatch):
    """bubblewrap's own --die-with-parent leaves about one in fifty."""
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))  # which stands in bubblewrap's command line
    try:
        sandbox, _, lifeline = bubblewrap.start(Limits(), None)
    except BoxError as error:
        pytest.skip(str(error))
    lifeline.close()
    sandbox.wait(60)
    moments = random.Random(0)
    for _ in range(60):
        starter = os.fork()
        if starter == 0:
            try:
                bubblewrap.start(Limits(), None)
                signal.pause()
            finally:
                os._exit(1)
        time.sleep(moments.uniform(0.002, 0.06))
        os.kill(starter, signal.SIGKILL)
        os.waitpid(starter, 0)
    place = str(tmp_path).encode()
    wait(lambda: not left(place), failing=lambda: f"still there: {left(place)}")
