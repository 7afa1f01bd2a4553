"""A figure as the bytes of a picture, and how a page shows it on a dark ground.

A figure is drawn once, on white. On a dark page everything around the images turns dark: a pane of glass over the
picture inverts what is behind it, and leaves holes where colours carry a meaning of their own. Where the holes are is
written into the PNG itself, so that a notebook needs nothing but the picture.
"""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import Bbox
from PIL import Image
from PIL.PngImagePlugin import PngInfo

DPI = 200  # twice the pixels of the page, for sharp screens
PHOTOGRAPH = 150_000  # bytes; nothing else is larger without loss
TRUE_COLORS = "true colours"  # the group of artists beside the images that keep their colours too


def png(figure: Figure) -> bytes:
    """A figure as a PNG of 200 pixels an inch, free of dates and versions: the same bytes each time."""
    picture, rectangles = _drawn(figure)
    text, file = PngInfo(), io.BytesIO()
    text.add_text(TRUE_COLORS, " ".join(rectangles))
    picture.save(file, format="PNG", pnginfo=text)
    return file.getvalue()


def webp_and_glass(figure: Figure) -> tuple[bytes, str]:
    """What `webp` and `dark_glass` make of a figure's PNG, without the PNG, which takes as long as they do."""
    picture, rectangles = _drawn(figure)
    return _smallest(picture), _glass(rectangles)


def _drawn(figure: Figure) -> tuple[Image.Image, list[str]]:
    """The pixels of a figure, and what keeps its colours on a dark page."""
    canvas, before = FigureCanvasAgg(figure), figure.dpi
    figure.dpi = DPI
    try:
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]), _rectangles(figure)
    finally:
        figure.dpi = before


def _rectangles(figure: Figure) -> list[str]:
    """left,top,right,bottom of all that keeps its colours, in percent of a figure that was drawn."""
    artists = figure.findobj(lambda artist: isinstance(artist, AxesImage) or artist.get_gid() == TRUE_COLORS)
    found = []
    for artist in artists:
        box = artist.get_window_extent()
        if isinstance(artist, AxesImage):
            box = Bbox.intersection(box, artist.axes.bbox)
        if box and artist.get_visible():
            (left, bottom), (right, top) = 100 * box.get_points() / figure.bbox.size
            found.append(f"{left:.2f},{100 - top:.2f},{right:.2f},{100 - bottom:.2f}")
    return list(dict.fromkeys(found))  # of a map over an image once: a hole that is cut twice is none


def dark_glass(png: bytes) -> str:
    """The HTML to lay over a picture inside an element of class ``labkit-figure``; nothing for what is no figure.

    The class ``labkit-glass`` inverts what is behind it on dark pages; see course.css.
    """
    written = getattr(Image.open(io.BytesIO(png)), "text", {}).get(TRUE_COLORS)
    return "" if written is None else _glass(written.split())


def _glass(rectangles: list[str]) -> str:
    path = ["0 0,100% 0,100% 100%,0 100%,0 0"]
    for rectangle in rectangles:
        left, top, right, bottom = (f"{edge}%" for edge in rectangle.split(","))
        corners = (left, top), (left, bottom), (right, bottom), (right, top), (left, top)
        path.append(",".join(" ".join(corner) for corner in corners) + ",0 0")
    return f'<span class="labkit-glass" style="clip-path:polygon(evenodd,{",".join(path)})"></span>'


def webp(png: bytes) -> bytes:
    """The same picture in fewer bytes: as WebP without loss, but a large photograph at high quality."""
    return _smallest(Image.open(io.BytesIO(png)).convert("RGB"))


def _smallest(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="WebP", lossless=True, method=2)  # as small as by Pillow's 4, in two thirds of the time
    if file.tell() > PHOTOGRAPH:
        file = io.BytesIO()
        picture.save(file, format="WebP", quality=95)
    return file.getvalue()
