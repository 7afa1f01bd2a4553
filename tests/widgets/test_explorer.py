"""Explorers: every combination has its frame, links join sliders and frames, and bad parameters are refused."""

import base64
import re
from io import BytesIO

import ipywidgets
import pytest
import torch
from ipywidgets.widgets.widget_link import Link
from PIL import Image

from labkit import plot, widgets
from labkit.widgets.explorer import _choices


def shade(level=0.5, size=4):
    return plot.images(torch.full((1, 1, int(size), int(size)), float(level)))


def frames(view):
    """The HTML of all frames below a stack, in order."""
    if isinstance(view, ipywidgets.Stack):
        return [frame for child in view.children for frame in frames(child)]
    return [view.value]


def parts(explorer):
    controls, view = explorer.children
    sliders = [child for child in controls.children if isinstance(child, ipywidgets.SelectionSlider)]
    return sliders, view


def content(frame):
    return base64.b64decode(re.search('base64,([^"]+)', frame)[1])


def decode(frame):
    return Image.open(BytesIO(content(frame)))


@pytest.fixture
def links(monkeypatch):
    """Every link that the browser will hold, as (source, trait, target, trait)."""
    made = []
    original = Link.__init__

    def record(self, source, target, **options):
        made.append((*source, *target))
        original(self, source, target, **options)

    monkeypatch.setattr(Link, "__init__", record)
    return made


def test_one_parameter_gives_one_frame_a_value_each_with_its_own_picture(links):
    explorer = widgets.explore(shade, level=(0, 1, 0.25), alt="a square of level {level}")
    (slider,), view = parts(explorer)
    assert [value for _, value in slider.options] == [0, 0.25, 0.5, 0.75, 1]
    pictures = frames(view)
    assert len(pictures) == 5
    middles = [decode(frame).convert("L").getpixel((640, 140)) for frame in pictures]
    assert middles == sorted(set(middles))  # five greys, each brighter than the last
    assert (middles[0], middles[-1]) == (0, 255)
    assert (slider, "index", view, "selected_index") in links


def test_frames_hold_the_pixels_of_the_figure_at_half_size_with_a_text():
    explorer = widgets.explore(shade, level=[0.25, 0.75], alt='level {level} of "grey" & <white>')
    frame = frames(parts(explorer)[1])[1]
    original = Image.open(BytesIO(plot.png(shade(0.75)))).convert("RGB")
    assert decode(frame).convert("RGB").tobytes() == original.tobytes()
    assert f'width="{original.width // 2}" height="{original.height // 2}"' in frame
    assert 'alt="level 0.75 of &quot;grey&quot; &amp; &lt;white&gt; (level 0.75)"' in frame


def test_a_frame_is_no_larger_than_its_png():
    frame = frames(parts(widgets.explore(shade, level=[0, 1]))[1])[0]
    assert len(content(frame)) <= len(plot.png(shade(0)))


def test_two_parameters_nest_stacks_and_link_each_to_its_slider(links):
    seen = []

    def record(level, size):
        seen.append((level, size))
        return shade(level, size)

    explorer = widgets.explore(record, level=[0, 0.5, 1], size=[2, 3], alt=lambda level, size: f"{level} in {size}")
    (outer, inner), view = parts(explorer)
    assert seen == [(0, 2), (0, 3), (0.5, 2), (0.5, 3), (1, 2), (1, 3)]
    assert [len(child.children) for child in view.children] == [2, 2, 2]
    texts = [re.search('alt="([^"]*)"', frame)[1] for frame in frames(view)]
    assert texts[3] == "0.5 in 3 (level 0.5, size 3)"
    assert (outer, "index", view, "selected_index") in links
    for child in view.children:
        assert (inner, "index", child, "selected_index") in links


@pytest.mark.slow
def test_play_moves_a_single_slider_of_numbers_and_no_other(links):
    def players(explorer):
        return [child for child in explorer.children[0].children if isinstance(child, ipywidgets.Play)]

    numbers = widgets.explore(shade, level=(0, 1, 0.5))
    (play,) = players(numbers)
    assert (play.min, play.max) == (0, 2)
    assert (play, "value", parts(numbers)[0][0], "index") in links
    assert not players(widgets.explore(lambda name: shade(len(name) / 9), name=["one", "three"]))
    assert not players(widgets.explore(shade, level=[0, 1], size=[2, 3]))


def test_words_beside_another_parameter_are_a_menu_and_numbers_are_not(links):
    explorer = widgets.explore(lambda level, size: shade(level, len(size)), level=[0, 1], size=["two", "three"])
    controls, view = explorer.children
    slider, menu = controls.children
    assert [type(slider), type(menu)] == [ipywidgets.SelectionSlider, ipywidgets.Dropdown]
    assert all((menu, "index", child, "selected_index") in links for child in view.children)
    alone = widgets.explore(lambda size: shade(1, len(size)), size=["two", "three"])
    assert len(parts(alone)[0]) == 1


