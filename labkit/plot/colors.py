"""The colours of every figure, read from palette.json, which the pages' JavaScript reads too."""

import json
from importlib import resources

import torch
from jaxtyping import UInt8
from torch import Tensor

PALETTE = json.loads(resources.files("labkit.plot").joinpath("palette.json").read_text(encoding="utf-8"))
INK: str = PALETTE["ink"]
RIM: str = PALETTE["rim"]  # around images, which may be as white as the page; and bars and points that matter less
EMPTY: str = PALETTE["empty"]  # squares without a number, or outside the image
COLORS: tuple[str, ...] = tuple(PALETTE["series"])
CLASSES: tuple[str, ...] = tuple(PALETTE["classes"])  # for maps of up to ten classes
CORRECT, WRONG, MARK = COLORS[0], COLORS[1], COLORS[5]


def palette(*, signed: bool) -> UInt8[Tensor, "256 3"]:
    """The colours that a map is drawn in, from the lowest number to the highest: those of `signed`, or of `heat`.

    Returns:
        (256, 3) uint8: red, green and blue.
    """
    colors = bytes.fromhex(PALETTE["signed" if signed else "heat"])
    return torch.tensor(list(colors), dtype=torch.uint8).view(256, 3)
