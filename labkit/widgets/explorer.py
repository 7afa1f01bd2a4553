"""A figure with sliders, in a notebook and in a page without a kernel.

Everything is drawn beforehand and the browser only chooses which picture to show, so the same cell works in
JupyterLab, in VS Code and in the built book, which has no Python behind it. Each picture is an ``<img>`` with a text of
its own, so a reader who cannot see it hears what changed.
"""

import html
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from PIL import Image

from labkit import plot
from labkit.core import Progress
from labkit.widgets.pictures import LIMIT, data_url
from labkit.widgets.progress import progress

BETWEEN = 10  # steps from one frame to the next where a kernel can draw them
Slider = ipywidgets.SelectionSlider | ipywidgets.Dropdown


def explore(
    figure_function: Callable[..., plot.Picture],
    *,
    alt: str | Callable[..., str] = "",
    start: Mapping[str, Any] | None = None,
    live: bool = False,
    limit: int = LIMIT,
    progress: Progress = progress,
    **parameters: tuple[float, float, float] | Sequence,
) -> ipywidgets.VBox:
    """A figure with a slider for each parameter it depends on.

    Args:
        figure_function: called with one keyword a parameter, returns a figure of labkit.plot.
        alt: what the figure shows, in words: a text with the parameters in braces, such as ``"threshold {eps}"``, or
            a function called like figure_function. The values are always added to it.
        start: parameter -> the value that is shown first, so that a slider need not repeat the figure above it; by
            default the first value of each.
        live: where a kernel is running, also draw what lies between the values: from the first time a slider is moved,
            ranges ``(start, stop, step)`` have ten steps for each one given. A built page keeps to the values given.
        limit: the most bytes that all pictures together may take.
        progress: wraps the loop over the pictures; by default a bar that disappears.
        parameters: one or two, each ``(start, stop, step)``, both ends included, or a list of choices.

    Returns:
        A widget. A single slider of numbers comes with a button that plays it; of two parameters, one whose choices
        are words gets a menu in place of a slider.

    Raises:
        ValueError: no parameter or more than two; a range that holds fewer than two values; a start that is no value
            of its parameter; pictures beyond limit; live without a range.
        Exception: what figure_function raises, with a note that says for which values.
    """
    if not 1 <= len(parameters) <= 2:
        raise ValueError(f"explore takes one or two parameters, got {len(parameters)}: {list(parameters)}")
    choices = {name: _choices(name, values) for name, values in parameters.items()}
    first = [_index(name, values, (start or {}).get(name, values[0])) for name, values in choices.items()]
    if unknown := set(start or {}) - set(choices):
        raise ValueError(f"start must name parameters among {list(choices)}, got {sorted(unknown)}")
    ranges = {name: values for name, values in parameters.items() if isinstance(values, tuple)}
    if live and not ranges:
        raise ValueError(f"live draws between the values of (start, stop, step), got choices only: {list(parameters)}")
    sliders = [_control(name, values, alone=len(choices) == 1) for name, values in choices.items()]
    describe = alt if callable(alt) else alt.format

    def frame(*values: Any) -> tuple[str, int]:
        chosen = dict(zip(choices, values, strict=True))
        try:
            data, glass = plot.webp_and_glass(figure_function(**chosen))
            text = describe(**chosen)
        except Exception as error:
            error.add_note(f"explore was drawing {_label(chosen)}")
            raise
        return _image(data, f"{text} ({_label(chosen)})".strip(), glass), len(data)

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
    for slider, index in zip(sliders, first, strict=True):
        slider.index = index
    explorer = ipywidgets.VBox([controls, _turned(view, *first, play=play)])
    if live:
        finer = [_between(*ranges[name]) if name in ranges else None for name in choices]
        _draw_when_moved(explorer, sliders, finer, lambda *values: frame(*values)[0], links, play)
    return explorer


def _turned(view: ipywidgets.Stack, *indices: int, play: ipywidgets.Play | None) -> ipywidgets.Stack:
    """Show the frame of these indices, as the sliders do: in a page without a kernel nothing else would."""
    *outer, inner = indices
    if outer:
        view.selected_index = outer[0]
    for stack in view.children if outer else [view]:
        stack.selected_index = inner
    if play is not None:
        play.value = inner
    return view


def _draw_when_moved(
    explorer: ipywidgets.VBox,
    sliders: Sequence[Slider],
    finer: Sequence[list | None],
    element: Callable[..., str],
    links: Sequence[ipywidgets.widgets.widget_link.Link],
    play: ipywidgets.Play | None,
) -> None:
    """Once a slider has moved, and so a kernel has heard of it, have the kernel draw every picture anew.

    In a built page nobody hears of it, and the frames stay. A picture that cannot be drawn is told in its place: what
    a handler of a widget raises would be seen nowhere.
    """

    def redraw(_change: object = None) -> None:
        try:
            explorer.children[1].value = element(*(slider.value for slider in sliders))
        except Exception as error:
            told = " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
            explorer.children[1].value = f'<p role="alert">{html.escape(told)}</p>'

    def take_over(_change: object) -> None:
        for slider in sliders:
            slider.unobserve(take_over, "index")
        for link in links:
            link.unlink()
        for slider, values in zip(sliders, finer, strict=True):
            if values is not None:
                at = BETWEEN * (slider.index or 0)
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


def _index(name: str, values: list, value: object) -> int:
    if value not in values:
        raise ValueError(f"start must give {name} one of {values}, got {value!r}")
    return values.index(value)


def _between(start: float, stop: float, step: float) -> list:
    """The values of a range and those between them, which fall on its own values every BETWEEN steps."""
    count = BETWEEN * (len(_choices("", (start, stop, step))) - 1) + 1
    return [round(start + index * step / BETWEEN, 10) for index in range(count)]


def _choices(name: str, values: tuple[float, float, float] | Sequence) -> list:
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


def _image(data: bytes, text: str, glass: str) -> str:
    """An <img> of the picture at half its pixels, since it was drawn for sharp screens."""
    width, height = Image.open(io.BytesIO(data)).size
    return (
        f'<span class="labkit-figure"><img src="{data_url(data)}" alt="{html.escape(text)}" '
        f'width="{width // 2}" height="{height // 2}" style="max-width:100%;height:auto">{glass}</span>'
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
