import numpy as np
import pytest
import torch

from labkit import plot

NOISE = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
CLASSES = ("cat", "dog", "ship")
SUMMARY = {"parameters": [320, 9_248, 784_500, 5_010], "neurons": [25_088, 6_272, 500, 10]}


def test_a_breakdown_adds_up(texts):
    figure = plot.breakdown(SUMMARY, ["conv1", "conv2", "fc1", "fc2"])
    found = texts(figure)
    assert len({axes.get_xlim() for axes in figure.axes}) == 1  # bars of one length stand for one fraction
    assert [round(axes.patches[2].get_width(), 4) for axes in figure.axes] == [0.9818, 0.0157]
    assert "parameters\n799,078" in found
    assert "98.18%" in found
    assert "neurons\n31,870" in found


def test_an_attack_shows_the_difference_enlarged_around_grey(texts):
    image, result = torch.full((1, 2, 2), 0.5), torch.tensor([[[0.5, 0.51], [0.49, 1.0]]])
    figure = plot.attack(image, result, torch.tensor([0.9, 0.1]), torch.tensor([0.2, 0.8]), "ab", gain=10)
    shown = np.squeeze(figure.axes[1].images[0].get_array())
    assert np.allclose(shown, [[0.5, 0.6], [0.4, 1.0]], atol=1e-6)
    assert {"a 90%", "difference × 10", "b 80%", "before", "after"} <= set(texts(figure))
    assert [bar.get_width() for bar in figure.axes[3].patches] == pytest.approx([0.9, 0.1, 0.2, 0.8])


def test_an_attack_that_changes_nothing_shows_the_image_twice():
    figure = plot.attack(NOISE[0], NOISE[0], torch.eye(3)[0], torch.eye(3)[0], CLASSES)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["cat >99%", "difference × 10", "cat >99%"]
