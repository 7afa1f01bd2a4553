"""What the figures share: checks, numbers as text, images, grids, outlines and colour bars."""

import math
from collections.abc import Iterator, Sequence, Sized
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from labkit.plot.colors import MARK, RIM
from labkit.plot.encoding import TRUE_COLORS
from labkit.plot.style import LETTER, LINE, WIDTH, Picture


def checked(name: str, values: Tensor | Sequence, *shape: str) -> Tensor:
    """Values as a tensor on the CPU with one dimension for each letter of shape, else a ValueError."""
    tensor = torch.as_tensor(values).detach().cpu()
    if tensor.ndim != len(shape) or 0 in tensor.shape:
        raise ValueError(f"{name} must have shape ({', '.join(shape)}), got {tuple(tensor.shape)}")
    return tensor


def check_length(name: str, values: Sized, count: int) -> None:
    """That there is one entry for each of count images, else a ValueError."""
    if len(values) != count:
        raise ValueError(f"{name} must have {count} entries, one for each image, got {len(values)}")


def number(value: float) -> str:
    """At most two digits after the point, with a minus sign and not a hyphen."""
    return f"{value + 0:.2f}".rstrip("0").rstrip(".").replace("-", "−")


def percent(probability: float) -> str:
    """A probability in whole percents, never rounded up to certainty or down to nothing: ">99%", "58%", "<1%"."""
    return ">99%" if probability >= 0.995 else "<1%" if probability < 0.005 else f"{probability:.0%}"


def bare(axes: Axes) -> None:
    """Take away ticks and frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def show_pixels(axes: Axes, image: Tensor) -> None:
    """Draw an image (C, H, W) with pixels in [0, 1], one channel of them in grey."""
    show(axes, image.permute(1, 2, 0).clamp(0, 1).float(), cmap="gray", vmin=0, vmax=1)


def show(axes: Axes, image: Tensor, **options: Any) -> AxesImage:
    """Draw one image (H, W) or (H, W, 3): pixels as squares while they are few, smoothly when they are many."""
    bare(axes)
    axes.spines[:].set(visible=True, color=RIM, linewidth=0.8)  # white images end where the white page begins
    interpolation = "nearest" if max(image.shape[:2]) <= 64 else "antialiased"
    return axes.imshow(image.numpy(), interpolation=interpolation, **options)


def image_grid(
    count: int, captions: Sequence[str], columns: int | None, shape: Sequence[int], room: float = 0.0
) -> tuple[Picture, list[Axes]]:
    """A picture with a grid of empty axes for count images of the given shape, and room inches for a colour bar."""
    lines = [line for caption in captions for line in caption.split("\n")]
    longest = max(map(len, lines), default=0)
    if columns is None:
        fit = int((WIDTH - room) / max(0.64, LETTER * longest + 0.16))
        rows = math.ceil(count / max(1, min(fit, 10)))
        columns = math.ceil(count / rows)
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    side = min((WIDTH - room) / columns - 0.16, 2.6)
    text = LINE * max((caption.count("\n") + 1 for caption in captions), default=0)
    height = rows * (side * shape[0] / shape[1] + text + 0.16) + 0.1
    picture = Picture(figsize=(WIDTH, height), layout="compressed")
    grid = picture.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return picture, list(grid[:count])


def color_bar(
    picture: Picture,
    grid: Sequence[Axes],
    drawn: AxesImage,
    label: str = "",
    *,
    above: bool = False,
    symmetric: bool = False,
    percent: bool = False,
) -> None:
    """The colour bar of these axes, to their right or above; its numbers are symmetric around 0, or percents."""
    options = {"location": "top", "shrink": 0.6, "aspect": 25} if above else {"shrink": 0.9, "aspect": 16}
    bar = picture.colorbar(drawn, ax=list(grid), pad=0.02, **options)
    bar.outline.set_visible(False)
    if percent:
        bar.formatter = PercentFormatter(1)
    if not above:
        bar.locator = MaxNLocator(min(6, max(2, int(2 * picture.get_figheight()))), symmetric=symmetric)
    bar.set_label(label)
    bar.ax.set_gid(TRUE_COLORS)


def places(values: Tensor) -> Iterator[tuple[int, int]]:
    """(row, column) of every number of a matrix, in reading order."""
    return ((row, column) for row in range(values.shape[0]) for column in range(values.shape[1]))


def outline(axes: Axes, row: float, column: float, height: float, width: float, **options: Any) -> None:
    """Outline a block of pixels whose top left one is (row, column)."""
    look = {"fill": False, "edgecolor": MARK, "linewidth": 3, "zorder": 3, "clip_on": False} | options
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), width, height, **look))


def contact_sheet(axes: Axes, maps: Tensor, columns: int, *, gap: int = 1) -> AxesImage:
    """Draw maps (N, h, w) from zero up in rows, with a gap of some pixels between them, all on one scale."""
    bare(axes)
    count, height, width = maps.shape
    top, rows = float(maps.max()) or 1.0, math.ceil(count / columns)
    tiles = []
    for index, values in enumerate(maps.numpy()):
        above, left = index // columns * (height + gap) - 0.5, index % columns * (width + gap) - 0.5
        edges = (left, left + width, above + height, above)
        tiles.append(axes.imshow(values, extent=edges, interpolation="nearest", cmap="viridis", vmin=0, vmax=top))
    axes.set(xlim=(-0.5, columns * (width + gap) - gap - 0.5), ylim=(rows * (height + gap) - gap - 0.5, -0.5))
    return tiles[0]
