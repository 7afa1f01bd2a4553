"""Figures that weigh less, and sliders without ipywidgets: the same pictures, in the same order."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from docutils import nodes
from ipywidgets import embed
from PIL import Image

from labkit import plot, widgets
from tools.website import pictures


def test_figures_of_notebooks_become_smaller_and_stay_the_same(tmp_path):
    folder = tmp_path / "jupyter_execute"
    folder.mkdir()
    shades = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    Image.fromarray(np.stack([shades, shades.T, shades], axis=2)).save(folder / "figure.png", compress_level=0)
    Image.new("RGB", (1, 1)).save(tmp_path / "drawn.png")
    names = ["jupyter_execute/figure.png", "drawn.png"]
    tree = nodes.section("", *(nodes.image(uri=name) for name in names))
    app = SimpleNamespace(env=SimpleNamespace(relfn2path=lambda name: (name, str(tmp_path / name))))
    pictures.shrink_figures(app, tree)
    assert [node["uri"] for node in tree.findall(nodes.image)] == ["jupyter_execute/figure.webp", "drawn.png"]
    assert next(iter(tree.findall(pictures.picture)))["size"] == (200, 200)
    with Image.open(folder / "figure.png") as before, Image.open(folder / "figure.webp") as after:
        assert np.array_equal(before.convert("RGB"), after.convert("RGB"))


@pytest.fixture
def converted(tmp_path):
    """The slider of a page that holds this widget."""

    def convert(widget):
        state = json.dumps({"state": embed.dependency_state([widget])})
        files = {"ipywidgets_state": (None, {"body": state}), "ipywidgets_0": ("embed.js", {})}
        env = SimpleNamespace(docname="chapter", nb_metadata={"chapter": {"js_files": files}})
        app = SimpleNamespace(env=env, outdir=tmp_path / "html", srcdir=tmp_path / "book")
        view = f'<script type="{pictures.VIEW}">{json.dumps({"model_id": widget.model_id})}</script>'
        tree = nodes.section("", nodes.raw("", view, format="html"))
        pictures.write_sliders(app, tree)
        assert not files, "the page loads neither the state nor ipywidgets"
        (slider,) = tree.findall(pictures.slider)
        return slider

    return convert


def shade(level, name="a"):
    return plot.beside(torch.full((1, 4, 4), level / 10), torch.zeros(4, 4), captions=[name, str(level)])


@pytest.mark.slow
def test_a_slider_keeps_its_frames_values_and_start(converted):
    slider = converted(widgets.explore(shade, level=(0, 4, 1), start={"level": 3}, alt="grey of {level} tenths"))
    (control,) = json.loads(slider["controls"])
    assert control == {"name": "level", "values": list("01234"), "start": 3, "menu": False, "play": True}
    shown = [not frame["hidden"] for frame in slider.children]
    assert shown == [False, False, False, True, False]
    texts = [frame.children[0]["alt"] for frame in slider.children]
    assert texts == [f"grey of {level} tenths (level {level})" for level in range(5)]
    assert len({frame.children[0]["uri"] for frame in slider.children}) == 5
    assert "level 3" in slider["still"]


@pytest.mark.slow
def test_two_controls_choose_among_all_combinations(converted):
    slider = converted(widgets.explore(shade, name=["a", "b"], level=(0, 2, 1), start={"level": 1, "name": "b"}))
    menu, control = json.loads(slider["controls"])
    assert (menu["menu"], control["menu"], control["play"]) == (True, False, False)
    texts = [frame.children[0]["alt"] for frame in slider.children]
    assert texts == [f"(name {name}, level {level})" for name in "ab" for level in range(3)]
    assert [not frame["hidden"] for frame in slider.children].index(True) == 4
