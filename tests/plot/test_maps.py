import pytest
import torch

from labkit import plot

NOISE = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_signed_maps_have_white_at_zero_and_the_same_scale_both_ways():
    maps = torch.tensor([[[-1.0, 0.0, 4.0]]]).expand(1, 3, 3)
    (image,) = [axes.images[0] for axes in plot.signed(maps).axes if axes.images]
    assert image.get_clim() == (-4, 4)
    assert image.to_rgba(0.0)[:3] == pytest.approx((0.97, 0.97, 0.97), abs=0.01)
    red, blue = image.to_rgba(4.0), image.to_rgba(-4.0)
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_heat_starts_at_zero_and_takes_a_limit():
    clims = [axes.images[0].get_clim() for axes in plot.heat(NOISE[:2, 0], limit=3).axes if axes.images]
    assert clims == [(0, 3)] * 2


def test_maps_of_zeros_can_be_drawn():
    assert plot.png(plot.signed(torch.zeros(1, 4, 4)))


def test_a_class_has_the_same_colour_in_every_occlusion_figure():
    names = [str(digit) for digit in range(10)]
    shown = []
    for predicted in (torch.tensor([[3, 8], [3, 1]]), torch.tensor([[3, 3], [8, 8]])):
        figure = plot.occluded(torch.zeros(1, 4, 4), torch.full((2, 2), 0.5), predicted, 3, names, window=2)
        shown.append(figure.axes[2].images[0].get_array()[predicted == 8])
    assert shown[0].tolist()[0] == shown[1].tolist()[0]
