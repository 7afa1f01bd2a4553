import numpy as np
import torch

from labkit import plot

CLASSES = ("cat", "dog", "ship")
TABLE = torch.tensor([[torch.nan, 0, 1], [0.5, 0.204, 0], [0, 0, 0.996]])


def test_confusion_colours_only_mistakes():
    figure = plot.confusion(torch.tensor([[90, 10], [0, 100]]), ("cat", "dog"))
    drawn = figure.axes[0].images[0].get_array()
    assert np.ma.getmaskarray(drawn).tolist() == [[True, False], [False, True]]
    assert drawn[0, 1] == 10
    assert drawn[1, 0] == 0


def test_rates_are_written_in_percent_and_left_out_where_there_are_none():
    figure = plot.rates(TABLE, "abc", CLASSES, xlabel="target", ylabel="true")
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["0", "0", "0", "0", "100", "20", "50", ">99"]
    assert np.ma.getmaskarray(figure.axes[0].images[0].get_array())[0].tolist() == [True, False, False]
    figure = plot.rates(TABLE, "abc", CLASSES, xlabel="target", ylabel="true", percent=False)
    assert {".50", ".20", "1.00"} <= {text.get_text() for text in figure.axes[0].texts}
