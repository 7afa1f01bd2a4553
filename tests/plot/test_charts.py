import pytest
import torch

from labkit import plot


def test_confidence_histogram_counts_what_is_answered(texts):
    confidences = torch.tensor([0.1, 0.55, 0.65, 0.95, 1.0])
    figure = plot.confidence_histogram(confidences, torch.tensor([False, True, False, True, True]), 0.6)
    assert {"correct: 2 of 3 answered", "wrong: 1 of 2 answered"} <= set(texts(figure))


def test_runs_are_dots_in_rows_with_an_interval():
    series, intervals = (
        {"one way": [0.1, 0.3], "another": [0.5]},
        {"one way": (0.2, 0.1, 0.3), "another": (0.5, 0.4, 0.6)},
    )
    (axes,) = plot.runs(series, intervals, xlabel="accuracy", percent=True, limits=(0, 1)).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[0.1, 0.3], [0.5]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one way", "another"]
    with pytest.raises(ValueError, match="'another' needs values and an interval"):
        plot.runs(series, {"one way": (0.2, 0.1, 0.3)}, xlabel="accuracy")
    with pytest.raises(ValueError, match="got none"):
        plot.runs({}, {}, xlabel="accuracy")


@pytest.mark.parametrize(("visited", "drawn"), [([1.0, -1.5, 4.0, 0.5], 2), ([1.0, 0.5, 0.25], 3)])
def test_a_descent_is_drawn_up_to_where_it_leaves_the_picture(visited, drawn, texts):
    x, path = torch.linspace(-2, 2, 9), torch.tensor(visited)
    figure = plot.descent(x, x**2, torch.stack([path, path**2], 1), xlabel="place")
    assert len(figure.axes[0].lines[1].get_xdata()) == drawn
    assert any("out of the picture" in text for text in texts(figure)) == (drawn < len(visited))


def test_a_reliability_diagram_shows_bins_that_hold_something():
    nan = torch.nan
    confidence, accuracy = torch.tensor([nan, 0.3, nan, 0.9]), torch.tensor([nan, 0.5, nan, 0.8])
    bins = confidence, accuracy, accuracy - 0.1, accuracy + 0.1
    top, bottom = plot.reliability(*bins, torch.tensor([0, 4, 0, 10])).axes
    _, drawn = (line for line in top.lines if len(line.get_xdata()) == 2 and line.get_marker() != "_")
    assert drawn.get_xdata().tolist() == pytest.approx([0.3, 0.9])
    assert [bar.get_height() for bar in bottom.patches] == [0, 4, 0, 10]
    with pytest.raises(ValueError, match="needs predictions, got none"):
        plot.reliability(*bins, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="each must have 3 entries"):
        plot.reliability(*bins, torch.tensor([0, 4, 0]))
