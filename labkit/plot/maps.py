"""Maps on the image grid: signed numbers, amounts, and what an occlusion did."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from matplotlib.patches import Rectangle
from torch import Tensor

from labkit.plot.colors import CLASSES, COLORS, MARK, RIM
from labkit.plot.drawing import bare, check_length, checked, color_bar, image_grid, outline, show, show_pixels
from labkit.plot.encoding import TRUE_COLORS
from labkit.plot.style import LINE, WIDTH, Picture, house_style


@house_style
def signed(
    maps: Float[Tensor, "n h w"],
    *,
    captions: Sequence[str] = (),
    columns: int | None = None,
    limit: float | None = None,
    label: str = "",
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
    return draw_maps(maps, captions, columns, limit, label, "RdBu_r", symmetric=True)


@house_style
def heat(
    maps: Float[Tensor, "n h w"],
    *,
    captions: Sequence[str] = (),
    columns: int | None = None,
    limit: float | None = None,
    label: str = "",
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
    return draw_maps(maps, captions, columns, limit, label, "viridis", symmetric=False)


def draw_maps(
    maps: Tensor,
    captions: Sequence[str],
    columns: int | None,
    limit: float | None,
    label: str,
    colormap: str,
    *,
    symmetric: bool,
) -> Picture:
    """What `signed` and `heat` draw."""
    maps = checked("maps", maps, "N", "H", "W").float()
    if len(captions):
        check_length("captions", captions, len(maps))
    if limit is not None and not limit > 0:
        raise ValueError(f"limit must be above zero, got {limit}")
    limit = limit or float(maps.abs().max()) or 1.0
    picture, grid = image_grid(len(maps), captions, columns, maps.shape[1:], room=1.0)
    low = -limit if symmetric else 0
    drawn = [show(axes, values, cmap=colormap, vmin=low, vmax=limit) for axes, values in zip(grid, maps, strict=True)]
    for axes, caption in zip(grid, captions, strict=False):
        axes.set_title(caption, pad=4)
    color_bar(picture, grid, drawn[0], label, symmetric=symmetric)
    return picture


@house_style
def beside(
    image: Float[Tensor, "c h w"],
    values: Float[Tensor, "h2 w2"],
    *,
    captions: Sequence[str] = (),
    label: str = "",
) -> Picture:
    """An image and, beside it, a map of signed numbers that was made from it: red above zero, blue below.

    Args:
        image: (C, H, W), pixels in [0, 1].
        values: (H', W'), any real numbers.
        captions: one text for each of the two, or none at all.
        label: what the numbers are, written beside the colour bar.

    Raises:
        ValueError: an image or values of another shape; captions that are not two.
    """
    image, values = checked("image", image, "C", "H", "W").float(), checked("values", values, "H", "W").float()
    if len(captions):
        check_length("captions", captions, 2)
    limit = float(values.abs().max()) or 1.0
    picture, (left, right) = image_grid(2, captions, 2, image.shape[1:], room=1.0)
    show_pixels(left, image)
    drawn = show(right, values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    color_bar(picture, [left, right], drawn, label, symmetric=True)
    for axes, caption in zip((left, right), captions, strict=False):
        axes.set_title(caption, pad=4)
    return picture


@house_style
def overlaid(
    image: Float[Tensor, "c h w"],
    maps: Float[Tensor, "n h w"],
    *,
    captions: Sequence[str] = (),
    columns: int | None = None,
    opacity: float = 0.6,
) -> Picture:
    """An image in grey, once for each map of amounts, with the map laid over it in colour.

    Each map has its own scale, in percent of its largest number, since only places are compared.

    Args:
        image: (C, H, W), pixels in [0, 1].
        maps: (N, H, W), numbers from zero up, on the grid of the image; below zero is drawn as zero.
        captions: one text a map, or none at all.
        columns: maps in a row.
        opacity: how much of the image a map covers, from 0 (nothing) to 1 (everything).

    Raises:
        ValueError: an image or maps of another shape; captions not one a map; opacity outside 0 to 1.
    """
    image, maps = checked("image", image, "C", "H", "W").float(), checked("maps", maps, "N", "H", "W").float()
    if maps.shape[1:] != image.shape[1:]:
        raise ValueError(f"maps must be {tuple(image.shape[1:])} as the image is, got {tuple(maps.shape[1:])}")
    if len(captions):
        check_length("captions", captions, len(maps))
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be from 0 to 1, got {opacity}")
    picture, grid = image_grid(len(maps), captions, columns, maps.shape[1:], room=1.0)
    grey = image.mean(0, keepdim=True)
    shares = maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-30)
    for axes in grid:
        show_pixels(axes, grey)
    look = {"cmap": "viridis", "vmin": 0, "vmax": 1, "alpha": opacity}
    drawn = [show(axes, values, **look) for axes, values in zip(grid, shares, strict=True)]
    for axes, caption in zip(grid, captions, strict=False):
        axes.set_title(caption, pad=4)
    color_bar(picture, grid, drawn[0], percent=True)
    return picture


@house_style
def occluded(
    image: Float[Tensor, "c h w"],
    probability: Float[Tensor, "rows columns"],
    predicted: Int64[Tensor, "rows columns"],
    label: int,
    classes: Sequence[str],
    *,
    window: int,
    stride: int = 1,
) -> Picture:
    """What an occluding window does at every position: the image, the probability of its class, the predicted class.

    The image is framed where the window costs most. In the maps, every position is drawn at the window's centre. Up to
    ten classes have a colour each, the same in every figure.

    Args:
        image: (C, H, W), pixels in [0, 1].
        probability: (rows, columns), of the image's class, from 0 to 1.
        predicted: (rows, columns) int64, the most likely class.
        label: the image's class.
        classes: K names.
        window: height and width of what was occluded, in pixels.
        stride: pixels from one position to the next.

    Raises:
        ValueError: shapes that do not fit together; of more than ten classes, more than six others predicted.
    """
    image = checked("image", image, "C", "H", "W").float()
    probability = checked("probability", probability, "rows", "columns").float()
    predicted = checked("predicted", predicted, "rows", "columns")
    if predicted.shape != probability.shape:
        raise ValueError(f"predicted must have shape {tuple(probability.shape)}, got {tuple(predicted.shape)}")
    others = [int(each) for each in predicted.unique() if each != label]
    if len(classes) > len(CLASSES) and len(others) > len(COLORS):
        raise ValueError(f"there are colours for {len(COLORS)} other classes, got {len(others)}")
    height, width = image.shape[1:]
    side = (WIDTH - 1.1) / 3
    picture = Picture(figsize=(WIDTH, side * height / width + 3.2 * LINE), layout="compressed")
    panels = picture.subplots(1, 3)
    show_pixels(panels[0], image)
    row, column = divmod(int(probability.argmin()), probability.shape[1])
    outline(panels[0], row * stride, column * stride, window, window, edgecolor=MARK, linewidth=2.5)
    panels[0].set_title(f"image: {classes[label]}")

    first, (rows, columns) = window / 2 - 0.5 - stride / 2, probability.shape
    extent = (first, first + columns * stride, first + rows * stride, first)
    known = dict(zip(others, COLORS, strict=False)) if len(classes) > len(CLASSES) else dict(enumerate(CLASSES))
    colors = torch.ones(rows, columns, 3)
    for other in others:
        colors[predicted == other] = torch.tensor([int(known[other][at : at + 2], 16) / 255 for at in (1, 3, 5)])
    drawn = panels[1].imshow(
        probability.numpy(), extent=extent, cmap="viridis", vmin=0, vmax=1, interpolation="nearest"
    )
    panels[2].imshow(colors.numpy(), extent=extent, interpolation="nearest")
    for axes, title in zip(panels[1:], ("its probability", "predicted class"), strict=True):
        bare(axes)
        axes.spines[:].set(visible=True, color=RIM, linewidth=0.8)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), title=title)
    color_bar(picture, [panels[1]], drawn, percent=True)
    names = [Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=RIM, label=classes[label])]
    names += [Rectangle((0, 0), 1, 1, facecolor=known[other], label=classes[other]) for other in others]
    legend = picture.legend(handles=names, loc="outside lower right", ncols=min(len(names), 7))
    for patch in legend.get_patches():  # the same colours as in the map
        patch.set_gid(TRUE_COLORS)
    return picture
