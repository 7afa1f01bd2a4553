"""What is written in a figure, and its pixels."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from labkit import plot


@pytest.fixture
def texts():
    """All that is written in a figure and can be seen."""

    def read(figure: Figure) -> list[str]:
        found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        return [text.get_text() for text in found]

    return read


@pytest.fixture
def pixels():
    def read(figure: Figure) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(plot.png(figure))).convert("RGB"))

    return read
