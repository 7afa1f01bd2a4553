import numpy as np
import torch

from labkit import plot

NOISE = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
CLASSES = ("cat", "dog", "ship")
LOGITS = torch.tensor([[9.0, 0, 0], [0, 1, 0], [0, 0, 9], [9, 0, 0], [0, 9, 0], [1, 0, 0]])


def test_pixels_are_squares_of_their_own_grey(pixels):
    board = (torch.arange(16).reshape(1, 1, 4, 4) % 2).float()
    picture = pixels(plot.images(board))
    dark = (picture == 0).all(2)
    rows, columns = np.nonzero(dark)
    inside = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert set(np.unique(inside)) == {0, 255}  # no shade between black and white: no interpolation


def test_predictions_say_truth_guess_confidence_and_mark_mistakes(texts):
    figure = plot.predictions(NOISE[:3], torch.tensor([0, 0, 2]), LOGITS[:3], CLASSES)
    assert texts(figure) == ["true: cat\n✓ cat >99%", "true: cat\n✗ dog 58%", "true: ship\n✓ ship >99%"]
    colors = [axes.title.get_color() for axes in figure.axes]
    assert colors[0] == colors[2] != colors[1]


def test_frames_lie_around_their_pixels(pixels):
    figure = plot.framed(NOISE[:2], torch.tensor([[0, 1, 2, 3], [4, 4, 1, 1]]))
    frame = figure.axes[0].patches[0]
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((0.5, -0.5), 3, 2)
