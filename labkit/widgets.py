"""Sliders that move figures, in a notebook and in a page without a kernel.

The one file that imports ipywidgets. Every figure is drawn beforehand and the browser only chooses which one to
show, so the same cell works in JupyterLab, in VS Code and in the built book, which has no Python behind it. Each
picture is an ``<img>`` with a text of its own, so a reader who cannot see it hears what changed.
"""

import base64
import html
import io
import itertools
from collections.abc import Callable, Iterable

import ipywidgets
from IPython import get_ipython
from IPython.display import clear_output
from PIL import Image
from tqdm import tqdm

from labkit.plot import png

LIMIT = 2_500_000  # bytes of pictures in one explorer, before base64 adds a third


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
        live: draw each figure when the slider reaches it, instead of all of them beforehand. Needs a running
            kernel, has no limit of size, and leaves nothing that moves in a built page.
        limit: the most bytes that all pictures together may take.
        parameters: one or two, each ``(start, stop, step)``, both ends included, or a list of choices.

    Returns:
        A widget. A single slider of numbers comes with a button that plays it.

    Raises:
        ValueError: no parameter or more than two; a range that holds fewer than two values; pictures beyond limit.
    """
    if not 1 <= len(parameters) <= 2:
        raise ValueError(f"explore takes one or two parameters, got {len(parameters)}: {list(parameters)}")
    choices = {name: _choices(name, values) for name, values in parameters.items()}
    sliders = [_slider(name, values) for name, values in choices.items()]
    describe = alt if callable(alt) else alt.format

    def picture(*values) -> bytes:
        return _encode(png(figure_function(**dict(zip(choices, values, strict=True)))))

    def element(data: bytes, *values) -> str:
        chosen = dict(zip(choices, values, strict=True))
        return _image(data, f"{describe(**chosen)} ({_label(chosen)})".strip())

    combinations = list(itertools.product(*choices.values()))
    if live:
        view = ipywidgets.HTML(element(picture(*combinations[0]), *combinations[0]))

        def redraw(_change):
            values = [slider.value for slider in sliders]
            view.value = element(picture(*values), *values)

        for slider in sliders:
            slider.observe(redraw, "index")
    else:
        frames, total = [], 0
        for values in progress(combinations):
            data = picture(*values)
            total += len(data)
            if total > limit:
                raise ValueError(
                    f"{len(frames) + 1} of {len(combinations)} pictures take {total:,} bytes, more than the limit of "
                    f"{limit:,}: give fewer values, draw less, or use live=True"
                )
            frames.append(ipywidgets.HTML(element(data, *values)))
        view = _stacked(frames, sliders)
    return ipywidgets.VBox([_controls(sliders, choices), view])


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


def _slider(name: str, values: list) -> ipywidgets.SelectionSlider:
    return ipywidgets.SelectionSlider(
        options=[(str(value), value) for value in values],
        description=name.replace("_", " "),
        style={"description_width": "initial"},
        layout={"width": "100%", "max_width": "460px"},
    )


def _label(chosen: dict) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())


def _encode(png: bytes) -> bytes:
    """The same pixels in fewer bytes: PNG or lossless WebP, whichever is smaller."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    files = []
    for options in ({"format": "PNG", "optimize": True}, {"format": "WebP", "lossless": True}):
        file = io.BytesIO()
        picture.save(file, **options)
        files.append(file.getvalue())
    return min(files, key=len)


def _image(data: bytes, text: str) -> str:
    """An <img> of the picture at half its pixels, since it was drawn for sharp screens."""
    width, height = Image.open(io.BytesIO(data)).size
    kind = "webp" if data.startswith(b"RIFF") else "png"
    return (
        f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}" alt="{html.escape(text)}" '
        f'width="{width // 2}" height="{height // 2}" style="max-width:100%;height:auto">'
    )


def _stacked(frames: list[ipywidgets.Widget], sliders: list[ipywidgets.SelectionSlider]) -> ipywidgets.Stack:
    """Frames in the order of itertools.product, one level of stacks a slider, linked in the browser."""
    *outer, inner = sliders
    count = len(inner.options)
    stacks = [ipywidgets.Stack(frames[at : at + count], selected_index=0) for at in range(0, len(frames), count)]
    for stack in stacks:
        ipywidgets.jslink((inner, "index"), (stack, "selected_index"))
    if not outer:
        return stacks[0]
    view = ipywidgets.Stack(stacks, selected_index=0)
    ipywidgets.jslink((outer[0], "index"), (view, "selected_index"))
    return view


def _controls(sliders: list[ipywidgets.SelectionSlider], choices: dict[str, list]) -> ipywidgets.Widget:
    """The sliders below each other, or a single one of numbers beside a button that plays it."""
    values = next(iter(choices.values()))
    if len(sliders) > 1 or not all(isinstance(value, int | float) for value in values):
        return ipywidgets.VBox(sliders)
    play = ipywidgets.Play(min=0, max=len(values) - 1, interval=600, tooltip=f"play {sliders[0].description}")
    ipywidgets.jslink((play, "value"), (sliders[0], "index"))
    return ipywidgets.HBox([play, *sliders], layout={"flex_flow": "row wrap", "grid_gap": "10px"})
