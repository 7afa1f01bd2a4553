import io

import numpy as np
import torch
from PIL import Image

from labkit import data, plot
from labkit.plot.encoding import PHOTOGRAPH


def as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def read(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), float)


def test_a_drawing_loses_nothing():
    shades = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    drawing = as_png(np.stack([shades, shades.T, shades], axis=2))
    smaller = plot.webp(drawing)
    assert len(smaller) < len(drawing)
    assert np.array_equal(read(smaller), read(drawing))


def test_a_large_photograph_loses_what_nobody_sees():
    rough = data.photo("chelsea")[0].permute(1, 2, 0).repeat(2, 3, 1)
    rough = (rough + torch.rand(rough.shape, generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)
    photograph = as_png((rough * 255).byte().numpy())
    smaller = plot.webp(photograph)
    assert len(smaller) < PHOTOGRAPH < len(photograph)
    assert read(smaller).shape == read(photograph).shape
    assert np.abs(read(smaller) - read(photograph)).mean() < 5


def test_without_the_png_between_picture_and_glass_are_the_same():
    png = plot.png(plot.heat(torch.eye(8)[None]))
    assert plot.webp_and_glass(plot.heat(torch.eye(8)[None])) == (plot.webp(png), plot.dark_glass(png))


def test_the_glass_has_a_hole_over_each_image_and_colour_bar():
    figure = plot.heat(torch.rand(2, 8, 8))
    glass = plot.dark_glass(plot.png(figure))
    assert glass.startswith('<span class="labkit-glass" style="clip-path:polygon(evenodd,')
    corners = [
        tuple(map(float, corner.replace("%", "").split()))
        for corner in glass.split("evenodd,")[1][: -len(')"></span>')].split(",")
    ]
    holes = [corners[at : at + 4] for at in range(5, len(corners), 6)]
    assert len(holes) == 3
    width, height = figure.bbox.size
    for axes, ((left, top), _, (right, bottom), _) in zip(figure.axes, sorted(holes), strict=True):
        box = axes.get_window_extent()
        expected = (
            100 * box.x0 / width,
            100 - 100 * box.y1 / height,
            100 * box.x1 / width,
            100 - 100 * box.y0 / height,
        )
        assert np.allclose((left, top, right, bottom), expected, atol=0.5)


def test_a_chart_is_all_glass_and_a_picture_from_elsewhere_has_none():
    assert plot.dark_glass(plot.png(plot.lines([1, 2], {"a": [1, 2]}, xlabel="x"))).count("%") == 4
    assert plot.dark_glass(as_png(np.zeros((4, 4, 3), np.uint8))) == ""


def test_a_map_over_an_image_keeps_its_colours():
    """Two holes at the same place would cancel each other."""
    glass = plot.dark_glass(plot.png(plot.overlaid(torch.rand(3, 8, 8), torch.rand(2, 8, 8))))
    corners = glass.split("evenodd,")[1].split(",")
    holes = [tuple(corners[at : at + 4]) for at in range(5, len(corners), 6)]
    assert len(holes) == len(set(holes)) == 3, "two images and the colour bar"
