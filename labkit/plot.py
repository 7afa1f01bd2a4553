"""Every figure of the course: tensors in, a matplotlib Figure out.

The one file that imports matplotlib. Colours mean the same thing everywhere: grey is a pixel, red and blue are
signs with white at zero, viridis is an amount. Functions draw and do nothing else: they compute no result that a
chapter argues with.
"""

import functools
import io
import math
from collections.abc import Mapping, Sequence

import matplotlib
import torch
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

WIDTH = 6.4  # inches, the width of every figure
LINE = 0.24  # inches, the height of a line of text
LETTER = 0.088  # inches, the width of a letter, on average
INK = "#222222"
# Okabe and Ito's colours, which stay apart for colour-blind readers: blue, vermilion, green, purple, sky, orange
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
RIGHT, WRONG, MARK = COLORS[0], COLORS[1], COLORS[5]


class Picture(Figure):
    """A Figure that shows itself in a notebook without pyplot, once and sharp."""

    def _repr_png_(self):
        width, height = self.get_size_inches() * 100
        return png(self), {"width": round(width), "height": round(height)}


def png(figure: Figure) -> bytes:
    """A figure as a PNG of 200 pixels an inch, free of dates and versions: the same bytes each time."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
    return file.getvalue()


def _house_style(draw):
    """Draw in the look of labkit.mplstyle, and leave matplotlib's own settings as they were."""

    @functools.wraps(draw)
    def styled(*arguments, **options):
        with style.context("labkit.labkit"):
            return draw(*arguments, **options)

    return styled


def _checked(name: str, values, *shape: str) -> Tensor:
    """Values as a tensor on the CPU with one dimension for each letter of shape, else a ValueError."""
    tensor = torch.as_tensor(values).detach().cpu()
    if tensor.ndim != len(shape) or 0 in tensor.shape:
        raise ValueError(f"{name} must have shape ({', '.join(shape)}), got {tuple(tensor.shape)}")
    return tensor


def _check_length(name: str, values: Sequence, count: int) -> None:
    if len(values) != count:
        raise ValueError(f"{name} must have {count} entries, one for each image, got {len(values)}")


def _number(value: float) -> str:
    return f"{value + 0:.2f}".rstrip("0").rstrip(".").replace("-", "−")


def _percent(share: float) -> str:
    """A confidence in whole percents that is never rounded up to certainty, nor down to nothing."""
    return ">99%" if share >= 0.995 else "<1%" if share < 0.005 else f"{share:.0%}"


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _show(axes: Axes, image: Tensor, **options):
    """Draw one image (H, W) or (H, W, 3): pixels as squares while they are few, smoothly when they are many."""
    _bare(axes)
    axes.spines[:].set(visible=True, color="#b5b5b5", linewidth=0.8)  # white images end where the white page begins
    interpolation = "nearest" if max(image.shape[:2]) <= 64 else "antialiased"
    return axes.imshow(image.numpy(), interpolation=interpolation, **options)


def _grid(count: int, captions: Sequence[str], columns: int | None, shape: tuple[int, int], room: float = 0.0):
    """A picture with a grid of empty axes for count images of the given shape, and room inches for a colour bar."""
    lines = [line for caption in captions for line in caption.split("\n")]
    longest = max(map(len, lines), default=0)
    if columns is None:
        fit = int((WIDTH - room) / max(0.64, LETTER * longest + 0.16))
        rows = math.ceil(count / max(1, min(fit, 10)))
        columns = math.ceil(count / rows)
    rows = math.ceil(count / columns)
    side = min((WIDTH - room) / columns - 0.16, 2.6)
    text = LINE * max((caption.count("\n") + 1 for caption in captions), default=0)
    height = rows * (side * shape[0] / shape[1] + text + 0.16) + 0.1
    picture = Picture(figsize=(WIDTH, height), layout="compressed")
    grid = picture.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return picture, grid[:count]


def images(images: Tensor, *, captions: Sequence[str] = (), columns: int | None = None, colors=()) -> Picture:
    """Images side by side, each with its caption above it.

    Args:
        images: (N, C, H, W), pixels in [0, 1]; C is 1 (grey) or 3 (red, green, blue).
        captions: one text an image, or none at all; a text may have several lines.
        columns: images in a row; by default as many as their captions leave room for, at most 10.
        colors: one text colour a caption; by default all are dark grey.

    Raises:
        ValueError: images of another shape; captions or colors not one an image; columns < 1.
    """
    return _images(images, captions, columns, colors)


@_house_style
def _images(images: Tensor, captions: Sequence[str], columns: int | None, colors: Sequence[str]) -> Picture:
    images = _checked("images", images, "N", "C", "H", "W")
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape[1]} in shape {tuple(images.shape)}")
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if len(captions):
        _check_length("captions", captions, len(images))
    if len(colors):
        _check_length("colors", colors, len(images))
    picture, grid = _grid(len(images), captions, columns, images.shape[2:])
    for index, (axes, image) in enumerate(zip(grid, images, strict=True)):
        _show(axes, image.permute(1, 2, 0).clamp(0, 1).float(), cmap="gray", vmin=0, vmax=1)
        if len(captions):
            axes.set_title(captions[index], color=colors[index] if len(colors) else INK, pad=4)
    return picture


