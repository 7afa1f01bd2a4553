"""The look and the sizes of every figure."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from matplotlib import style
from matplotlib.figure import Figure

from labkit.plot.encoding import png

WIDTH = 5.4  # inches, the width of every figure
LINE = 0.24  # inches, the height of a line of text
LETTER = 0.088  # inches, the width of a letter, on average

Options = ParamSpec("Options")
Drawn = TypeVar("Drawn")


class Picture(Figure):
    """A Figure that shows itself in a notebook without pyplot, once and sharp."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = self.get_size_inches() * 100
        return png(self), {"width": round(width), "height": round(height)}


def house_style(draw: Callable[Options, Drawn]) -> Callable[Options, Drawn]:
    """Draw in the look of labkit.mplstyle, and leave matplotlib's own settings as they were."""

    @functools.wraps(draw)
    def styled(*arguments: Options.args, **options: Options.kwargs) -> Drawn:
        with style.context("labkit.plot.labkit"):
            return draw(*arguments, **options)

    return styled
