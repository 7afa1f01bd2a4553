"""Tables of numbers as coloured squares: confusion matrices and rates."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

from labkit.plot.colors import EMPTY, INK
from labkit.plot.drawing import checked, color_bar
from labkit.plot.style import WIDTH, Picture, house_style


@house_style
def confusion(matrix: Shaped[Tensor, "k k"], classes: Sequence[str]) -> Picture:
    """A confusion matrix: each row a true class, each column a predicted one; only mistakes are coloured.

    Args:
        matrix: (K, K), counts: matrix[true, predicted].
        classes: K names.

    Raises:
        ValueError: a matrix that is not square, or names that do not fit it.
    """
    matrix = checked("matrix", matrix, "K", "K")
    if matrix.shape[0] != matrix.shape[1] or len(classes) != matrix.shape[0]:
        raise ValueError(
            f"matrix must be {len(classes)} × {len(classes)} for {len(classes)} classes, got {tuple(matrix.shape)}"
        )
    percents = 100 * matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    mistakes = percents.masked_fill(torch.eye(len(classes), dtype=torch.bool), math.nan)
    most = max(float(mistakes.nan_to_num().max()), 1.0)
    picture = Picture(figsize=(WIDTH, WIDTH))
    axes = picture.subplots()
    drawn = _squares(axes, mistakes, most, classes, classes)
    for row, column, percent in _entries(percents):
        wrong = row != column
        color, weight = _on(percent / most if wrong else 0), "normal" if wrong else "bold"
        axes.text(column, row, str(int(matrix[row, column])), ha="center", va="center", color=color, weight=weight)
    axes.set(xlabel="predicted", ylabel="true")
    color_bar(picture, [axes], drawn, "mistakes, in percent of the true class", above=True)
    return picture


@house_style
def rates(
    table: Float[Tensor, "r c"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    xlabel: str,
    ylabel: str,
    label: str = "",
    percent: bool = True,
) -> Picture:
    """A table of fractions in whole percents, from pale at 0 to dark at 100; grey where there is no number.

    Args:
        table: (R, C), fractions from 0 to 1, NaN where there is none; at most 12 columns.
        rows: R names.
        columns: C names.
        xlabel: what the columns are.
        ylabel: what the rows are.
        label: what the fractions are, written above the colour bar.
        percent: if not, write them with two digits after the point.

    Raises:
        ValueError: a table outside 0 to 1 or too wide; names that do not fit it.
    """
    table = checked("table", table, "R", "C").float()
    if (len(rows), len(columns)) != tuple(table.shape) or table.shape[1] > 12:
        raise ValueError(f"table must be {len(rows)} × {len(columns)}, at most 12 wide, got {tuple(table.shape)}")
    if (table < 0).any() or (table > 1).any():
        raise ValueError(f"table must hold fractions from 0 to 1, got {table.nan_to_num().aminmax()}")
    picture = Picture(figsize=(WIDTH, min(WIDTH, 2.2 + 0.55 * len(rows))))
    axes = picture.subplots()
    drawn = _squares(axes, table, 1, rows, columns)
    axes.set_aspect("auto")
    for row, column, fraction in _entries(table):
        if not math.isnan(fraction):
            text = _whole_percents(fraction) if percent else f"{fraction:.2f}".removeprefix("0")
            axes.text(column, row, text, ha="center", va="center", color=_on(fraction))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    color_bar(picture, [axes], drawn, label, above=True, percent=percent)
    return picture


def _squares(axes: Axes, table: Tensor, most: float, rows: Sequence[str], columns: Sequence[str]) -> AxesImage:
    """Draw a table from pale at 0 to dark at most, grey where it holds NaN, with a name for each row and column."""
    axes.set_facecolor(EMPTY)
    drawn = axes.imshow(table.numpy(), cmap="magma_r", vmin=0, vmax=most)
    slanted = max(map(len, columns)) > 2 + 24 // len(columns)
    turn = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(range(len(columns)), columns, **turn)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return drawn


def _entries(table: Tensor) -> Iterator[tuple[int, int, float]]:
    return ((row, column, value) for row, values in enumerate(table.tolist()) for column, value in enumerate(values))


def _on(fraction: float) -> str:
    """The colour of text on a square that is so dark."""
    return "#ffffff" if fraction > 0.5 else INK


def _whole_percents(fraction: float) -> str:
    """Without a sign; 100 and 0 stand for all and none, and for nothing close to it."""
    if fraction in (0, 1):
        return str(round(100 * fraction))
    return ">99" if fraction >= 0.995 else "<1" if fraction < 0.005 else f"{100 * fraction:.0f}"
