"""Charts with axes: lines, training curves, histograms, dots and points."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Real
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from labkit.plot.colors import COLORS, CORRECT, INK, RIM, WRONG
from labkit.plot.drawing import checked
from labkit.plot.style import LINE, WIDTH, Picture, house_style


@house_style
def curves(histories: Mapping[str, Any]) -> Picture:
    """Loss and accuracy after each epoch: on the training images (dashed) and on the test images (solid).

    Args:
        histories: name -> training run, an object or a dict with the lists ``train_loss``, ``test_loss``,
            ``train_accuracy`` and ``test_accuracy`` (fractions), one entry an epoch.

    Raises:
        ValueError: no run, more than three, or a run whose lists are empty or of different lengths.
    """
    if not 1 <= len(histories) <= 3:
        raise ValueError(f"histories must hold 1 to 3 runs, got {len(histories)}")
    picture = Picture(figsize=(WIDTH, 3.0 + LINE * len(histories)))
    panels = picture.subplots(1, 2)
    for color, (name, history) in zip(COLORS, histories.items(), strict=False):
        run = history if isinstance(history, Mapping) else vars(history)
        lengths = {len(run[f"{part}_{what}"]) for part in ("train", "test") for what in ("loss", "accuracy")}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"the lists of {name!r} must be equally long and not empty, got lengths {sorted(lengths)}")
        epochs = range(1, lengths.pop() + 1)
        marker = "o" if len(epochs) <= 10 else ""
        for axes, what in zip(panels, ("loss", "accuracy"), strict=True):
            for part, dashes in (("train", "--"), ("test", "-")):
                label = f"{name}, {part}" if axes is panels[0] else None
                axes.plot(epochs, run[f"{part}_{what}"], dashes, color=color, marker=marker, label=label)
    for axes, title in zip(panels, ("loss", "accuracy"), strict=True):
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(axis="y")
    panels[0].set_ylim(bottom=0)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    picture.legend(loc="outside upper center", ncols=2)
    return picture


@house_style
def descent(
    x: Sequence[float] | Real[Tensor, " n"],
    losses: Sequence[float] | Real[Tensor, " n"],
    path: Float[Tensor, "s 2"],
    *,
    xlabel: str,
    caption: str = "",
) -> Picture:
    """The loss as a valley, and the places that gradient descent visits, up to the first one outside the picture.

    Args:
        x: (N,), places from left to right.
        losses: (N,), the loss at each.
        path: (S, 2), where the descent was after each step, and the loss there; the first row is its start.
        xlabel: what x is.
        caption: a text above the picture.

    Raises:
        ValueError: shapes that do not fit together; a start outside the picture.
    """
    x, losses, path = checked("x", x, "N"), checked("losses", losses, "N"), checked("path", path, "S", "2")
    if len(losses) != len(x) or path.shape[1] != 2:
        raise ValueError(f"losses must be {len(x)} values and path (S, 2), got {len(losses)} and {tuple(path.shape)}")
    inside = (path[:, 0] >= x.min()) & (path[:, 0] <= x.max()) & (path[:, 1] <= losses.max())
    if not inside[0]:
        raise ValueError(f"the path must start inside the picture, got {path[0].tolist()}")
    stays = int(inside.int().cumprod(0).sum())
    picture = Picture(figsize=(WIDTH, 3.2 + LINE), layout="compressed")
    axes = picture.subplots()
    axes.plot(x, losses, color=RIM, linewidth=4)
    axes.plot(*path[:stays].T, "o-", color=COLORS[1], markersize=6, linewidth=1.2)
    axes.plot(*path[:1].T, "o", color=COLORS[0], markersize=10)
    axes.set(xlabel=xlabel, ylabel="loss", title=caption, xlim=(float(x.min()), float(x.max())))
    axes.set_ylim(0, 1.03 * float(losses.max()))
    if stays < len(path):
        axes.text(0.98, 0.94, f"step {stays}: out of the picture", transform=axes.transAxes, ha="right", va="top")
    return picture


@house_style
def lines(
    x: Sequence[float] | Real[Tensor, " n"],
    series: Mapping[str, Any],
    *,
    xlabel: str,
    ylabel: str = "",
    percent: bool = False,
    logarithmic: str = "",
    mark: float | None = None,
) -> Picture:
    """One quantity against another: a line for each series, with a band where its uncertainty is known.

    Args:
        x: (N,), where the values were taken.
        series: name -> values (N,), or three of them (values, low, high), each (N,), for a band around the line.
        xlabel: what x is, with its unit.
        ylabel: what the values are, with their unit.
        percent: write the values, which are fractions, in percents, from 0 to 100%.
        logarithmic: the axes with a logarithmic scale: "", "x", "y" or "xy".
        mark: a place on the x axis for an upright line.

    Raises:
        ValueError: no series or more than six; values of another length than x; unknown axes.
    """
    x = checked("x", x, "N")
    if not 1 <= len(series) <= len(COLORS):
        raise ValueError(f"series must hold 1 to {len(COLORS)} lines, got {len(series)}")
    if logarithmic not in ("", "x", "y", "xy"):
        raise ValueError(f"logarithmic must be '', 'x', 'y' or 'xy', got {logarithmic!r}")
    picture = Picture(figsize=(WIDTH, 3.4 + LINE * math.ceil(len(series) / 2)), layout="compressed")
    axes = picture.subplots()
    for color, (name, given) in zip(COLORS, series.items(), strict=False):
        values, *band = given if isinstance(given, tuple) else (given,)
        values, *band = (checked(name, each, "N") for each in (values, *band))
        if len(band) not in (0, 2) or any(len(each) != len(x) for each in (values, *band)):
            raise ValueError(f"{name!r} must be {len(x)} values, or three times as many for a band, as x is")
        axes.plot(x, values, color=color, marker="o" if len(x) <= 12 else "", label=name)
        if band:
            low, high = band
            axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    if mark is not None:
        axes.axvline(mark, color=INK, linewidth=1.5)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if "x" in logarithmic:
        axes.set_xscale("log")
    else:  # so few numbers that they do not touch, and no halves between counted things
        whole = all(float(value).is_integer() for value in x)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10], integer=whole))
    if "y" in logarithmic:
        axes.set_yscale("log")
    axes.grid(axis="y")
    if percent:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    if len(series) > 1:
        picture.legend(loc="outside upper center", ncols=2)
    return picture


@house_style
def confidence_histogram(confidences: Float[Tensor, " n"], correct: Bool[Tensor, " n"], threshold: float) -> Picture:
    """How confident a network was in its correct and in its wrong predictions, with a line at the threshold.

    Args:
        confidences: (N,), from 0 to 1.
        correct: (N,) bool, whether each prediction was correct.
        threshold: predictions below it are drawn pale: they would be withheld.

    Raises:
        ValueError: shapes that do not fit together; a threshold outside 0 to 1.
    """
    confidences, correct = checked("confidences", confidences, "N").float(), checked("correct", correct, "N").bool()
    if len(confidences) != len(correct):
        raise ValueError(f"correct must have {len(confidences)} entries, one for each confidence, got {len(correct)}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be from 0 to 1, got {threshold}")
    edges = torch.linspace(0, 1, 21)
    picture = Picture(figsize=(WIDTH, 3.8))
    panels = picture.subplots(2, 1, sharex=True)
    for axes, hits, color, name in ((panels[0], correct, CORRECT, "correct"), (panels[1], ~correct, WRONG, "wrong")):
        counts = torch.histogram(confidences[hits], edges).hist
        kept = edges[:-1] >= threshold - 1e-6
        axes.bar(
            edges[:-1].tolist(),
            counts.tolist(),
            0.05,
            align="edge",
            color=[color if keep else RIM for keep in kept],
            edgecolor="white",
            linewidth=0.8,
        )
        axes.axvline(threshold, color=INK, linewidth=1.5)
        answered = f"{name}: {int(counts[kept].sum()):,} of {int(counts.sum()):,} answered"
        axes.set_title(answered, loc="left", color=color)
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.set(xlim=(0, 1))
    panels[1].xaxis.set_major_formatter(PercentFormatter(1))
    panels[1].set_xlabel("confidence of the prediction")
    return picture


@house_style
def reliability(
    confidence: Float[Tensor, " bins"],
    accuracy: Float[Tensor, " bins"],
    low: Float[Tensor, " bins"],
    high: Float[Tensor, " bins"],
    counts: Int64[Tensor, " bins"],
) -> Picture:
    """Reliability diagram: how often predictions are correct against how sure they are, and how many there are.

    Args:
        confidence: (bins,), the mean confidence in each bin; NaN where there is no prediction.
        accuracy: (bins,), the fraction that is correct.
        low, high: (bins,), the ends of its interval.
        counts: (bins,) int64, the predictions in each bin.

    Raises:
        ValueError: shapes that do not fit together; no predictions at all.
    """
    counts = checked("counts", counts, "bins")
    values = [checked("bins", each, "bins") for each in (confidence, accuracy, low, high)]
    if any(len(each) != len(counts) for each in values):
        raise ValueError(f"each must have {len(counts)} entries, one a bin, got {[len(each) for each in values]}")
    if not counts.sum():
        raise ValueError("a reliability diagram needs predictions, got none")
    confidence, accuracy, low, high = (each[counts > 0] for each in values)
    picture = Picture(figsize=(WIDTH, 4.6), layout="compressed")
    top, bottom = picture.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], "--", color=RIM)
    away = [(accuracy - low).clamp(min=0).tolist(), (high - accuracy).clamp(min=0).tolist()]
    top.errorbar(confidence, accuracy, away, fmt="o-", color=CORRECT, capsize=3)
    top.set(ylim=(0, 1.03), ylabel="correct")
    edges = torch.linspace(0, 1, len(counts) + 1)[:-1].tolist()
    bottom.bar(edges, counts.tolist(), 1 / len(counts), align="edge", color=RIM, edgecolor="white", linewidth=0.8)
    bottom.set(xlim=(0, 1.01), xlabel="confidence of the prediction", ylabel="images")
    bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    for axis in (top.yaxis, bottom.xaxis):
        axis.set_major_formatter(PercentFormatter(1))
    return picture


@house_style
def dots(
    values: Float[Tensor, " n"],
    labels: Int64[Tensor, " n"],
    classes: Sequence[str],
    *,
    marked: Int64[Tensor, " m"],
    xlabel: str,
    legend: str,
) -> Picture:
    """One number of every image as a dot in the row of its class, with some of them marked.

    Args:
        values: (N,).
        labels: (N,) int64, the row of each.
        classes: K names of rows.
        marked: (M,) int64, indices of the dots to mark.
        xlabel: what the numbers are.
        legend: what the marked dots are.

    Raises:
        ValueError: shapes that do not fit together.
    """
    values, labels = checked("values", values, "N").float(), checked("labels", labels, "N")
    marked = checked("marked", marked, "M")
    if len(labels) != len(values):
        raise ValueError(f"labels must have {len(values)} entries, one for each value, got {len(labels)}")
    picture = Picture(figsize=(WIDTH, 0.34 * len(classes) + 3 * LINE))
    axes = picture.subplots()
    heights = labels + (torch.arange(len(values)) * 0.618 % 1 - 0.5) * 0.7  # spread evenly, and always the same
    axes.plot(values, heights, ".", color=RIM, markersize=3)
    axes.plot(values[marked], heights[marked], "o", color=WRONG, markersize=5, label=legend)
    axes.set(xlabel=xlabel, ylim=(len(classes) - 0.5, -0.5))
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(axis="y", length=0)
    picture.legend(loc="outside upper right")
    return picture


@house_style
def scatter(
    points: Float[Tensor, "n 2"], groups: Mapping[str, Int64[Tensor, " m"]], *, xlabel: str = "", ylabel: str = ""
) -> Picture:
    """Points in a plane, some groups of them in colours, the others grey.

    Args:
        points: (N, 2).
        groups: name -> indices of its points, at most 6 groups.
        xlabel: what the first number is.
        ylabel: what the second number is.

    Raises:
        ValueError: points of another shape; no group, or more than there are colours for.
    """
    points = checked("points", points, "N", "2").float()
    if not 1 <= len(groups) <= len(COLORS) or points.shape[1] != 2:
        raise ValueError(f"points must have shape (N, 2) and 1 to {len(COLORS)} groups, got {tuple(points.shape)}")
    picture = Picture(figsize=(WIDTH, 4.4))
    axes = picture.subplots()
    others = torch.ones(len(points), dtype=torch.bool)
    for color, (name, indices) in zip(COLORS, groups.items(), strict=False):
        axes.plot(*points[torch.as_tensor(indices)].T, ".", color=color, markersize=6, label=name)
        others[indices] = False
    if others.any():
        axes.plot(*points[others].T, ".", color=RIM, markersize=4, zorder=1, label="all others")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    picture.legend(loc="outside upper left", ncols=2, markerscale=2)
    return picture


@house_style
def runs(
    series: Mapping[str, Sequence[float]],
    intervals: Mapping[str, tuple[float, float, float]],
    *,
    xlabel: str,
    limits: tuple[float, float] | None = None,
    percent: bool = False,
) -> Picture:
    """What came of doing something several times: a row for each way of doing it, a dot for each time.

    Args:
        series: the name of each way and the values of its runs.
        intervals: for each name the mean and the ends of its interval, drawn as a bar around an upright stroke.
        xlabel: what the values are, with their unit.
        limits: the ends of the axis; by default those of the values.
        percent: write the values, which are fractions, in percents.

    Raises:
        ValueError: no series; a series without values or interval.
    """
    if not series:
        raise ValueError("series must hold one way at least, got none")
    picture = Picture(figsize=(WIDTH, 0.42 * len(series) + 2.4 * LINE), layout="compressed")
    axes = picture.subplots()
    for row, (name, values) in enumerate(series.items()):
        if len(values) == 0 or name not in intervals:
            raise ValueError(f"{name!r} needs values and an interval, got {list(values)} and {intervals.get(name)}")
        mean, low, high = intervals[name]
        axes.plot([low, high], [row, row], color=COLORS[0], linewidth=9, alpha=0.3, solid_capstyle="butt")
        axes.plot([mean, mean], [row - 0.3, row + 0.3], color=COLORS[0], linewidth=2)
        axes.plot(values, [row] * len(values), "o", color=INK, markersize=4, alpha=0.7)
    axes.set(xlabel=xlabel, ylim=(len(series) - 0.5, -0.5), xlim=limits)
    axes.set_yticks(range(len(series)), list(series))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    if percent:
        span = (limits[1] - limits[0]) if limits else 1
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if span > 0.05 else 1))
    return picture
