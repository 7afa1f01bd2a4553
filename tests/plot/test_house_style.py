"""Figures are drawn for real and read back as pixels and as text."""

import io
import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from labkit import plot

CLASSES = ("cat", "dog", "ship")
NOISE = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LOGITS = torch.tensor([[9.0, 0, 0], [0, 1, 0], [0, 0, 9], [9, 0, 0], [0, 9, 0], [1, 0, 0]])
HISTORY = {
    "train_loss": [2.0, 1.0],
    "test_loss": [1.5, 1.2],
    "train_accuracy": [0.5, 0.9],
    "test_accuracy": [0.6, 0.8],
}
SUMMARY = {"parameters": [320, 9_248, 784_500, 5_010], "neurons": [25_088, 6_272, 500, 10]}
TABLE = torch.tensor([[torch.nan, 0, 1], [0.5, 0.204, 0], [0, 0, 0.996]])
KERNEL = torch.tensor([[1.0, 0, -1]] * 3)

VALLEY = torch.linspace(-2, 2, 9)
DIVERGES = torch.tensor([[1.0, 1.0], [-1.5, 2.25], [4.0, 16.0]])
STAGES = {"image": (1, 28, 28), "conv1": (32, 28, 28), "pool1": (32, 14, 14), "fc1": (500,), "fc2": (10,)}

FIGURES = {
    "architecture": lambda: plot.architecture(STAGES, here=["conv1"]),
    "architecture of eight": lambda: plot.architecture({f"pool{n}": (128, 16, 16) for n in range(8)}),
    "images": lambda: plot.images(NOISE, captions=[str(index) for index in range(6)]),
    "predictions": lambda: plot.predictions(NOISE, torch.tensor([0, 1, 2, 0, 1, 2]), LOGITS, CLASSES),
    "confidences": lambda: plot.confidences(NOISE[:3], LOGITS[:3], CLASSES),
    "confidences of one": lambda: plot.confidences(NOISE[:1, :1], LOGITS[:1], CLASSES, captions=["a cat"]),
    "forward_pass": lambda: plot.forward_pass(
        NOISE[0], {"conv1": NOISE[:, 0], "conv2": NOISE[:, 0, :5, :5]}, LOGITS[0], CLASSES
    ),
    "signed": lambda: plot.signed(NOISE[:, 0] - 0.5, label="response"),
    "heat": lambda: plot.heat(NOISE[:1, 0], captions=["one"], label="amount"),
    "beside": lambda: plot.beside(NOISE[0], NOISE[0, 0] - 0.5, captions=["in", "out"]),
    "overlaid": lambda: plot.overlaid(NOISE[0], NOISE[:, 1], captions=list("abcdef")),
    "matrices": lambda: plot.matrices([torch.eye(4), -torch.ones(2, 2)], captions=["a", "b"]),
    "sliding": lambda: plot.sliding(torch.eye(6), KERNEL, torch.ones(4, 4), 5),
    "windows": lambda: plot.windows(torch.ones(6, 6), 1, 2),
    "regions": lambda: plot.regions(NOISE[0], {"conv1": (3, 3, 5, 5)}),
    "breakdown": lambda: plot.breakdown(SUMMARY, ["conv1", "conv2", "fc1", "fc2"]),
    "curves": lambda: plot.curves({"one": HISTORY, "two": SimpleNamespace(**HISTORY)}),
    "descent": lambda: plot.descent(VALLEY, VALLEY**2, DIVERGES, xlabel="place", caption="learning rate 3"),
    "occluded": lambda: plot.occluded(
        NOISE[0], torch.linspace(0, 1, 9).view(3, 3), torch.tensor([[0, 1, 2]] * 3), 1, CLASSES, window=2
    ),
    "lines": lambda: plot.lines(
        [1, 2, 3],
        {"ours": ([0.9, 0.5, 0.1], [0.8, 0.4, 0], [1, 0.6, 0.2]), "theirs": [1, 0.9, 0.8]},
        xlabel="eps",
        percent=True,
    ),
    "confusion": lambda: plot.confusion(torch.tensor([[9, 1, 0], [2, 8, 0], [0, 0, 10]]), CLASSES),
    "rates": lambda: plot.rates(TABLE, "abc", CLASSES, xlabel="target", ylabel="true class", label="became the target"),
    "rates of ten": lambda: plot.rates(torch.ones(10, 10), "0123456789", "0123456789", xlabel="to", ylabel="from"),
    "attack": lambda: plot.attack(
        NOISE[0], NOISE[1], LOGITS[0].softmax(0), LOGITS[1].softmax(0), CLASSES, captions=["cat >99%", "dog 58%"]
    ),
    "attack on a digit": lambda: plot.attack(
        NOISE[0, :1], NOISE[1, :1], torch.eye(10)[3], torch.eye(10)[8], "0123456789", gain=3
    ),
    "kernels": lambda: plot.kernels(NOISE[:, :, :3, :3] - 0.5),
    "kernels of one channel": lambda: plot.kernels(NOISE[:, :1, :3, :3] - 0.5),
    "kernels of eight channels": lambda: plot.kernels(NOISE[:4].reshape(4, 8, 12, 32)[..., :3, :3] - 0.5),
    "channels": lambda: plot.channels(NOISE[0], NOISE.flatten(0, 1), caption="conv1"),
    "channels of a deep layer": lambda: plot.channels(NOISE[0], NOISE[:, 0, :4, :4]),
    "framed": lambda: plot.framed(NOISE, torch.tensor([[0, 0, 5, 5]] * 6), captions=["1.25"] * 6),
    "dots": lambda: plot.dots(
        torch.rand(90, generator=torch.Generator().manual_seed(0)),
        torch.arange(90) % 3,
        CLASSES,
        marked=torch.arange(4),
        xlabel="activation",
        legend="the top 4",
    ),
    "scatter": lambda: plot.scatter(
        NOISE[0, 0, :, :2], {"cats": torch.tensor([0, 1, 2]), "dogs": torch.tensor([3])}, xlabel="first"
    ),
    "confidence_histogram": lambda: plot.confidence_histogram(torch.linspace(0, 1, 9), torch.arange(9) > 4, 0.5),
}


