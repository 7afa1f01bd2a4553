"""Whether students' processes can be boxed on this machine."""

import pytest

from labkit.grading.sandbox.box import Boxes
from labkit.grading.sandbox.bubblewrap import BoxError


@pytest.fixture(scope="session")
def boxed():
    """Skips the test where no box can be made."""
    try:
        with Boxes() as boxes, boxes.open():
            pass
    except BoxError as error:
        pytest.skip(str(error))
