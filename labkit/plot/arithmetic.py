"""Convolution as arithmetic: small matrices with their numbers, and a filter that slides."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Real
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from labkit.plot.colors import EMPTY, INK, RIM, WRONG
from labkit.plot.drawing import bare, check_length, checked, number, outline, places
from labkit.plot.style import LINE, WIDTH, Picture, house_style


@house_style
def matrices(matrices: Sequence[Real[Tensor, "_ _"]], *, captions: Sequence[str] = ()) -> Picture:
    """Small matrices side by side, each number in its square, tinted red above zero and blue below.

    Args:
        matrices: tensors (H, W), together at most 24 columns wide.
        captions: one text a matrix, or none at all.

    Raises:
        ValueError: a matrix of another shape; too many columns to print their numbers; captions not one a matrix.
    """
    matrices = [checked("each matrix", matrix, "H", "W").float() for matrix in matrices]
    widths = [matrix.shape[1] for matrix in matrices]
    if not matrices or sum(widths) > 24:
        raise ValueError(f"matrices must be 1 to 24 columns wide together, got {sum(widths)}")
    if len(captions):
        check_length("captions", captions, len(matrices))
    limit = max(float(matrix.abs().max()) for matrix in matrices) or 1.0
    picture, grid = _side_by_side(widths, [matrix.shape[0] for matrix in matrices])
    for index, (axes, matrix) in enumerate(zip(grid, matrices, strict=True)):
        _cells(axes, matrix, limit)
        if len(captions):
            axes.set_title(captions[index])
    return picture


@house_style
def sliding(
    image: Real[Tensor, "h w"], kernel: Real[Tensor, "f f"], output: Real[Tensor, "rows columns"], step: int
) -> Picture:
    """A filter on its way over a small image: where it lies, the products, and the outputs written so far.

    Args:
        image: (H, W), as the filter meets it, any padding included.
        kernel: (F, F), the filter.
        output: (rows, columns), the finished result at stride 1.
        step: which output is being computed, counted from 0 in reading order.

    Raises:
        ValueError: shapes that do not fit together; a step that is no position.
    """
    image, kernel = checked("image", image, "H", "W").float(), checked("kernel", kernel, "F", "F").float()
    output = checked("output", output, "rows", "columns").float()
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
    outline(grid[0], row, column, size, size)
    outline(grid[3], row, column, 1, 1)
    for axes, symbol in zip(grid, ("×", "=", "→"), strict=False):
        axes.text(1 + 0.5 / _columns(axes), 0.5, symbol, transform=axes.transAxes, ha="center", va="center")
    grid[2].set_xlabel(f"sum {number(float(products.sum()))}")
    return picture


@house_style
def windows(reads: Real[Tensor, "size size"], padding: int, output_size: int) -> Picture:
    """How often a sliding filter reads each pixel, padding included, and the size of what it writes.

    Args:
        reads: (W + 2P, W + 2P), the number of filter positions that cover each pixel.
        padding: P, the pixels added on each side, drawn hatched.
        output_size: outputs along each side.

    Raises:
        ValueError: reads of another shape, or too small for the padding.
    """
    reads = checked("reads", reads, "W + 2P", "W + 2P").float()
    size = reads.shape[0] - 2 * padding
    if size < 1 or padding < 0:
        raise ValueError(f"reads of {tuple(reads.shape)} leave no image inside a padding of {padding}")
    picture, (left, right) = _side_by_side([reads.shape[1], output_size], [reads.shape[0], output_size], largest=0.38)
    bare(left)
    left.imshow(reads.masked_fill(reads == 0, math.nan).numpy(), cmap="viridis", vmin=0, vmax=9)
    for row, column in places(reads):
        value = int(reads[row, column])
        inside = padding <= row < padding + size and padding <= column < padding + size
        if not inside:
            left.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=EMPTY, linewidth=0))
        color = WRONG if value == 0 else INK if not inside or value > 5 else "#ffffff"
        left.text(column, row, str(value), ha="center", va="center", color=color, weight="normal" if value else "bold")
    outline(left, padding, padding, size, size)
    left.set_title("times each pixel is read")
    _cells(right, torch.zeros(output_size, output_size), 1, shown=torch.zeros(output_size, output_size).bool())
    right.set_title(f"output {output_size} × {output_size}")
    return picture


def _cells(axes: Axes, values: Tensor, limit: float, *, shown: Tensor | None = None) -> None:
    """A small matrix (H, W) as squares, each with its number in it; those not shown stay empty."""
    bare(axes)
    shown = torch.ones_like(values, dtype=torch.bool) if shown is None else shown
    axes.imshow(values.where(shown, torch.zeros(())).numpy(), cmap="RdBu_r", vmin=-2 * limit, vmax=2 * limit)
    for (row, column), value in ((place, float(values[place])) for place in places(values)):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=RIM, linewidth=0.8))
        if shown[row, column]:
            axes.text(column, row, number(value), ha="center", va="center")


def _side_by_side(widths: Sequence[int], heights: Sequence[int], largest: float = 0.45) -> tuple[Picture, list[Axes]]:
    """A picture with one empty axes a matrix, all with squares of the same size."""
    gap = 1.0  # of a square, between two matrices
    square = min(WIDTH / (sum(widths) + gap * len(widths)), largest)
    tallest = square * max(heights)
    picture = Picture(figsize=(WIDTH, tallest + 2 * LINE))
    picture.set_layout_engine("none")
    height = picture.get_size_inches()[1]
    left = (WIDTH - square * (sum(widths) + gap * (len(widths) - 1))) / 2
    grid = []
    for width, rows in zip(widths, heights, strict=True):
        bottom = 0.5 * LINE + (tallest - square * rows) / 2  # all centred, the tallest with room for its title
        place = (left / WIDTH, bottom / height, square * width / WIDTH, square * rows / height)
        grid.append(picture.add_axes(place))
        left += square * (width + gap)
    return picture, grid


def _columns(axes: Axes) -> int:
    return axes.images[0].get_size()[1]