def test_a_legend_lists_all_others_only_where_there_are_some():
    points = torch.arange(6.0).view(3, 2)
    for groups, listed in (([0, 1], ["cats", "all others"]), ([0, 1, 2], ["cats"])):
        (legend,) = plot.scatter(points, {"cats": torch.tensor(groups)}).legends
        assert [text.get_text() for text in legend.get_texts()] == listed


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_a_white_card_of_the_same_bytes_each_time_with_nothing_cut_off(name):
    data, figure = plot.png(FIGURES[name]()), FIGURES[name]()
    shown, size = figure._repr_png_()  # what a notebook asks for
    assert isinstance(figure, Figure)
    assert shown == data
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert picture.shape[1] == 2 * size["width"] == 1080
    assert abs(picture.shape[0] - 2 * size["height"]) <= 1
    rim = np.concatenate([picture[:3].reshape(-1, 3), picture[-3:].reshape(-1, 3), picture[:, :3].reshape(-1, 3)])
    assert (rim == 255).all()
    assert (picture[:, -3:] == 255).all()
    assert b"Software" not in data


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_text_is_as_large_as_the_pages_and_does_not_overlap(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    labels = [label for label in figure.findobj(mpl.text.Text) if label.get_visible() and label.get_text().strip()]
    assert all(label.get_fontsize() >= 12 for label in labels)
    straight = [label for label in labels if label.get_rotation() % 90 == 0]
    boxes = [label.get_window_extent().padded(-1) for label in straight]
    for index, box in enumerate(boxes):
        for other, label in zip(boxes[:index], straight, strict=False):
            assert not box.overlaps(other), (straight[index].get_text(), label.get_text())


@pytest.mark.slow
def test_drawing_leaves_matplotlibs_settings_alone():
    before = dict(mpl.rcParams)
    for draw in FIGURES.values():
        draw()
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
def test_pyplot_is_not_imported():
    code = "import sys, labkit.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.images(NOISE[0]), r"images must have shape \(N, C, H, W\), got \(3, 32, 32\)"),
        (lambda: plot.images(NOISE[:, :2]), "1 or 3 channels, got 2"),
        (lambda: plot.images(NOISE[:0]), r"got \(0, 3, 32, 32\)"),
        (lambda: plot.images(NOISE, captions=["one"]), "captions must have 6 entries.*got 1"),
        (lambda: plot.images(NOISE, columns=0), "columns must be a whole number from 1 up, got 0"),
        (lambda: plot.predictions(NOISE, torch.zeros(5), LOGITS, CLASSES), "labels must have 6 entries.*got 5"),
        (lambda: plot.predictions(NOISE, torch.zeros(6), LOGITS[:2], CLASSES), "logits must have 6 entries.*got 2"),
        (lambda: plot.predictions(NOISE, torch.zeros(6), LOGITS, CLASSES[:2]), "all 3 columns.*got 2 names"),
        (lambda: plot.confidences(NOISE, LOGITS, CLASSES), "room for 4 images, got 6"),
        (lambda: plot.confidences(NOISE[:1], LOGITS[:1], CLASSES[:2]), "all 3 columns.*got 2 names"),
        (lambda: plot.forward_pass(NOISE[0], {}, LOGITS[0], CLASSES), "one or two layers, got 0"),
        (lambda: plot.architecture({"image": (1, 28, 28)}), "2 to 8 stages, got 1"),
        (lambda: plot.architecture(STAGES, here=["fc3"]), r"here must name stages among .*got \['fc3'\]"),
        (lambda: plot.architecture(STAGES | {"fc2": (1, 2)}), r"fc2 must have shape .*got \(1, 2\)"),
        (lambda: plot.signed(NOISE), r"maps must have shape \(N, H, W\), got \(6, 3, 32, 32\)"),
        (lambda: plot.heat(NOISE[:, 0], limit=0), "limit must be above zero, got 0"),
        (lambda: plot.matrices([]), "1 to 24 columns wide together, got 0"),
        (lambda: plot.matrices([torch.ones(2, 25)]), "1 to 24 columns wide together, got 25"),
        (lambda: plot.sliding(torch.ones(6, 6), KERNEL, torch.ones(6, 6), 0), r"shape \(4, 4\), got \(6, 6\)"),
        (lambda: plot.sliding(torch.ones(6, 6), KERNEL, torch.ones(4, 4), 16), "from 0 to 15, got 16"),
        (lambda: plot.windows(torch.ones(4, 4), 2, 2), r"reads of \(4, 4\) leave no image inside a padding of 2"),
        (lambda: plot.regions(NOISE[0], {}), "1 to 6 regions, got 0"),
        (lambda: plot.breakdown({"a": [1, 2]}, ["x"]), r"a must hold 1 numbers.*got \[1, 2\]"),
        (lambda: plot.breakdown({"a": [0]}, ["x"]), "not all zero"),
        (lambda: plot.curves({}), "1 to 3 runs, got 0"),
        (lambda: plot.curves({"run": HISTORY | {"test_loss": [1.0]}}), r"'run' must be equally long.*\[1, 2\]"),
        (
            lambda: plot.occluded(NOISE[0], torch.ones(2, 2), torch.ones(3, 2), 0, CLASSES, window=2),
            r"predicted must have shape \(2, 2\), got \(3, 2\)",
        ),
        (lambda: plot.descent(VALLEY, [1, 2], DIVERGES, xlabel=""), r"losses must be 9 values.*got 2"),
        (lambda: plot.descent(VALLEY, VALLEY**2, DIVERGES[2:], xlabel=""), r"start inside the picture, got \[4.0"),
        (lambda: plot.lines([1, 2], {}, xlabel="x"), "1 to 6 lines, got 0"),
        (lambda: plot.lines([1, 2], {"a": [1, 2, 3]}, xlabel="x"), "'a' must be 2 values"),
        (lambda: plot.lines([1, 2], {"a": [1, 2]}, xlabel="x", logarithmic="z"), "'xy', got 'z'"),
        (lambda: plot.confusion(torch.eye(3), ("a", "b")), r"2 × 2 for 2 classes, got \(3, 3\)"),
        (lambda: plot.rates(torch.eye(3), "ab", "abc", xlabel="", ylabel=""), r"must be 2 × 3.*got \(3, 3\)"),
        (lambda: plot.rates(2 * torch.eye(2), "ab", "ab", xlabel="", ylabel=""), "fractions from 0 to 1"),
        (lambda: plot.attack(NOISE[0], NOISE[0, :1], *LOGITS[:2], CLASSES), r"shape \(3, 32, 32\), got \(1, 32, 32\)"),
        (lambda: plot.attack(*NOISE[:2], *LOGITS[:2], "ab"), "must have 2 entries, got 3 and 3"),
        (lambda: plot.attack(*NOISE[:2], *LOGITS[:2], CLASSES, captions=["a"]), "captions must be two, got 1"),
        (lambda: plot.attack(*NOISE[:2], *LOGITS[:2], CLASSES, gain=0), "gain must be above zero, got 0"),
        (lambda: plot.kernels(torch.ones(2, 11, 3, 3)), "at most 10 channels to be drawn, got 11"),
        (lambda: plot.channels(NOISE[0], torch.ones(65, 2, 2)), "room for 64 maps, got 65"),
        (lambda: plot.framed(NOISE, torch.ones(2, 4)), "boxes must have 6 entries.*got 2"),
        (
            lambda: plot.dots([1.0], [0, 0], "a", marked=torch.tensor([0]), xlabel="", legend=""),
            "labels must have 1 entries.*got 2",
        ),
        (lambda: plot.scatter(torch.ones(2, 3), {"a": [0]}), r"must have shape \(N, 2\).*got \(2, 3\)"),
        (lambda: plot.confidence_histogram(torch.rand(3), torch.ones(2), 0.5), "correct must have 3 entries.*got 2"),
        (lambda: plot.confidence_histogram(torch.rand(3), torch.ones(3), 1.5), "from 0 to 1, got 1.5"),
    ],
)
def test_wrong_arguments_are_refused_with_what_came(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
