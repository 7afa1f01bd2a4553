"""Figures that answer back, in a notebook and in a page without a kernel.

`explore` gives a figure sliders. Everything is drawn beforehand and the browser only chooses which picture to show, so
the same cell works in JupyterLab, in VS Code and in the built book, which has no Python behind it. Each picture is an
``<img>`` with a text of its own, so a reader who cannot see it hears what changed.

`browse` shows what the layers of a network make of images, and what each of their units sees. It is a piece of HTML
that carries its data and its script with it.

The one file that imports ipywidgets.
"""

import base64
import html
import importlib.resources
import io
import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence

import ipywidgets
import numpy as np
from IPython import get_ipython
from IPython.display import HTML, clear_output
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from labkit import plot
from labkit.features.activations import activations, all_activations
from labkit.features.receptive_field import spans

LIMIT = 2_500_000  # bytes of pictures in one explorer, before base64 adds a third
BETWEEN = 10  # steps from one frame to the next where a kernel can draw them


def progress(steps: Iterable):
    """Show a bar while a notebook goes through the steps, and at the end wipe the cell's output, bar and all."""
    if get_ipython() is None:
        yield from steps
        return
    yield from tqdm(steps, leave=False)
    clear_output()


def explore(
    figure_function: Callable,
    *,
    alt: str | Callable[..., str] = "",
    live: bool = False,
    limit: int = LIMIT,
    **parameters,
) -> ipywidgets.VBox:
    """A figure with a slider for each parameter it depends on.

    Args:
        figure_function: called with one keyword a parameter, returns a figure of labkit.plot.
        alt: what the figure shows, in words: a text with the parameters in braces, such as ``"threshold {eps}"``, or
            a function called like figure_function. The values are always added to it.
        live: where a kernel is running, also draw what lies between the values: from the first time a slider is moved,
            ranges ``(start, stop, step)`` have ten steps for each one given. A built page keeps to the values given.
        limit: the most bytes that all pictures together may take.
        parameters: one or two, each ``(start, stop, step)``, both ends included, or a list of choices.

    Returns:
        A widget. A single slider of numbers comes with a button that plays it; of two parameters, one whose choices
        are words gets a menu in place of a slider.

    Raises:
        ValueError: no parameter or more than two; a range that holds fewer than two values; pictures beyond limit;
            live without a range.
    """
    if not 1 <= len(parameters) <= 2:
        raise ValueError(f"explore takes one or two parameters, got {len(parameters)}: {list(parameters)}")
    choices = {name: _choices(name, values) for name, values in parameters.items()}
    ranges = {name: values for name, values in parameters.items() if isinstance(values, tuple)}
    if live and not ranges:
        raise ValueError(f"live draws between the values of (start, stop, step), got choices only: {list(parameters)}")
    sliders = [_control(name, values, alone=len(choices) == 1) for name, values in choices.items()]
    describe = alt if callable(alt) else alt.format

    def frame(*values) -> tuple[str, int]:
        chosen = dict(zip(choices, values, strict=True))
        data = _encode(plot.png(figure_function(**chosen)))
        return _image(data, f"{describe(**chosen)} ({_label(chosen)})".strip()), len(data)

    combinations = list(itertools.product(*choices.values()))
    frames, total = [], 0
    for values in progress(combinations):
        element, size = frame(*values)
        total += size
        if total > limit:
            raise ValueError(
                f"{len(frames) + 1} of {len(combinations)} pictures take {total:,} bytes, more than the limit of "
                f"{limit:,}: give fewer values, or draw less"
            )
        frames.append(ipywidgets.HTML(element))
    view, links = _stacked(frames, sliders)
    controls, play = _beside(sliders, choices)
    explorer = ipywidgets.VBox([controls, view])
    if live:
        finer = [_between(*ranges[name]) if name in ranges else None for name in choices]
        _draw_when_moved(explorer, sliders, finer, lambda *values: frame(*values)[0], links, play)
    return explorer


def _draw_when_moved(explorer, sliders, finer, element, links, play) -> None:
    """Once a slider has moved, and so a kernel has heard of it, have the kernel draw every picture anew.

    In a built page nobody hears of it, and the frames stay.
    """

    def redraw(_change=None):
        explorer.children[1].value = element(*(slider.value for slider in sliders))

    def take_over(_change):
        for slider in sliders:
            slider.unobserve(take_over, "index")
        for link in links:
            link.unlink()
        for slider, values in zip(sliders, finer, strict=True):
            if values is not None:
                at = slider.index * BETWEEN
                if play is not None:
                    play.set_trait("max", len(values) - 1)
                    play.interval //= 2
                slider.set_trait("options", tuple((str(value), value) for value in values))
                slider.index = at
            slider.observe(redraw, "index")
        explorer.children = [explorer.children[0], ipywidgets.HTML()]
        redraw()

    for slider in sliders:
        slider.observe(take_over, "index")


def _between(start: float, stop: float, step: float) -> list:
    """The values of a range and those between them, which fall on its own values every BETWEEN steps."""
    count = BETWEEN * (len(_choices("", (start, stop, step))) - 1) + 1
    return [round(start + index * step / BETWEEN, 10) for index in range(count)]


