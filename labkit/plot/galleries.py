"""Images side by side, with captions, verdicts or outlines."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float, Int64, Real
from matplotlib.patches import Rectangle
from torch import Tensor

from labkit.core import check_counts
from labkit.plot.colors import CLASSES, CORRECT, INK, WRONG
from labkit.plot.drawing import bare, check_length, checked, image_grid, outline, percent, show_pixels
from labkit.plot.encoding import TRUE_COLORS
from labkit.plot.style import WIDTH, Picture, house_style


def images(
    images: Float[Tensor, "n c h w"],
    *,
    captions: Sequence[str] = (),
    columns: int | None = None,
    colors: Sequence[str] = (),
) -> Picture:
    """Images side by side, each with its caption above it.

    Args:
        images: (N, C, H, W), pixels in [0, 1]; C is 1 (grey) or 3 (red, green, blue).
        captions: one text an image, or none at all; a text may have several lines.
        columns: images in a row; by default as many as their captions leave room for, at most 10.
        colors: one text colour a caption; by default all are dark grey.

    Raises:
        ValueError: images of another shape; captions or colors not one an image; columns < 1.
    """
    return gallery(images, captions, columns, colors)


@house_style
def gallery(images: Tensor, captions: Sequence[str], columns: int | None, colors: Sequence[str]) -> Picture:
    """What `images` draws."""
    images = checked("images", images, "N", "C", "H", "W")
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape[1]} in shape {tuple(images.shape)}")
    if columns is not None:
        check_counts(columns=columns)
    if len(captions):
        check_length("captions", captions, len(images))
    if len(colors):
        check_length("colors", colors, len(images))
    picture, grid = image_grid(len(images), captions, columns, images.shape[2:])
    for index, (axes, image) in enumerate(zip(grid, images, strict=True)):
        show_pixels(axes, image)
        if len(captions):
            axes.set_title(captions[index], color=colors[index] if len(colors) else INK, pad=4)
    return picture


def predictions(
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    logits: Float[Tensor, "n k"],
    classes: Sequence[str],
    *,
    columns: int | None = None,
) -> Picture:
    """Images with their true class and, below it, the predicted one and its confidence, marked as correct or wrong.

    Args:
        images: (N, C, H, W), pixels in [0, 1].
        labels: (N,) int64, the true classes.
        logits: (N, K), the scores of a network; the confidence is their softmax.
        classes: K names.
        columns: images in a row.

    Raises:
        ValueError: shapes that do not fit together.
    """
    logits = checked("logits", logits, "N", "K")
    labels = checked("labels", labels, "N")
    check_length("labels", labels, len(images))
    check_length("logits", logits, len(images))
    if len(classes) != logits.shape[1]:
        raise ValueError(f"classes must name all {logits.shape[1]} columns of the logits, got {len(classes)} names")
    confidences, guesses = logits.softmax(1).max(1)
    correct = (guesses == labels).tolist()
    rows = zip(labels.long().tolist(), correct, guesses.tolist(), confidences.tolist(), strict=True)
    captions = [
        f"true: {classes[label]}\n{'✓' if hit else '✗'} {classes[guess]} {percent(confidence)}"
        for label, hit, guess, confidence in rows
    ]
    colors = [CORRECT if hit else WRONG for hit in correct]
    return gallery(images, captions, columns, colors)


@house_style
def framed(
    images: Float[Tensor, "n c h w"],
    boxes: Real[Tensor, "n 4"],
    *,
    captions: Sequence[str] = (),
    columns: int | None = None,
) -> Picture:
    """Images with a rectangle outlined in each.

    Args:
        images: (N, C, H, W), pixels in [0, 1].
        boxes: (N, 4): top, left, height and width in pixels.
        captions: one text an image, or none at all.
        columns: images in a row.

    Raises:
        ValueError: shapes that do not fit together.
    """
    boxes = checked("boxes", boxes, "N", "4")
    check_length("boxes", boxes, len(images))
    picture = gallery(images, captions, columns, ())
    for axes, (top, left, height, width) in zip(picture.axes, boxes.tolist(), strict=False):
        outline(axes, top, left, height, width, linewidth=2)
    return picture


@house_style
def regions(image: Float[Tensor, "c h w"], boxes: Mapping[str, tuple[int, int, int, int]]) -> Picture:
    """An image with outlined regions, and beside it what each outline is and how large.

    Args:
        image: (C, H, W), pixels in [0, 1].
        boxes: name -> (top, left, height, width) in pixels, at most 6.

    Raises:
        ValueError: an image of another shape; no region, or more than there are colours for.
    """
    image = checked("image", image, "C", "H", "W").float()
    if not 1 <= len(boxes) <= 6:
        raise ValueError(f"boxes must hold 1 to 6 regions, got {len(boxes)}")
    picture = Picture(figsize=(WIDTH, 3.2))
    left, right = picture.subplots(1, 2, width_ratios=(1, 1))
    show_pixels(left, image)
    bare(right)
    right.set(xlim=(0, 1), ylim=(6, -1))
    colors = [
        CLASSES[index] for index in (5, 4, 2, 1, 3, 6)
    ]  # the light ones first; blue is too dark on a black ground
    for index, (name, (top, across, height, width)) in enumerate(boxes.items()):
        color = colors[index]
        outline(left, top, across, height, width, edgecolor=color, zorder=3 + 1 / height)  # small ones on top
        sample = Rectangle((0.02, index - 0.3), 0.08, 0.6, fill=False, edgecolor=color, linewidth=3, gid=TRUE_COLORS)
        right.add_patch(sample)
        right.text(0.17, index, f"{name}: {height} × {width}", va="center")
    return picture
