import torch

from labkit import plot


def test_colour_kernels_have_grey_at_zero_and_the_largest_weight_at_full_strength():
    weights = torch.zeros(2, 3, 2, 2)
    weights[0, 0, 0, 0], weights[1, 2, 1, 1] = -2, 1
    first, second = (axes.images[0].get_array() for axes in plot.kernels(weights).axes[:2])
    assert first[0, 0].tolist() == [0, 0.5, 0.5]
    assert second[1, 1].tolist() == [0.5, 0.5, 0.75]


def test_channels_are_laid_out_in_rows_of_eight(texts):
    figure = plot.channels(torch.zeros(1, 4, 4), torch.arange(20.0)[:, None, None].expand(20, 4, 4))
    tiles = figure.axes[1].images
    assert [tile.get_array()[0, 0] for tile in tiles] == list(range(20))
    assert tiles[9].get_extent() == [4.5, 8.5, 8.5, 4.5]  # second row, second column, a pixel between
    assert {tile.get_clim() for tile in tiles} == {(0, 19)}
    assert {"0–7", "8–15", "16–19"} <= set(texts(figure))
