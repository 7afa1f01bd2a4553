import torch

from labkit import plot


def test_palette_holds_the_colours_of_the_maps():
    signed, heat = plot.palette(signed=True), plot.palette(signed=False)
    assert signed.shape == heat.shape == (256, 3)
    assert signed.dtype == torch.uint8
    assert (signed[127:129] > 240).all()  # white at zero
    assert signed[0, 2] > signed[0, 0]  # blue below
    assert signed[-1, 0] > signed[-1, 2]  # red above
    assert (heat.float().mean(1).diff() > -2).all()  # from dark to light
