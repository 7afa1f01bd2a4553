from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from labkit import plot
from labkit.plot.colors import CORRECT, EMPTY

STAGES = {"image": (1, 28, 28), "conv1": (32, 28, 28), "pool1": (32, 14, 14), "fc2": (10,)}


def test_you_are_here_is_the_only_stage_in_colour(texts):
    figure = plot.architecture(STAGES, here=["conv1"])
    found = texts(figure)
    assert {*STAGES, "32\n28 × 28", "32\n14 × 14", "10"} <= set(found)
    colours = {to_hex(patch.get_facecolor()) for patch in figure.findobj(Rectangle) if patch.get_width() < 1}
    assert colours == {CORRECT, EMPTY}
    first = plot.architecture(STAGES, here=[])
    assert len(first.findobj(Rectangle)) == len(figure.findobj(Rectangle))


def test_smaller_maps_are_drawn_smaller():
    figure = plot.architecture(STAGES)
    heights = [round(patch.get_height(), 3) for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert heights[0] == max(heights)  # the image, and conv1 like it
    assert len(set(heights)) == 3
