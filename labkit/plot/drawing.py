"""What the figures share: checks, numbers as text, images, grids, outlines and colour bars."""

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from labkit.plot.colors import MARK
from labkit.plot.style import LETTER, LINE, WIDTH, Picture


def checked(name: str, values, *shape: str) -> Tensor:
    """Values as a tensor on the CPU with one dimension for each letter of shape, else a ValueError."""
    tensor = torch.as_tensor(values).detach().cpu()
    if tensor.ndim != len(shape) or 0 in tensor.shape:
        raise ValueError(f"{name} must have shape ({', '.join(shape)}), got {tuple(tensor.shape)}")
    return tensor


def check_length(name: str, values: Sequence, count: int) -> None:
    if len(values) != count:
        raise ValueError(f"{name} must have {count} entries, one for each image, got {len(values)}")


def number(value: float) -> str:
    return f"{value + 0:.2f}".rstrip("0").rstrip(".").replace("-", "−")


def in_percent(share: float) -> str:
    """A confidence in whole percents that is never rounded up to certainty, nor down to nothing."""
    return ">99%" if share >= 0.995 else "<1%" if share < 0.005 else f"{share:.0%}"


def bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def show_pixels(axes: Axes, image: Tensor) -> None:
    """Draw an image (C, H, W) with pixels in [0, 1], one channel of them in grey."""
    show(axes, image.permute(1, 2, 0).clamp(0, 1).float(), cmap="gray", vmin=0, vmax=1)


def show(axes: Axes, image: Tensor, **options):
    """Draw one image (H, W) or (H, W, 3): pixels as squares while they are few, smoothly when they are many."""
    bare(axes)
    axes.spines[:].set(visible=True, color="#b5b5b5", linewidth=0.8)  # white images end where the white page begins
    interpolation = "nearest" if max(image.shape[:2]) <= 64 else "antialiased"
    return axes.imshow(image.numpy(), interpolation=interpolation, **options)


def image_grid(count: int, captions: Sequence[str], columns: int | None, shape: tuple[int, int], room: float = 0.0):
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


def color_bar(picture: Figure, grid: list[Axes], drawn, label: str, *, symmetric: bool) -> None:
    """The colour bar of a map, to the right of all the axes it holds for."""
    bar = picture.colorbar(drawn, ax=grid, shrink=0.9, aspect=16, pad=0.02)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(min(6, max(2, int(2 * picture.get_figheight()))), symmetric=symmetric)
    bar.set_label(label)


def places(values: Tensor):
    return ((row, column) for row in range(values.shape[0]) for column in range(values.shape[1]))


def outline(axes: Axes, row: float, column: float, height: float, width: float, **options) -> None:
    """Outline a block of pixels whose top left one is (row, column)."""
    look = {"fill": False, "edgecolor": MARK, "linewidth": 3, "zorder": 3, "clip_on": False} | options
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), width, height, **look))


def contact_sheet(maps: Tensor, columns: int) -> Tensor:
    """Maps (N, h, w) laid out in a grid with empty lines of one pixel between them."""
    rows = math.ceil(len(maps) / columns)
    height, width = maps.shape[1] + 1, maps.shape[2] + 1
    sheet = torch.full((rows * height - 1, columns * width - 1), math.nan)
    for index, values in enumerate(maps):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height - 1, left : left + width - 1] = values
    return sheet
