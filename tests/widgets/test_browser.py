"""The unit browser holds every activation and what every unit sees."""

import base64
import json
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from labkit import data, models, widgets
from labkit.features.activations import activations, all_activations
from labkit.features.receptive_field import receptive_field


def decode(url):
    return Image.open(BytesIO(base64.b64decode(url.partition("base64,")[2])))


@pytest.fixture(scope="module")
def digits():
    return models.load("mnist"), data.examples("mnist", 2)[0]


def parsed(view):
    """What the script of `browse` reads: its data, and the image sources of the page before it runs."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', view.data)[1])


def test_browse_holds_every_activation_of_every_image(digits):
    model, images = digits
    found = parsed(widgets.browse(model, images, layers=["conv1", "relu2"]))
    for layer, signed in zip(found["layers"], (True, False), strict=True):
        outputs = activations(model, images, layer["name"])
        count, height, width = outputs.shape[1:]
        assert (layer["count"], layer["scale"], layer["low"] < 0) == (count, signed, signed)
        palette = {tuple(color): index / 254 for index, color in enumerate(found["palettes"][layer["scale"]])}
        for sheet, maps in zip(layer["sheets"], outputs, strict=True):
            picture = np.asarray(decode(sheet).convert("RGBA"))
            assert picture.shape[:2] == tuple(layer["size"])
            for unit in ((0, 0, 0), (count - 1, height - 1, width - 1), (9, 3, 5), (17, height // 2, 0)):
                row = unit[0] // layer["across"] * (height + 1) + unit[1]
                column = unit[0] % layer["across"] * (width + 1) + unit[2]
                share = palette[tuple(picture[row, column, :3].tolist())]
                value = layer["low"] + share * (layer["high"] - layer["low"])
                assert value == pytest.approx(maps[unit].item(), abs=(layer["high"] - layer["low"]) / 200)
            assert (picture[height, :, 3] == 0).all(), "the line between maps is transparent"


def test_browse_knows_what_every_unit_sees(digits):
    model, images = digits
    (layer,) = parsed(widgets.browse(model, images, layers=["pool2"]))["layers"]
    for row, column in ((0, 0), (3, 6), (len(layer["rows"]) - 1, len(layer["columns"]) - 1)):
        top, left, height, width = receptive_field(model, "pool2", unit=(row, column), image_size=(28, 28)).tolist()
        assert layer["rows"][row] == [top, top + height - 1]
        assert layer["columns"][column] == [left, left + width - 1]


def test_browse_shows_the_images_and_names_them(digits):
    model, images = digits
    view = widgets.browse(model, images, layers=["relu1"], names=["a <b>", "two"])
    shown = decode(parsed(view)["images"]["pictures"][1])
    assert np.array_equal(np.asarray(shown), (images[1, 0] * 255).round().byte().numpy())
    assert "<option>a &lt;b&gt;</option><option>two</option>" in view.data


def test_browse_takes_every_layer_with_maps_and_dense_ones_by_name(digits):
    model, images = digits
    names = [layer["name"] for layer in parsed(widgets.browse(model, images))["layers"]]
    assert names == [name for name, output in all_activations(model, images).items() if output.ndim == 4]
    (dense,) = parsed(widgets.browse(model, images, layers=["relu3"]))["layers"]
    assert (dense["count"], len(dense["rows"]), dense["rows"], dense["columns"]) == (500, 1, [[0, 27]], [[0, 27]])


def test_browse_refuses_what_it_cannot_show(digits):
    model, images = digits
    with pytest.raises(ValueError, match="names must have 2 entries, one for each image, got 1"):
        widgets.browse(model, images, layers=["relu1"], names=["one"])
    with pytest.raises(ValueError, match="unknown layer 'relu9'"):
        widgets.browse(model, images, layers=["relu9"])
    with pytest.raises(ValueError, match="more than the limit of 1,000: give fewer images or layers"):
        widgets.browse(model, images, layers=["relu1"], limit=1000)