def predictions(images: Tensor, labels: Tensor, logits: Tensor, classes: Sequence[str], *, columns=None) -> Picture:
    """Images with their true class and, below it, the predicted one and its confidence, marked right or wrong.

    Args:
        images: (N, C, H, W), pixels in [0, 1].
        labels: (N,) int64, the true classes.
        logits: (N, K), the scores of a network; the confidence is their softmax.
        classes: K names.
        columns: images in a row.

    Raises:
        ValueError: shapes that do not fit together.
    """
    logits = _checked("logits", logits, "N", "K")
    labels = _checked("labels", labels, "N")
    _check_length("labels", labels, len(images))
    _check_length("logits", logits, len(images))
    if len(classes) != logits.shape[1]:
        raise ValueError(f"classes must name all {logits.shape[1]} columns of the logits, got {len(classes)} names")
    confidences, guesses = logits.softmax(1).max(1)
    right = (guesses == labels).tolist()
    captions = [
        f"true: {classes[label]}\n{'✓' if hit else '✗'} {classes[guess]} {_percent(confidence)}"
        for label, hit, guess, confidence in zip(labels, right, guesses, confidences.tolist(), strict=True)
    ]
    colors = [RIGHT if hit else WRONG for hit in right]
    return _images(images, captions, columns, colors)


@_house_style
def confidences(images: Tensor, logits: Tensor, classes: Sequence[str], *, captions: Sequence[str] = ()) -> Picture:
    """One to four images, and below each the confidence of every class as a bar.

    Args:
        images: (N, C, H, W), pixels in [0, 1], N at most 4.
        logits: (N, K), the scores of a network; a bar is their softmax.
        classes: K names.
        captions: one text an image, or none at all.

    Raises:
        ValueError: shapes that do not fit together; more than four images.
    """
    images = _checked("images", images, "N", "C", "H", "W")
    logits = _checked("logits", logits, "N", "K")
    if len(images) > 4:
        raise ValueError(f"confidences has room for 4 images, got {len(images)}")
    _check_length("logits", logits, len(images))
    if len(captions):
        _check_length("captions", captions, len(images))
    if len(classes) != logits.shape[1]:
        raise ValueError(f"classes must name all {logits.shape[1]} columns of the logits, got {len(classes)} names")
    shares = logits.softmax(1)
    if len(images) == 1:
        picture = Picture(figsize=(WIDTH, LINE * (len(classes) + 2)))
        pairs = [picture.subplots(1, 2)]
    else:
        picture = Picture(figsize=(WIDTH, 2.0 + LINE * (len(classes) + 2)))
        pairs = picture.subplots(2, len(images), height_ratios=(1.6, LINE * len(classes))).T
    for index, (top, bottom) in enumerate(pairs):
        _show(top, images[index].permute(1, 2, 0).clamp(0, 1).float(), cmap="gray", vmin=0, vmax=1)
        if len(captions):
            top.set_title(captions[index], pad=4)
        _bars(bottom, shares[index], classes if index == 0 else [""] * len(classes))
    return picture


def _bars(axes: Axes, shares: Tensor, names: Sequence[str]) -> None:
    """One bar a class, the longest in colour with its share beside it."""
    best = int(shares.argmax())
    axes.barh(
        range(len(shares)), shares.tolist(), color=[RIGHT if row == best else "#b5b5b5" for row in range(len(shares))]
    )
    axes.text(float(shares[best]) + 0.03, best, _percent(float(shares[best])), va="center")
    axes.set(xlim=(0, 1.5), ylim=(len(shares) - 0.5, -0.5), xticks=[0, 1], xticklabels=["0", "100%"])
    axes.set_yticks(range(len(shares)), names)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)