def _choices(name: str, values) -> list:
    """The values of a parameter, from (start, stop, step) or a list."""
    if isinstance(values, tuple):
        if len(values) != 3 or not all(isinstance(value, int | float) for value in values) or not values[2] > 0:
            raise ValueError(f"{name} must be (start, stop, step) with step above zero, or a list, got {values!r}")
        start, stop, step = values
        count = int((stop - start) / step + 1e-9) + 1
        values = [start + index * step for index in range(count)]
        values = [round(value, 10) if isinstance(value, float) else value for value in values]
    if len(values) < 2:
        raise ValueError(f"{name} must have at least two values to move between, got {list(values)!r}")
    return list(values)


def _control(name: str, values: list, *, alone: bool) -> ipywidgets.SelectionSlider | ipywidgets.Dropdown:
    """A slider; beside another one, a menu where the values are words, since a slider shows only one of them."""
    words = not alone and all(isinstance(value, str) for value in values)
    return (ipywidgets.Dropdown if words else ipywidgets.SelectionSlider)(
        options=[(str(value), value) for value in values],
        description=name.replace("_", " "),
        style={"description_width": "initial"},
        layout={"width": "max-content" if words else "100%", "max_width": "460px"},
    )


def _label(chosen: dict) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())


def _encode(png: bytes) -> bytes:
    """The same pixels in fewer bytes: lossless WebP, or the PNG itself where that is smaller."""
    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(file, format="WebP", lossless=True)
    return min(file.getvalue(), png, key=len)


def _image(data: bytes, text: str) -> str:
    """An <img> of the picture at half its pixels, since it was drawn for sharp screens."""
    width, height = Image.open(io.BytesIO(data)).size
    kind = "webp" if data.startswith(b"RIFF") else "png"
    return (
        f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}" alt="{html.escape(text)}" '
        f'width="{width // 2}" height="{height // 2}" style="max-width:100%;height:auto">'
    )


def _stacked(frames: list[ipywidgets.Widget], sliders: list) -> tuple[ipywidgets.Stack, list]:
    """Frames in the order of itertools.product, one level of stacks a slider; and the links that move them."""
    *outer, inner = sliders
    count = len(inner.options)
    stacks = [ipywidgets.Stack(frames[at : at + count], selected_index=0) for at in range(0, len(frames), count)]
    links = [ipywidgets.jslink((inner, "index"), (stack, "selected_index")) for stack in stacks]
    if not outer:
        return stacks[0], links
    view = ipywidgets.Stack(stacks, selected_index=0)
    return view, [*links, ipywidgets.jslink((outer[0], "index"), (view, "selected_index"))]


def _beside(sliders: list, choices: dict[str, list]) -> tuple[ipywidgets.Widget, ipywidgets.Play | None]:
    """The sliders below each other, or a single one of numbers beside a button that plays it."""
    values = next(iter(choices.values()))
    if len(sliders) > 1 or not all(isinstance(value, int | float) for value in values):
        return ipywidgets.VBox(sliders), None
    play = ipywidgets.Play(min=0, max=len(values) - 1, interval=600, tooltip=f"play {sliders[0].description}")
    ipywidgets.jslink((play, "value"), (sliders[0], "index"))
    return ipywidgets.HBox([play, *sliders], layout={"flex_flow": "row wrap", "grid_gap": "10px"}), play


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
    pictures = [_data_url(_pixels(image)) for image in images]
    total = sum(map(len, itertools.chain(pictures, *(layer["sheets"] for layer in found)))) * 3 // 4
    if total > limit:
        raise ValueError(
            f"the maps take {total:,} bytes, more than the limit of {limit:,}: give fewer images or layers"
        )
    palettes = [plot.palette(signed=signed)[:-1].tolist() for signed in (False, True)]
    images_shown = {"pictures": pictures, "size": list(images.shape[2:])}
    data = json.dumps({"images": images_shown, "layers": found, "palettes": palettes}, separators=(",", ":"))
    style, script = (
        importlib.resources.files("labkit").joinpath(f"browse.{kind}").read_text() for kind in ("css", "js")
    )
    return HTML(
        f'<style>{style}</style><div class="labkit-browse"><p>{_menu("image", names)}{_menu("layer", layers)}</p>'
        f'<div><img src="{pictures[0]}" alt="The image: {html.escape(names[0])}">{BOX}</div>'
        '<div class="labkit-maps" tabindex="0" role="application" aria-label="Units of the layer; arrow keys go from '
        f'unit to unit, page up and page down from map to map"><img src="{found[0]["sheets"][0]}" '
        f'alt="{found[0]["count"]} maps of {html.escape(layers[0])}">{BOX}</div>'
        f'<output aria-live="polite"></output><script type="application/json">{data}</script></div>'
        f"<script>{script}</script>"
    )


BOX = '<div class="labkit-box" hidden></div>'


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
    seen = spans(model, name, tuple(images.shape[2:]))
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
        "sheets": [_data_url(_in_colour(sheet, signed)) for sheet in sheets],
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


def _data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
