"""Bars: the confidence in each class, alone or before and after an attack, and how totals divide."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from labkit.plot.colors import COLORS, CORRECT, RIM, WRONG
from labkit.plot.drawing import check_length, checked, percent, show_pixels
from labkit.plot.style import LINE, WIDTH, Picture, house_style


@house_style
def confidences(
    images: Float[Tensor, "n c h w"],
    logits: Float[Tensor, "n k"],
    classes: Sequence[str],
    *,
    captions: Sequence[str] = (),
) -> Picture:
    """One to four images, and below each the confidence of every class as a bar.

    Args:
        images: (N, C, H, W), pixels in [0, 1], N at most 4.
        logits: (N, K), the scores of a network; a bar is their softmax.
        classes: K names.
        captions: one text an image, or none at all.

    Raises:
        ValueError: shapes that do not fit together; more than four images.
    """
    images = checked("images", images, "N", "C", "H", "W")
    logits = checked("logits", logits, "N", "K")
    if len(images) > 4:
        raise ValueError(f"confidences has room for 4 images, got {len(images)}")
    check_length("logits", logits, len(images))
    if len(captions):
        check_length("captions", captions, len(images))
    if len(classes) != logits.shape[1]:
        raise ValueError(f"classes must name all {logits.shape[1]} columns of the logits, got {len(classes)} names")
    probabilities = logits.softmax(1)
    if len(images) == 1:
        picture = Picture(figsize=(WIDTH, LINE * (len(classes) + 2)))
        pairs = [picture.subplots(1, 2)]
    else:
        picture = Picture(figsize=(WIDTH, 2.0 + LINE * (len(classes) + 2)))
        pairs = picture.subplots(2, len(images), height_ratios=(1.6, LINE * len(classes))).T
    for index, (top, bottom) in enumerate(pairs):
        show_pixels(top, images[index])
        if len(captions):
            top.set_title(captions[index], pad=4)
        draw_bars(bottom, probabilities[index], classes if index == 0 else [""] * len(classes))
    return picture


def draw_bars(axes: Axes, probabilities: Tensor, names: Sequence[str]) -> None:
    """One bar a class, the longest in colour with its probability beside it."""
    best = int(probabilities.argmax())
    axes.barh(
        range(len(probabilities)),
        probabilities.tolist(),
        color=[CORRECT if row == best else RIM for row in range(len(probabilities))],
    )
    axes.text(float(probabilities[best]) + 0.03, best, percent(float(probabilities[best])), va="center")
    axes.set(xlim=(0, 1.5), ylim=(len(probabilities) - 0.5, -0.5), xticks=[0, 1], xticklabels=["0", "100%"])
    axes.set_yticks(range(len(probabilities)), names)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)


@house_style
def breakdown(columns: Mapping[str, Sequence[float]], names: Sequence[str]) -> Picture:
    """How several totals divide over the same names: one panel of bars a total, all on the scale from 0 to 100%.

    Args:
        columns: title -> one number a name, from zero up; one to three titles.
        names: what each number belongs to.

    Raises:
        ValueError: no column or more than three; a column without one number a name, or that adds up to nothing.
    """
    if not 1 <= len(columns) <= 3:
        raise ValueError(f"columns must hold 1 to 3 panels, got {len(columns)}")
    for title, values in columns.items():
        if len(values) != len(names) or min(values) < 0 or not sum(values):
            raise ValueError(f"{title} must hold {len(names)} numbers from zero up, not all zero, got {list(values)}")
    picture = Picture(figsize=(WIDTH, 0.36 * len(names) + 3.2 * LINE))
    grid = picture.subplots(1, len(columns), squeeze=False).ravel()
    for index, (axes, (title, values)) in enumerate(zip(grid, columns.items(), strict=True)):
        fractions = [value / sum(values) for value in values]
        axes.barh(range(len(names)), fractions, color=COLORS[index], height=0.7)
        for row, fraction in enumerate(fractions):
            text = f"{fraction:.2%}" if fraction >= 0.0001 else "<0.01%" if fraction else "0"
            axes.text(fraction + 0.02, row, text, va="center")
        axes.set(title=f"{title}\n{sum(values):,}", xticks=[], xlim=(0, 1.55))
        axes.set(ylim=(len(names) - 0.5, -0.5))
        axes.set_yticks(range(len(names)), names if index == 0 else [""] * len(names))
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
    return picture


@house_style
def attack(
    image: Float[Tensor, "c h w"],
    result: Float[Tensor, "c h w"],
    before: Float[Tensor, " n"],
    after: Float[Tensor, " n"],
    names: Sequence[str],
    *,
    gain: float = 10.0,
    captions: Sequence[str] = (),
) -> Picture:
    """An image, what an attack added to it, the result, and the network's confidence before and after.

    Args:
        image: (C, H, W), pixels in [0, 1].
        result: (C, H, W), pixels in [0, 1].
        before: (n,), the confidence in each named class for the image.
        after: (n,), and for the result.
        names: n classes.
        gain: what the difference is multiplied by, to be seen; mid-grey is no change.
        captions: one text for the image and one for the result; by default the surest of the named classes.

    Raises:
        ValueError: shapes that do not fit together; captions that are not two; a gain that is not above zero.
    """
    image, result = checked("image", image, "C", "H", "W").float(), checked("result", result, "C", "H", "W").float()
    before, after = checked("before", before, "n"), checked("after", after, "n")
    if image.shape != result.shape:
        raise ValueError(f"result must have the image's shape {tuple(image.shape)}, got {tuple(result.shape)}")
    if not len(before) == len(after) == len(names):
        raise ValueError(f"before and after must have {len(names)} entries, got {len(before)} and {len(after)}")
    if len(captions) not in (0, 2):
        raise ValueError(f"captions must be two, got {len(captions)}")
    if not gain > 0:
        raise ValueError(f"gain must be above zero, got {gain}")
    first, last = captions or [f"{names[int(each.argmax())]} {percent(float(each.max()))}" for each in (before, after)]
    difference = 0.5 + gain * (result - image)
    pictures = ((first, image), (f"difference × {gain:g}", difference), (last, result))
    bars = 0.3 * len(names) + LINE
    picture = Picture(figsize=(WIDTH, 2.4 + bars))
    top, bottom = picture.subfigures(2, 1, squeeze=False, height_ratios=(2.4, bars)).ravel()
    for axes, (caption, shown) in zip(top.subplots(1, 3), pictures, strict=True):
        show_pixels(axes, shown)
        axes.set_title(caption, pad=4)
    axes = bottom.subplots()
    for probabilities, place, color in ((before, -0.2, RIM), (after, 0.2, WRONG)):
        rows = [row + place for row in range(len(names))]
        axes.barh(rows, probabilities.tolist(), 0.38, color=color, label="before" if place < 0 else "after")
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xlabel="confidence")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    bottom.legend(loc="outside right center")
    return picture