@_house_style
def journey(image: Tensor, stages: Mapping[str, Tensor], logits: Tensor, classes: Sequence[str]) -> Picture:
    """An image on its way through a network: some of its layers as sheets of small maps, and the verdict.

    Args:
        image: (C, H, W), pixels in [0, 1].
        stages: one or two layers, name -> activations (channels, h, w) from zero up, each stage on a scale of its own.
        logits: (K,), the scores at the end.
        classes: K names.

    Raises:
        ValueError: shapes that do not fit together; more than two stages.
    """
    image = _checked("image", image, "C", "H", "W").float()
    logits = _checked("logits", logits, "K")
    if not 1 <= len(stages) <= 2:
        raise ValueError(f"stages must hold one or two layers, got {len(stages)}")
    if len(classes) != len(logits):
        raise ValueError(f"classes must name all {len(logits)} logits, got {len(classes)} names")
    picture = Picture(figsize=(WIDTH, 3.1))
    grid = picture.subplots(1, len(stages) + 2, width_ratios=[1] + [1.15] * len(stages) + [1.2])
    _show(grid[0], image.permute(1, 2, 0).clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    grid[0].set_title("image")
    for axes, (name, maps) in zip(grid[1:], stages.items(), strict=False):
        sheet = _sheet(_checked(name, maps, "channels", "h", "w").float(), columns=4)
        axes.set_title(name)
        _bare(axes)
        axes.imshow(sheet.numpy(), interpolation="nearest", cmap="viridis", vmin=0)
    _bars(grid[-1], logits.softmax(0), classes)
    grid[-1].set_title("confidence")
    return picture


def _sheet(maps: Tensor, columns: int) -> Tensor:
    """Maps (N, h, w) laid out in a grid with empty lines of one pixel between them."""
    rows = math.ceil(len(maps) / columns)
    height, width = maps.shape[1] + 1, maps.shape[2] + 1
    sheet = torch.full((rows * height - 1, columns * width - 1), math.nan)
    for index, values in enumerate(maps):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height - 1, left : left + width - 1] = values
    return sheet


@_house_style
def signed(
    maps: Tensor, *, captions: Sequence[str] = (), columns: int | None = None, limit: float | None = None, label=""
) -> Picture:
    """Maps of signed numbers on one common scale: red above zero, blue below, white at zero.

    Args:
        maps: (N, H, W), any real numbers.
        captions: one text a map, or none at all.
        columns: maps in a row.
        limit: the number at either end of the scale; by default the largest magnitude in the maps.
        label: what the numbers are, written beside the colour bar.

    Raises:
        ValueError: maps of another shape; captions not one a map; a limit that is not above zero.
    """
    return _maps(maps, captions, columns, limit, label, "RdBu_r", symmetric=True)


@_house_style
def heat(
    maps: Tensor, *, captions: Sequence[str] = (), columns: int | None = None, limit: float | None = None, label=""
) -> Picture:
    """Maps of amounts on one common scale that starts at zero: dark is none, yellow is most.

    Args:
        maps: (N, H, W), numbers from zero up; below zero is drawn as zero.
        captions: one text a map, or none at all.
        columns: maps in a row.
        limit: the number at the top of the scale; by default the largest in the maps.
        label: what the numbers are, written beside the colour bar.

    Raises:
        ValueError: maps of another shape; captions not one a map; a limit that is not above zero.
    """
    return _maps(maps, captions, columns, limit, label, "viridis", symmetric=False)


def _maps(maps, captions, columns, limit, label, colormap, *, symmetric: bool) -> Picture:
    maps = _checked("maps", maps, "N", "H", "W").float()
    if len(captions):
        _check_length("captions", captions, len(maps))
    if limit is not None and not limit > 0:
        raise ValueError(f"limit must be above zero, got {limit}")
    limit = limit or float(maps.abs().max()) or 1.0
    picture, grid = _grid(len(maps), captions, columns, maps.shape[1:], room=1.0)
    for index, (axes, values) in enumerate(zip(grid, maps, strict=True)):
        drawn = _show(axes, values, cmap=colormap, vmin=-limit if symmetric else 0, vmax=limit)
        if len(captions):
            axes.set_title(captions[index], pad=4)
    _scale(picture, list(grid), drawn, label, symmetric=symmetric)
    return picture


@_house_style
def beside(image: Tensor, values: Tensor, *, captions: Sequence[str] = (), label: str = "") -> Picture:
    """An image and, beside it, a map of signed numbers that was made from it: red above zero, blue below.

    Args:
        image: (C, H, W), pixels in [0, 1].
        values: (H', W'), any real numbers.
        captions: one text for each of the two, or none at all.
        label: what the numbers are, written beside the colour bar.

    Raises:
        ValueError: an image or values of another shape; captions that are not two.
    """
    image, values = _checked("image", image, "C", "H", "W").float(), _checked("values", values, "H", "W").float()
    if len(captions):
        _check_length("captions", captions, 2)
    limit = float(values.abs().max()) or 1.0
    picture, (left, right) = _grid(2, captions, 2, image.shape[1:], room=1.0)
    _show(left, image.permute(1, 2, 0).clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    drawn = _show(right, values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    _scale(picture, [left, right], drawn, label, symmetric=True)
    for axes, caption in zip((left, right), captions, strict=False):
        axes.set_title(caption, pad=4)
    return picture


def _scale(picture: Figure, grid: list[Axes], drawn, label: str, *, symmetric: bool) -> None:
    """The colour bar of a map, to the right of all the axes it holds for."""
    bar = picture.colorbar(drawn, ax=grid, shrink=0.9, aspect=16, pad=0.02)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(min(6, max(2, int(2 * picture.get_figheight()))), symmetric=symmetric)
    bar.set_label(label)


def _cells(axes: Axes, values: Tensor, limit: float, *, shown: Tensor | None = None) -> None:
    """A small matrix (H, W) as squares, each with its number in it; those not shown stay empty."""
    _bare(axes)
    shown = torch.ones_like(values, dtype=torch.bool) if shown is None else shown
    axes.imshow(values.where(shown, torch.zeros(())).numpy(), cmap="RdBu_r", vmin=-2 * limit, vmax=2 * limit)
    for (row, column), value in ((place, float(values[place])) for place in _places(values)):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#b5b5b5", linewidth=0.8))
        if shown[row, column]:
            axes.text(column, row, _number(value), ha="center", va="center")


def _places(values: Tensor):
    return ((row, column) for row in range(values.shape[0]) for column in range(values.shape[1]))


def _frame(axes: Axes, row: float, column: float, height: float, width: float, **options) -> None:
    """Outline a block of pixels whose top left one is (row, column)."""
    look = {"fill": False, "edgecolor": MARK, "linewidth": 3, "zorder": 3, "clip_on": False} | options
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), width, height, **look))


