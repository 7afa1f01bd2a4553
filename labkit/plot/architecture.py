"""The network itself: its stages from the image to the answer, with "you are here"."""

import math
from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from labkit.plot.colors import CORRECT, EMPTY, INK, RIM
from labkit.plot.drawing import bare
from labkit.plot.style import LINE, WIDTH, Picture, house_style

TALLEST = 0.9  # inches, of the tallest stage


@house_style
def architecture(stages: Mapping[str, Sequence[int]], *, here: Collection[str] = ()) -> Picture:
    """A network from left to right: a sheet for each feature map, a bar for each row of numbers.

    Heights follow the size of the maps, and more sheets mean more channels; both are drawn on a scale that grows more
    slowly than the numbers, which are written below.

    Args:
        stages: name -> shape of what comes out of it, (C, H, W) or (N,), in the order in which they run.
        here: the stages to draw in colour.

    Raises:
        ValueError: fewer than two stages or more than eight; a shape of another kind; here that is no stage.
    """
    if not 2 <= len(stages) <= 8:
        raise ValueError(f"stages must hold 2 to 8 stages, got {len(stages)}")
    if unknown := sorted(set(here) - set(stages)):
        raise ValueError(f"here must name stages among {list(stages)}, got {unknown}")
    for name, shape in stages.items():
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise ValueError(f"{name} must have shape (C, H, W) or (N,), got {tuple(shape)}")
    picture = Picture(figsize=(WIDTH, TALLEST + 4.2 * LINE))
    picture.set_layout_engine("none")
    width, height = picture.get_size_inches()
    axes = picture.add_axes((0, 0, 1, 1))
    bare(axes)
    axes.set(xlim=(0, width), ylim=(0, height))
    room, middle = width / len(stages), height - 0.6 * LINE - TALLEST / 2
    largest = max((shape[1] for shape in stages.values() if _is_maps(shape)), default=1)
    times = " × " if len(stages) < 8 else "×"
    end = 0.0  # of the stage before
    for index, (name, shape) in enumerate(stages.items()):
        center = (index + 0.5) * room
        reach = _draw(axes, shape, center, middle, largest, room, CORRECT if name in here else EMPTY)
        size = "\n".join([str(shape[0]), times.join(map(str, shape[1:]))] if _is_maps(shape) else [str(shape[0])])
        axes.text(center, 3.2 * LINE, name, ha="center", va="top", weight="bold" if name in here else "normal")
        axes.text(center, 2.1 * LINE, size, ha="center", va="top", color=INK, linespacing=1.1)
        if index:
            axes.annotate("", (center - reach, middle), (end, middle), arrowprops={"arrowstyle": "->", "color": INK})
        end = center + reach
    return picture


def _is_maps(shape: Sequence[int]) -> bool:
    return len(shape) == 3


def _draw(
    axes: Axes, shape: Sequence[int], center: float, middle: float, largest: int, room: float, color: str
) -> float:
    """Draw one stage and return how far it reaches from its center, in inches."""
    look = {"facecolor": color, "edgecolor": RIM if color == EMPTY else INK, "linewidth": 0.8}
    if not _is_maps(shape):
        height, width = TALLEST * min(1.0, 0.25 + math.log10(shape[0]) / 4), 0.14
        axes.add_patch(Rectangle((center - width / 2, middle - height / 2), width, height, **look))
        return width / 2 + 0.05
    side = 0.62 * room * math.sqrt(shape[1] / largest)
    sheets = 1 + round(math.log2(shape[0]) / 2)
    step = 0.04
    for sheet in range(sheets):
        shift = step * ((sheets - 1) / 2 - sheet)
        axes.add_patch(Rectangle((center - side / 2 + shift, middle - side / 2 + shift), side, side, **look))
    return side / 2 + step * (sheets - 1) / 2 + 0.03
