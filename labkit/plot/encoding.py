"""A figure as the bytes of a picture, and pictures in fewer bytes."""

import io

from matplotlib.figure import Figure
from PIL import Image

PHOTOGRAPH = 150_000  # bytes; nothing else is larger without loss


def png(figure: Figure) -> bytes:
    """A figure as a PNG of 200 pixels an inch, free of dates and versions: the same bytes each time."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
    return file.getvalue()


def webp(png: bytes) -> bytes:
    """The same picture in fewer bytes: as WebP without loss, but a large photograph at high quality."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    file = io.BytesIO()
    picture.save(file, format="WebP", lossless=True)
    if file.tell() > PHOTOGRAPH:
        file = io.BytesIO()
        picture.save(file, format="WebP", quality=95)
    return file.getvalue()