def _side_by_side(widths: Sequence[int], heights: Sequence[int], largest: float = 0.45):
    """A picture with one empty axes a matrix, all with squares of the same size."""
    gap = 1.0  # of a square, between two matrices
    square = min(WIDTH / (sum(widths) + gap * len(widths)), largest)
    tallest = square * max(heights)
    picture = Picture(figsize=(WIDTH, tallest + 2 * LINE), layout="none")
    height = picture.get_size_inches()[1]
    left = (WIDTH - square * (sum(widths) + gap * (len(widths) - 1))) / 2
    grid = []
    for width, rows in zip(widths, heights, strict=True):
        bottom = 0.5 * LINE + (tallest - square * rows) / 2  # all centred, the tallest with room for its title
        place = (left / WIDTH, bottom / height, square * width / WIDTH, square * rows / height)
        grid.append(picture.add_axes(place))
        left += square * (width + gap)
    return picture, grid


@_house_style
def matrices(matrices: Sequence[Tensor], *, captions: Sequence[str] = ()) -> Picture:
    """Small matrices side by side, each number in its square, tinted red above zero and blue below.

    Args:
        matrices: tensors (H, W), together at most 24 columns wide.
        captions: one text a matrix, or none at all.

    Raises:
        ValueError: a matrix of another shape; too many columns to print their numbers; captions not one a matrix.
    """
    matrices = [_checked("each matrix", matrix, "H", "W").float() for matrix in matrices]
    widths = [matrix.shape[1] for matrix in matrices]
    if not matrices or sum(widths) > 24:
        raise ValueError(f"matrices must be 1 to 24 columns wide together, got {sum(widths)}")
    if len(captions):
        _check_length("captions", captions, len(matrices))
    limit = max(float(matrix.abs().max()) for matrix in matrices) or 1.0
    picture, grid = _side_by_side(widths, [matrix.shape[0] for matrix in matrices])
    for index, (axes, matrix) in enumerate(zip(grid, matrices, strict=True)):
        _cells(axes, matrix, limit)
        if len(captions):
            axes.set_title(captions[index])
    return picture


@_house_style
def sliding(image: Tensor, kernel: Tensor, output: Tensor, step: int) -> Picture:
    """A filter on its way over a small image: where it lies, the products, and the outputs written so far.

    Args:
        image: (H, W), as the filter meets it, any padding included.
        kernel: (F, F), the filter.
        output: (rows, columns), the finished result at stride 1.
        step: which output is being computed, counted from 0 in reading order.

    Raises:
        ValueError: shapes that do not fit together; a step that is no position.
    """
    image, kernel = _checked("image", image, "H", "W").float(), _checked("kernel", kernel, "F", "F").float()
    output = _checked("output", output, "rows", "columns").float()
    size = kernel.shape[0]
    expected = (image.shape[0] - size + 1, image.shape[1] - size + 1)
    if tuple(output.shape) != expected:
        raise ValueError(f"output must have shape {expected}, got {tuple(output.shape)}")
    if not 0 <= step < output.numel():
        raise ValueError(f"step must be from 0 to {output.numel() - 1}, got {step}")
    row, column = divmod(step, output.shape[1])
    products = image[row : row + size, column : column + size] * kernel
    parts = (image, kernel, products, output)
    picture, grid = _side_by_side([part.shape[1] for part in parts], [part.shape[0] for part in parts])
    limit = max(float(part.abs().max()) for part in parts) or 1.0
    written = (torch.arange(output.numel()) <= step).reshape(output.shape)
    for axes, part, caption in zip(grid, parts, ("image", "filter", "products", "output"), strict=True):
        _cells(axes, part, limit, shown=written if part is output else None)
        axes.set_title(caption)
    _frame(grid[0], row, column, size, size)
    _frame(grid[3], row, column, 1, 1)
    for axes, symbol in zip(grid, ("×", "=", "→"), strict=False):
        axes.text(1 + 0.5 / _columns(axes), 0.5, symbol, transform=axes.transAxes, ha="center", va="center")
    grid[2].set_xlabel(f"sum {_number(float(products.sum()))}")
    return picture


