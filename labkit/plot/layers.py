"""Inside a network: its filters, the maps of a layer, and an image on its way through."""

import math
from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from labkit.plot.bars import draw_bars
from labkit.plot.drawing import checked, color_bar, contact_sheet, image_grid, show, show_pixels
from labkit.plot.galleries import gallery
from labkit.plot.maps import draw_maps
from labkit.plot.style import LINE, WIDTH, Picture, house_style


@house_style
def forward_pass(
    image: Float[Tensor, "c h w"],
    stages: Mapping[str, Tensor],
    logits: Float[Tensor, " k"],
    classes: Sequence[str],
) -> Picture:
    """An image on its way through a network: some of its layers as sheets of small maps, and the verdict.

    Args:
        image: (C, H, W), pixels in [0, 1].
        stages: one or two layers, name -> activations (channels, h, w) from zero up, each stage on a scale of its own.
        logits: (K,), the scores at the end.
        classes: K names.

    Raises:
        ValueError: shapes that do not fit together; more than two stages.
    """
    image = checked("image", image, "C", "H", "W").float()
    logits = checked("logits", logits, "K")
    if not 1 <= len(stages) <= 2:
        raise ValueError(f"stages must hold one or two layers, got {len(stages)}")
    if len(classes) != len(logits):
        raise ValueError(f"classes must name all {len(logits)} logits, got {len(classes)} names")
    picture = Picture(figsize=(WIDTH, LINE * max(8, len(classes) + 3)))
    grid = picture.subplots(1, len(stages) + 2, width_ratios=[1] + [1.15] * len(stages) + [1.2])
    show_pixels(grid[0], image)
    grid[0].set_title("image")
    for axes, (name, maps) in zip(grid[1:], stages.items(), strict=False):
        contact_sheet(axes, checked(name, maps, "channels", "h", "w").float(), columns=4)
        axes.set_title(name)
    draw_bars(grid[-1], logits.softmax(0), classes)
    grid[-1].set_title("confidence")
    return picture


@house_style
def kernels(kernels: Float[Tensor, "k c h w"]) -> Picture:
    """The filters of a convolution: in colour where they read colours, else each weight red above zero, blue below.

    Args:
        kernels: (K, C, h, w), signed weights. One channel: a map for each filter. Three: a colour image for each, in
            which mid-grey is zero and the largest weight of the layer is full strength. More: a row for each filter and
            a map for each of its channels.

    Raises:
        ValueError: kernels of another shape, or more than ten channels beside each other.
    """
    kernels = checked("kernels", kernels, "K", "C", "h", "w").float()
    count, channels = kernels.shape[:2]
    largest = float(kernels.abs().max()) or 1.0
    if channels == 3:
        return gallery(0.5 + kernels / (2 * largest), (), 8, ())
    if channels == 1:
        return draw_maps(kernels[:, 0], (), 8, None, "weight", "RdBu_r", symmetric=True)
    if channels > 10:
        raise ValueError(f"kernels must have 1, 3 or at most 10 channels to be drawn, got {channels}")
    picture, grid = image_grid(count * channels, (), channels, tuple(kernels.shape[2:]), room=2.0)
    drawn = [
        show(axes, weights, cmap="RdBu_r", vmin=-largest, vmax=largest)
        for axes, weights in zip(grid, kernels.flatten(0, 1), strict=True)
    ]
    for index, axes in enumerate(grid):
        if index < channels:
            axes.set_title(str(index), pad=4)
        if index % channels == 0:
            axes.set_ylabel(f"filter {index // channels}", rotation=0, ha="right", va="center")
    picture.suptitle("channel")
    color_bar(picture, grid, drawn[0], "weight", symmetric=True)
    return picture


@house_style
def channels(
    image: Float[Tensor, "c h w"],
    maps: Float[Tensor, "n h2 w2"],
    *,
    caption: str = "",
    label: str = "activation",
) -> Picture:
    """An image, and beside it the maps that a layer makes of it, numbered along the rows, on one scale from zero up.

    Args:
        image: (C, H, W), pixels in [0, 1].
        maps: (N, h, w), activations from zero up; N at most 64.
        caption: a text above the maps.
        label: what the numbers are, written beside the colour bar.

    Raises:
        ValueError: an image or maps of another shape; more than 64 maps.
    """
    image, maps = checked("image", image, "C", "H", "W").float(), checked("maps", maps, "N", "h", "w").float()
    if len(maps) > 64:
        raise ValueError(f"channels has room for 64 maps, got {len(maps)}")
    rows = math.ceil(len(maps) / 8)
    picture = Picture(figsize=(WIDTH, max(1.7, 0.55 * rows + 2 * LINE)))
    left, right = picture.subplots(1, 2, width_ratios=(1, 3))
    show_pixels(left, image)
    left.set_title("image")
    gap = max(1, round(maps.shape[2] / 16))
    drawn = contact_sheet(right, maps, 8, gap=gap)
    right.set_title(caption)
    right.set_yticks(
        [row * (maps.shape[1] + gap) + (maps.shape[1] - 1) / 2 for row in range(rows)],
        [f"{8 * row}–{min(8 * row + 7, len(maps) - 1)}" for row in range(rows)],
    )
    right.tick_params(length=0)
    color_bar(picture, [right], drawn, label)
    return picture
