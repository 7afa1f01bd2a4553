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