def _columns(axes: Axes) -> int:
    return axes.images[0].get_array().shape[1]


@_house_style
def windows(reads: Tensor, padding: int, output_size: int) -> Picture:
    """How often a sliding filter reads each pixel, padding included, and the size of what it writes.

    Args:
        reads: (W + 2P, W + 2P), the number of filter positions that cover each pixel.
        padding: P, the pixels added on each side, drawn hatched.
        output_size: outputs along each side.

    Raises:
        ValueError: reads of another shape, or too small for the padding.
    """
    reads = _checked("reads", reads, "W + 2P", "W + 2P").float()
    size = reads.shape[0] - 2 * padding
    if size < 1 or padding < 0:
        raise ValueError(f"reads of {tuple(reads.shape)} leave no image inside a padding of {padding}")
    picture, (left, right) = _side_by_side([reads.shape[1], output_size], [reads.shape[0], output_size], largest=0.38)
    _bare(left)
    left.imshow(reads.masked_fill(reads == 0, math.nan).numpy(), cmap="viridis", vmin=0, vmax=9)
    for row, column in _places(reads):
        value = int(reads[row, column])
        inside = padding <= row < padding + size and padding <= column < padding + size
        if not inside:
            left.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color="#e4e4e4", linewidth=0))
        color = WRONG if value == 0 else INK if not inside or value > 5 else "#ffffff"
        left.text(column, row, value, ha="center", va="center", color=color, weight="normal" if value else "bold")
    _frame(left, padding, padding, size, size)
    left.set_title("times each pixel is read")
    _cells(right, torch.zeros(output_size, output_size), 1, shown=torch.zeros(output_size, output_size).bool())
    right.set_title(f"output {output_size} × {output_size}")
    return picture


