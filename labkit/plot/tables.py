"""Tables of numbers as coloured squares: confusion matrices and rates."""

import math
from collections.abc import Sequence

import torch
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from labkit.plot.colors import INK
from labkit.plot.drawing import checked, places
from labkit.plot.style import WIDTH, Picture, house_style


@house_style
def confusion(matrix: Tensor, classes: Sequence[str]) -> Picture:
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
    percent = 100 * matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    mistakes = percent.masked_fill(torch.eye(len(classes), dtype=torch.bool), math.nan)
    most = max(float(mistakes.nan_to_num().max()), 1.0)
    picture = Picture(figsize=(WIDTH, WIDTH))
    axes = picture.subplots()
    drawn = axes.imshow(mistakes.numpy(), cmap="magma_r", vmin=0, vmax=most)
    axes.set_facecolor("#ededed")
    for row, column in places(matrix):
        dark = row != column and percent[row, column] > 0.5 * most
        axes.text(
            column,
            row,
            int(matrix[row, column]),
            ha="center",
            va="center",
            color="#ffffff" if dark else INK,
            weight="bold" if row == column else "normal",
        )
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(
        range(len(classes)),
        classes,
        rotation=0 if max(map(len, classes)) < 3 else 60,
        ha="center" if max(map(len, classes)) < 3 else "right",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = picture.colorbar(drawn, ax=axes, location="top", shrink=0.6, aspect=25, pad=0.02)
    bar.set_label("mistakes, in percent of the true class")
    bar.outline.set_visible(False)
    return picture


@house_style
def rates(
    table: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    xlabel: str,
    ylabel: str,
    label: str = "",
    percent: bool = True,
) -> Picture:
    """A table of fractions in whole percents, from white at 0 to dark at 100; grey where there is no number.

    Args:
        table: (R, C), fractions from 0 to 1, NaN where there is none; at most 12 columns.
        rows: R names.
        columns: C names.
        xlabel: what the columns are.
        ylabel: what the rows are.
        label: what the fractions are, written below the colour bar.
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
    drawn = axes.imshow(table.numpy(), cmap="magma_r", vmin=0, vmax=1, aspect="auto")
    axes.set_facecolor("#ededed")
    for row, column in places(table):
        share = float(table[row, column])
        if not math.isnan(share):
            color = "#ffffff" if share > 0.5 else INK
            text = f"{100 * share:.0f}" if percent else f"{share:.2f}".removeprefix("0")
            axes.text(column, row, text, ha="center", va="center", color=color)
    slanted = max(map(len, columns)) > 2 + 24 // len(columns)
    turn = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_xticks(range(len(columns)), columns, **turn)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = picture.colorbar(drawn, ax=axes, location="top", shrink=0.6, aspect=25, pad=0.02)
    if percent:
        bar.ax.xaxis.set_major_formatter(PercentFormatter(1))
    bar.set_label(label)
    bar.outline.set_visible(False)
    return picture