def test_live_keeps_the_frames_until_a_slider_moves_and_then_draws_what_lies_between():
    drawn = []

    def record(level):
        drawn.append(level)
        return shade(level)

    explorer = widgets.explore(record, level=(0, 1, 0.5), live=True)
    (slider,), view = parts(explorer)
    assert drawn == [0, 0.5, 1]
    assert len(frames(view)) == 3  # all that a page gets
    slider.index = 1
    assert len(slider.options) == 21
    assert slider.value == 0.5
    assert explorer.children[0].children[0].max == 20
    slider.index = 13
    assert drawn[3:] == [0.5, 0.65]
    assert decode(parts(explorer)[1].value).convert("L").getpixel((640, 140)) == 166  # 0.65 of 255


def test_live_with_a_choice_beside_the_range():
    explorer = widgets.explore(shade, level=(0, 1, 0.5), size=[2, 3], live=True)
    level, size = parts(explorer)[0]
    size.index = 1
    assert [len(level.options), len(size.options)] == [21, 2]
    level.index = 1
    assert "(level 0.05, size 3)" in parts(explorer)[1].value


def test_live_needs_a_range():
    with pytest.raises(ValueError, match=r"between the values of \(start, stop, step\), got choices only: \['level'\]"):
        widgets.explore(shade, level=[0, 1], live=True)


def test_too_many_bytes_are_refused_with_the_count():
    pictures = frames(parts(widgets.explore(shade, level=[0, 0.5]))[1])
    both = sum(len(content(frame)) for frame in pictures)
    with pytest.raises(ValueError, match=f"2 of 3 pictures take {both:,} bytes, more than the limit of {both - 1:,}"):
        widgets.explore(shade, level=[0, 0.5, 1], limit=both - 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "one or two parameters, got 0"),
        ({"a": [1, 2], "b": [1, 2], "c": [1, 2]}, "one or two parameters, got 3"),
        ({"level": (0, 1)}, r"level must be \(start, stop, step\)"),
        ({"level": (0, 1, 0)}, "step above zero"),
        ({"level": (0, 1, -1)}, "step above zero"),
        ({"level": ("a", "b", "c")}, "step above zero"),
        ({"level": (1, 0, 0.5)}, "at least two values"),
        ({"level": [0.5]}, r"at least two values to move between, got \[0.5\]"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        widgets.explore(shade, **parameters)


def test_a_range_of_fractions_ends_on_its_stop():
    values = _choices("eps", (0.0, 0.3, 0.1))
    assert values == [0.0, 0.1, 0.2, 0.3]


def test_a_start_is_what_slider_frames_and_play_button_show():
    explorer = widgets.explore(shade, level=(0, 1, 0.25), start={"level": 0.5})
    (slider,), view = parts(explorer)
    play = explorer.children[0].children[0]
    assert (slider.value, slider.index, view.selected_index, play.value) == (0.5, 2, 2, 2)


def test_a_start_of_two_parameters():
    explorer = widgets.explore(shade, level=[0.25, 0.75], size=[4, 5, 6], start={"size": 5, "level": 0.75})
    sliders, view = parts(explorer)
    assert [slider.value for slider in sliders] == [0.75, 5]
    assert view.selected_index == 1
    assert [stack.selected_index for stack in view.children] == [1, 1]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"level": 0.3}, r"start must give level one of \[0.25, 0.75\], got 0.3"),
        ({"other": 1}, r"among \['level'\], got \['other'\]"),
    ],
)
def test_a_start_that_is_not_there_is_refused(start, message):
    with pytest.raises(ValueError, match=message):
        widgets.explore(shade, level=[0.25, 0.75], start=start)


def test_a_figure_that_fails_says_for_which_values():
    with pytest.raises(ZeroDivisionError) as caught:
        widgets.explore(lambda level: shade(1 / level), level=[0.5, 0])
    assert caught.value.__notes__ == ["explore was drawing level 0"]


def test_a_live_figure_that_fails_tells_it_in_its_place_and_goes_on():
    def brittle(level):
        if level == 0.125:
            raise RuntimeError("not <here>")
        return shade(level)

    explorer = widgets.explore(brittle, level=(0, 1, 0.25), live=True)
    (slider,), _ = parts(explorer)
    slider.index = 1
    slider.index = 5
    told = explorer.children[1].value
    assert told == '<p role="alert">RuntimeError: not &lt;here&gt; explore was drawing level 0.125</p>'
    slider.index = 6
    assert "<img" in explorer.children[1].value


def test_progress_counts_the_pictures_and_prints_nothing_else(capsys):
    seen = []
    widgets.explore(shade, level=[0.25, 0.75], progress=lambda values: seen.append(len(values)) or values)
    assert seen == [2]
    assert capsys.readouterr().out == ""