@_house_style
def regions(image: Tensor, boxes: Mapping[str, tuple[int, int, int, int]]) -> Picture:
    """An image with outlined regions, and beside it what each outline is and how large.

    Args:
        image: (C, H, W), pixels in [0, 1].
        boxes: name -> (top, left, height, width) in pixels, at most 6.

    Raises:
        ValueError: an image of another shape; no region, or more than there are colours for.
    """
    image = _checked("image", image, "C", "H", "W").float()
    if not 1 <= len(boxes) <= 6:
        raise ValueError(f"boxes must hold 1 to 6 regions, got {len(boxes)}")
    picture = Picture(figsize=(WIDTH, 3.2))
    left, right = picture.subplots(1, 2, width_ratios=(1, 1))
    _show(left, image.permute(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    _bare(right)
    right.set(xlim=(0, 1), ylim=(6, -1))
    for index, (name, (top, across, height, width)) in enumerate(boxes.items()):
        # dark blue and purple drown on black ink, so the light colours come first
        color = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#f0e442")[index]
        _frame(left, top, across, height, width, edgecolor=color, zorder=3 + 1 / height)  # small ones on top
        right.add_patch(Rectangle((0.02, index - 0.3), 0.08, 0.6, fill=False, edgecolor=color, linewidth=3))
        right.text(0.17, index, f"{name}: {height} × {width}", va="center")
    return picture


@_house_style
def shares(columns: Mapping[str, Sequence[float]], names: Sequence[str]) -> Picture:
    """How several totals divide over the same names: one panel of bars a total.

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
        axes.barh(range(len(names)), values, color=COLORS[index], height=0.7)
        for row, value in enumerate(values):
            axes.text(value + 0.02 * max(values), row, f"{value / sum(values):.2%}" if value else "0", va="center")
        axes.set(title=f"{title}\n{sum(values):,}", xticks=[], xlim=(0, max(values) * 1.5))
        axes.set(ylim=(len(names) - 0.5, -0.5))
        axes.set_yticks(range(len(names)), names if index == 0 else [""] * len(names))
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
    return picture


@_house_style
def curves(histories: Mapping[str, object]) -> Picture:
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


@_house_style
def occluded(
    image: Tensor, probability: Tensor, predicted: Tensor, label: int, classes: Sequence[str], *, window: int, stride=1
) -> Picture:
    """What a covered window does at every position: the image, the probability of its class, the predicted class.

    The image is framed where the window costs most. In the maps, every position is drawn at the window's centre.

    Args:
        image: (C, H, W), pixels in [0, 1].
        probability: (rows, columns), of the image's class, from 0 to 1.
        predicted: (rows, columns) int64, the most likely class.
        label: the image's class.
        classes: K names.
        window: height and width of what was covered, in pixels.
        stride: pixels from one position to the next.

    Raises:
        ValueError: shapes that do not fit together; more than six other classes predicted.
    """
    image = _checked("image", image, "C", "H", "W").float()
    probability = _checked("probability", probability, "rows", "columns").float()
    predicted = _checked("predicted", predicted, "rows", "columns")
    if predicted.shape != probability.shape:
        raise ValueError(f"predicted must have shape {tuple(probability.shape)}, got {tuple(predicted.shape)}")
    others = [int(each) for each in predicted.unique() if each != label]
    if len(others) > len(COLORS):
        raise ValueError(f"there are colours for {len(COLORS)} other classes, got {len(others)}")
    height, width = image.shape[1:]
    side = (WIDTH - 1.1) / 3
    picture = Picture(figsize=(WIDTH, side * height / width + 3.2 * LINE), layout="compressed")
    panels = picture.subplots(1, 3)
    _show(panels[0], image.permute(1, 2, 0).clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    row, column = divmod(int(probability.argmin()), probability.shape[1])
    _frame(panels[0], row * stride, column * stride, window, window, edgecolor=MARK, linewidth=2.5)
    panels[0].set_title(f"image: {classes[label]}")

    first, (rows, columns) = window / 2 - 0.5 - stride / 2, probability.shape
    extent = (first, first + columns * stride, first + rows * stride, first)
    colors = torch.ones(rows, columns, 3)
    for other, color in zip(others, COLORS, strict=False):
        colors[predicted == other] = torch.tensor([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    drawn = panels[1].imshow(
        probability.numpy(), extent=extent, cmap="viridis", vmin=0, vmax=1, interpolation="nearest"
    )
    panels[2].imshow(colors.numpy(), extent=extent, interpolation="nearest")
    for axes, title in zip(panels[1:], ("its probability", "predicted class"), strict=True):
        _bare(axes)
        axes.spines[:].set(visible=True, color="#b5b5b5", linewidth=0.8)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), title=title)
    picture.colorbar(drawn, ax=panels[1], ticks=[0, 1], format=PercentFormatter(1), shrink=0.75)
    names = [Rectangle((0, 0), 1, 1, facecolor="white", edgecolor="#b5b5b5", label=classes[label])]
    names += [Rectangle((0, 0), 1, 1, facecolor=c, label=classes[o]) for o, c in zip(others, COLORS, strict=False)]
    picture.legend(handles=names, loc="outside lower right", ncols=min(len(names), 7))
    return picture


@_house_style
def lines(
    x: Sequence[float],
    series: Mapping[str, object],
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
    x = _checked("x", x, "N")
    if not 1 <= len(series) <= len(COLORS):
        raise ValueError(f"series must hold 1 to {len(COLORS)} lines, got {len(series)}")
    if logarithmic not in ("", "x", "y", "xy"):
        raise ValueError(f"logarithmic must be '', 'x', 'y' or 'xy', got {logarithmic!r}")
    picture = Picture(figsize=(WIDTH, 3.4 + LINE * math.ceil(len(series) / 2)), layout="compressed")
    axes = picture.subplots()
    for color, (name, given) in zip(COLORS, series.items(), strict=False):
        values, *band = given if isinstance(given, tuple) else (given,)
        values, *band = (_checked(name, each, "N") for each in (values, *band))
        if len(band) not in (0, 2) or any(len(each) != len(x) for each in (values, *band)):
            raise ValueError(f"{name!r} must be {len(x)} values, or three times as many for a band, as x is")
        axes.plot(x, values, color=color, marker="o" if len(x) <= 12 else "", label=name)
        if band:
            axes.fill_between(x, *band, color=color, alpha=0.2, linewidth=0)
    if mark is not None:
        axes.axvline(mark, color=INK, linewidth=1.5)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if "x" in logarithmic:
        axes.set_xscale("log")
    if "y" in logarithmic:
        axes.set_yscale("log")
    axes.grid(axis="y")
    if percent:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    if len(series) > 1:
        picture.legend(loc="outside upper center", ncols=2)
    return picture


@_house_style
def confusion(matrix: Tensor, classes: Sequence[str]) -> Picture:
    """A confusion matrix: each row a true class, each column a predicted one; only mistakes are coloured.

    Args:
        matrix: (K, K), counts: matrix[true, predicted].
        classes: K names.

    Raises:
        ValueError: a matrix that is not square, or names that do not fit it.
    """
    matrix = _checked("matrix", matrix, "K", "K")
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
    for row, column in _places(matrix):
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


@_house_style
def confidence_histogram(confidences: Tensor, right: Tensor, threshold: float) -> Picture:
    """How confident a network was when it was right and when it was wrong, with a line at the threshold.

    Args:
        confidences: (N,), from 0 to 1.
        right: (N,) bool, whether each prediction was right.
        threshold: predictions below it are drawn pale: they would be withheld.

    Raises:
        ValueError: shapes that do not fit together; a threshold outside 0 to 1.
    """
    confidences, right = _checked("confidences", confidences, "N").float(), _checked("right", right, "N").bool()
    if len(confidences) != len(right):
        raise ValueError(f"right must have {len(confidences)} entries, one for each confidence, got {len(right)}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be from 0 to 1, got {threshold}")
    edges = torch.linspace(0, 1, 21)
    picture = Picture(figsize=(WIDTH, 3.8))
    panels = picture.subplots(2, 1, sharex=True)
    for axes, hits, color, name in ((panels[0], right, RIGHT, "right"), (panels[1], ~right, WRONG, "wrong")):
        counts = torch.histogram(confidences[hits], edges).hist
        kept = edges[:-1] >= threshold - 1e-6
        axes.bar(
            edges[:-1].tolist(),
            counts.tolist(),
            0.05,
            align="edge",
            color=[color if keep else "#cfcfcf" for keep in kept],
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


@_house_style
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
    table = _checked("table", table, "R", "C").float()
    if (len(rows), len(columns)) != tuple(table.shape) or table.shape[1] > 12:
        raise ValueError(f"table must be {len(rows)} × {len(columns)}, at most 12 wide, got {tuple(table.shape)}")
    if (table < 0).any() or (table > 1).any():
        raise ValueError(f"table must hold fractions from 0 to 1, got {table.nan_to_num().aminmax()}")
    picture = Picture(figsize=(WIDTH, min(WIDTH, 2.2 + 0.55 * len(rows))))
    axes = picture.subplots()
    drawn = axes.imshow(table.numpy(), cmap="magma_r", vmin=0, vmax=1, aspect="auto")
    axes.set_facecolor("#ededed")
    for row, column in _places(table):
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


@_house_style
def attack(
    image: Tensor,
    result: Tensor,
    before: Tensor,
    after: Tensor,
    names: Sequence[str],
    *,
    gain: float = 10.0,
    captions=(),
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
    image, result = _checked("image", image, "C", "H", "W").float(), _checked("result", result, "C", "H", "W").float()
    before, after = _checked("before", before, "n"), _checked("after", after, "n")
    if image.shape != result.shape:
        raise ValueError(f"result must have the image's shape {tuple(image.shape)}, got {tuple(result.shape)}")
    if not len(before) == len(after) == len(names):
        raise ValueError(f"before and after must have {len(names)} entries, got {len(before)} and {len(after)}")
    if len(captions) not in (0, 2):
        raise ValueError(f"captions must be two, got {len(captions)}")
    if not gain > 0:
        raise ValueError(f"gain must be above zero, got {gain}")
    first, last = captions or [f"{names[int(each.argmax())]} {_percent(float(each.max()))}" for each in (before, after)]
    difference = 0.5 + gain * (result - image)
    pictures = ((first, image), (f"difference × {gain:g}", difference), (last, result))
    bars = 0.3 * len(names) + LINE
    picture = Picture(figsize=(WIDTH, 2.4 + bars))
    top, bottom = picture.subfigures(2, 1, height_ratios=(2.4, bars))
    for axes, (caption, shown) in zip(top.subplots(1, 3), pictures, strict=True):
        _show(axes, shown.permute(1, 2, 0).clamp(0, 1), cmap="gray", vmin=0, vmax=1)
        axes.set_title(caption, pad=4)
    axes = bottom.subplots()
    for shares, place, color in ((before, -0.2, "#b5b5b5"), (after, 0.2, WRONG)):
        rows = [row + place for row in range(len(names))]
        axes.barh(rows, shares.tolist(), 0.38, color=color, label="before" if place < 0 else "after")
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xlabel="confidence")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    bottom.legend(loc="outside right center")
    return picture


@_house_style
def kernels(kernels: Tensor) -> Picture:
    """The filters of a convolution: in colour where they read colours, else each weight red above zero, blue below.

    Args:
        kernels: (K, C, h, w), signed weights. One channel: a map for each filter. Three: a colour image for each, in
            which mid-grey is zero and the largest weight of the layer is full strength. More: a row for each filter and
            a map for each of its channels.

    Raises:
        ValueError: kernels of another shape, or more than ten channels beside each other.
    """
    kernels = _checked("kernels", kernels, "K", "C", "h", "w").float()
    count, channels = kernels.shape[:2]
    largest = float(kernels.abs().max()) or 1.0
    if channels == 3:
        return _images(0.5 + kernels / (2 * largest), (), 8, ())
    if channels == 1:
        return _maps(kernels[:, 0], (), 8, None, "weight", "RdBu_r", symmetric=True)
    if channels > 10:
        raise ValueError(f"kernels must have 1, 3 or at most 10 channels to be drawn, got {channels}")
    picture, grid = _grid(count * channels, (), channels, tuple(kernels.shape[2:]), room=2.0)
    for index, (axes, weights) in enumerate(zip(grid, kernels.flatten(0, 1), strict=True)):
        drawn = _show(axes, weights, cmap="RdBu_r", vmin=-largest, vmax=largest)
        if index < channels:
            axes.set_title(str(index), pad=4)
        if index % channels == 0:
            axes.set_ylabel(f"filter {index // channels}", rotation=0, ha="right", va="center")
    picture.suptitle("channel")
    _scale(picture, list(grid), drawn, "weight", symmetric=True)
    return picture


@_house_style
def channels(image: Tensor, maps: Tensor, *, caption: str = "", label: str = "activation") -> Picture:
    """An image, and beside it the maps that a layer makes of it, numbered along the rows, on one scale from zero up.

    Args:
        image: (C, H, W), pixels in [0, 1].
        maps: (N, h, w), activations from zero up; N at most 64.
        caption: a text above the maps.
        label: what the numbers are, written beside the colour bar.

    Raises:
        ValueError: an image or maps of another shape; more than 64 maps.
    """
    image, maps = _checked("image", image, "C", "H", "W").float(), _checked("maps", maps, "N", "h", "w").float()
    if len(maps) > 64:
        raise ValueError(f"channels has room for 64 maps, got {len(maps)}")
    rows = math.ceil(len(maps) / 8)
    picture = Picture(figsize=(WIDTH, max(1.7, 0.55 * rows + 2 * LINE)))
    left, right = picture.subplots(1, 2, width_ratios=(1, 3))
    _show(left, image.permute(1, 2, 0).clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    left.set_title("image")
    sheet, gap = _sheet(maps, 8), max(1, round(maps.shape[2] / 16))
    if gap > 1:
        sheet = _sheet(torch.nn.functional.pad(maps, [0, gap - 1] * 2, value=math.nan), 8)
    drawn = right.imshow(sheet.numpy(), interpolation="nearest", cmap="viridis", vmin=0)
    _bare(right)
    right.set_title(caption)
    right.set_yticks(
        [row * (maps.shape[1] + gap) + (maps.shape[1] - 1) / 2 for row in range(rows)],
        [f"{8 * row}–{min(8 * row + 7, len(maps) - 1)}" for row in range(rows)],
    )
    right.tick_params(length=0)
    _scale(picture, [right], drawn, label, symmetric=False)
    return picture


@_house_style
def framed(images: Tensor, boxes: Tensor, *, captions: Sequence[str] = (), columns: int | None = None) -> Picture:
    """Images with a rectangle outlined in each.

    Args:
        images: (N, C, H, W), pixels in [0, 1].
        boxes: (N, 4): top, left, height and width in pixels.
        captions: one text an image, or none at all.
        columns: images in a row.

    Raises:
        ValueError: shapes that do not fit together.
    """
    boxes = _checked("boxes", boxes, "N", "4")
    _check_length("boxes", boxes, len(images))
    picture = _images(images, captions, columns, ())
    for axes, (top, left, height, width) in zip(picture.axes, boxes.tolist(), strict=False):
        _frame(axes, top, left, height, width, linewidth=2)
    return picture


@_house_style
def dots(values: Tensor, labels: Tensor, classes: Sequence[str], *, marked: Tensor, xlabel: str, legend: str):
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
    values, labels = _checked("values", values, "N").float(), _checked("labels", labels, "N")
    marked = _checked("marked", marked, "M")
    if len(labels) != len(values):
        raise ValueError(f"labels must have {len(values)} entries, one for each value, got {len(labels)}")
    picture = Picture(figsize=(WIDTH, 0.34 * len(classes) + 3 * LINE))
    axes = picture.subplots()
    heights = labels + (torch.arange(len(values)) * 0.618 % 1 - 0.5) * 0.7  # spread evenly, and always the same
    axes.plot(values, heights, ".", color="#9a9a9a", markersize=3, alpha=0.5)
    axes.plot(values[marked], heights[marked], "o", color=WRONG, markersize=5, label=legend)
    axes.set(xlabel=xlabel, ylim=(len(classes) - 0.5, -0.5))
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(axis="y", length=0)
    picture.legend(loc="outside upper right")
    return picture


@_house_style
def scatter(points: Tensor, groups: Mapping[str, Tensor], *, xlabel: str = "", ylabel: str = "") -> Picture:
    """Points in a plane, some groups of them in colours, the others grey.

    Args:
        points: (N, 2).
        groups: name -> indices of its points, at most 6 groups.
        xlabel: what the first number is.
        ylabel: what the second number is.

    Raises:
        ValueError: points of another shape; no group, or more than there are colours for.
    """
    points = _checked("points", points, "N", "2").float()
    if not 1 <= len(groups) <= len(COLORS) or points.shape[1] != 2:
        raise ValueError(f"points must have shape (N, 2) and 1 to {len(COLORS)} groups, got {tuple(points.shape)}")
    picture = Picture(figsize=(WIDTH, 4.4))
    axes = picture.subplots()
    axes.plot(*points.T, ".", color="#c4c4c4", markersize=4, label="all others")
    for color, (name, indices) in zip(COLORS, groups.items(), strict=False):
        axes.plot(*points[torch.as_tensor(indices)].T, ".", color=color, markersize=6, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    picture.legend(loc="outside upper left", ncols=2, markerscale=2)
    return picture


@_house_style
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


def palette(*, signed: bool) -> Tensor:
    """The colours that a map is drawn in, from the lowest number to the highest: those of `signed`, or of `heat`.

    Returns:
        (256, 3) uint8: red, green and blue.
    """
    colors = matplotlib.colormaps["RdBu_r" if signed else "viridis"](range(256), bytes=True)
    return torch.from_numpy(colors)[:, :3].contiguous()
