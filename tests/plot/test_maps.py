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


def test_a_map_lies_over_its_image_on_a_scale_of_its_own():
    figure = plot.overlaid(NOISE[0], torch.stack([NOISE[1, 0], 100 * NOISE[1, 0]]), opacity=0.4)
    first, second = (axes.images for axes in figure.axes if len(axes.images) == 2)
    for below, above in (first, second):
        torch.testing.assert_close(torch.as_tensor(below.get_array().data).squeeze(), NOISE[0].mean(0))
        assert above.get_alpha() == 0.4
    torch.testing.assert_close(*(torch.as_tensor(pair[1].get_array().data) for pair in (first, second)))
    with pytest.raises(ValueError, match=r"maps must be \(32, 32\) as the image is, got \(7, 7\)"):
        plot.overlaid(NOISE[0], torch.ones(1, 7, 7))
    with pytest.raises(ValueError, match="opacity must be from 0 to 1, got 2"):
        plot.overlaid(NOISE[0], NOISE[:1, 0], opacity=2)


def test_a_class_has_the_same_colour_in_every_occlusion_figure():
    names = [str(digit) for digit in range(10)]
    shown = []
    for predicted in (torch.tensor([[3, 8], [3, 1]]), torch.tensor([[3, 3], [8, 8]])):
        figure = plot.occluded(torch.zeros(1, 4, 4), torch.full((2, 2), 0.5), predicted, 3, names, window=2)
        shown.append(figure.axes[2].images[0].get_array()[predicted == 8])
    assert shown[0].tolist()[0] == shown[1].tolist()[0]
