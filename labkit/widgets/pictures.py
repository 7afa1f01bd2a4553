"""Pictures inside a page: as data URLs, and how many bytes of them a page may carry."""

import base64

LIMIT = 2_500_000  # bytes of pictures in one widget, before base64 adds a third


def data_url(picture: bytes) -> str:
    """A PNG or WebP as the address of an ``<img>``."""
    kind = "webp" if picture.startswith(b"RIFF") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
