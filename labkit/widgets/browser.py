"""What the layers of a network make of images, and what each of their units sees: HTML with its data and script."""

import html
import importlib.resources
import io
import itertools
import json
import math
from collections.abc import Sequence

import numpy as np
from IPython.display import HTML
from PIL import Image
from torch import Tensor, nn

from labkit import plot
from labkit.features.activations import activations, all_activations
from labkit.features.receptive_field import spans
from labkit.plot.colors import CORRECT, INK, MARK
from labkit.widgets.pictures import LIMIT, data_url

BOX = '<div class="labkit-box" hidden></div>'


def browse(
    model: nn.Module,
    images: Tensor,
    *,
    layers: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    limit: int = LIMIT,
) -> HTML:
    """Look into the layers: pick an image and a layer, and see its maps; point at a unit, and see what it sees.

    Units are chosen with the mouse, a finger or the arrow keys; a line of text, which screen readers read out, says how
    active the unit is and which pixels are its receptive field.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode; one that `receptive_field` can follow.
        images: (N, C, H, W), pixels in [0, 1]; C is 1 or 3.
        layers: their names; by default every layer of an nn.Sequential that has maps.
        names: what the images are called in the menu; by default "image 0" and so on.
        limit: the most bytes that all pictures together may take.

    Returns:
        HTML with all maps in it, numbers rounded to 1/254 of their layer's range. It needs no kernel; where scripts do
        not run, it shows the first image and layer.

    Raises:
        ValueError: as `activations` and `receptive_field`; names not one an image; pictures beyond limit.

    Source:
        Zeiler and Fergus 2013, arXiv:1311.2901, pair maps with the pixels that they come from.
    """
    if layers is None:
        layers = [name for name, output in all_activations(model, images[:1]).items() if output.ndim == 4]
    names = [f"image {index}" for index in range(len(images))] if names is None else list(names)
    if len(names) != len(images):
        raise ValueError(f"names must have {len(images)} entries, one for each image, got {len(names)}")
    found = [_layer(model, images, name) for name in layers]
    pictures = [_png_url(_pixels(image)) for image in images]
    total = sum(map(len, itertools.chain(pictures, *(layer["sheets"] for layer in found)))) * 3 // 4
    if total > limit:
        raise ValueError(
            f"the maps take {total:,} bytes, more than the limit of {limit:,}: give fewer images or layers"
        )
    palettes = [plot.palette(signed=signed)[:-1].tolist() for signed in (False, True)]
    images_shown = {"pictures": pictures, "size": list(images.shape[2:])}
    data = json.dumps({"images": images_shown, "layers": found, "palettes": palettes}, separators=(",", ":"))
    style, script = (
        importlib.resources.files("labkit.widgets").joinpath(f"browse.{kind}").read_text() for kind in ("css", "js")
    )
    colors = f"--labkit-focus: {CORRECT}; --labkit-mark: {MARK}; --labkit-ink: {INK}"
    return HTML(
        f'<style>{style}</style><div class="labkit-browse" style="{colors}">'
        f"<p>{_menu('image', names)}{_menu('layer', layers)}</p>"
        f'<div><img src="{pictures[0]}" alt="The image: {html.escape(names[0])}">{BOX}</div>'
        '<div class="labkit-maps" tabindex="0" role="application" aria-label="Units of the layer; arrow keys go from '
        f'unit to unit, page up and page down from map to map"><img src="{found[0]["sheets"][0]}" '
        f'alt="{found[0]["count"]} maps of {html.escape(layers[0])}">{BOX}</div>'
        f'<output aria-live="polite"></output><script type="application/json">{data}</script></div>'
        f'<script type="module">{script}</script>'
    )


def _menu(label: str, choices: Sequence[str]) -> str:
    options = "".join(f"<option>{html.escape(choice)}</option>" for choice in choices)
    return f"<label>{label} <select>{options}</select></label>"


def _layer(model: nn.Module, images: Tensor, name: str) -> dict:
    """A layer as browse.js knows it: a sheet of maps an image, the numbers of its scale, and what each unit sees."""
    maps = activations(model, images, name).cpu()
    maps = maps if maps.ndim == 4 else maps[:, :, None, None]  # a dense layer: a map of one unit each
    signed, high = bool(maps.min() < 0), maps.abs().max().item() or 1.0
    low = -high if signed else 0.0
    levels = ((maps - low) / (high - low) * 254).round().byte().numpy()
    across = 2 ** round(math.log2(math.sqrt(1.6 * maps.shape[1])))  # 8 for 32 maps, 16 for 128
    sheets = [_sheet(level, across) for level in levels]
    seen = spans(model, name, (images.shape[2], images.shape[3]))
    return {
        "name": name,
        "count": maps.shape[1],
        "across": across,
        "size": sheets[0].shape,
        "scale": int(signed),
        "low": low,
        "high": high,
        "rows": seen.rows.tolist(),
        "columns": seen.columns.tolist(),
        "sheets": [_png_url(_in_colour(sheet, signed)) for sheet in sheets],
    }


def _sheet(maps: np.ndarray, across: int) -> np.ndarray:
    """Maps (N, h, w) of levels in rows of `across`, with a line of 255 between them."""
    count, height, width = maps.shape
    down = -(-count // across)
    sheet = np.full((down * across, height + 1, width + 1), 255, np.uint8)
    sheet[:count, :height, :width] = maps
    sheet = sheet.reshape(down, across, height + 1, width + 1).swapaxes(1, 2)
    return sheet.reshape(down * (height + 1), across * (width + 1))[:-1, :-1]


def _in_colour(levels: np.ndarray, signed: bool) -> Image.Image:
    """Levels 0..254 in the colours of a map, 255 transparent."""
    picture = Image.fromarray(levels)
    picture.putpalette(plot.palette(signed=signed).flatten().tolist())
    picture.info["transparency"] = 255
    return picture


def _pixels(image: Tensor) -> Image.Image:
    levels = (image.clamp(0, 1) * 255).round().byte().cpu()
    return Image.fromarray((levels[0] if len(levels) == 1 else levels.permute(1, 2, 0)).contiguous().numpy())


def _png_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return data_url(file.getvalue())
