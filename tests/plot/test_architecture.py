from matplotlib.patches import Rectangle

from labkit import plot
from labkit.plot.colors import CORRECT, EMPTY

STAGES = {"image": (1, 28, 28), "conv1": (32, 28, 28), "pool1": (32, 14, 14), "fc2": (10,)}


def test_you_are_here_is_the_only_stage_in_colour(texts):
    figure = plot.architecture(STAGES, here=["conv1"])
    found = texts(figure)
    assert {*STAGES, "32\n28 × 28", "32\n14 × 14", "10"} <= set(found)
    colours = [patch.get_facecolor() for patch in figure.findobj(Rectangle) if patch.get_width() < 1]
    blue, grey = (tuple(round(int(color[at : at + 2], 16) / 255, 4) for at in (1, 3, 5)) for color in (CORRECT, EMPTY))
    assert {tuple(round(part, 4) for part in colour[:3]) for colour in colours} == {blue, grey}
    first = plot.architecture(STAGES, here=[])
    assert len(first.findobj(Rectangle)) == len(figure.findobj(Rectangle))


def test_smaller_maps_are_drawn_smaller():
    figure = plot.architecture(STAGES)
    heights = [round(patch.get_height(), 3) for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert heights[0] == max(heights)  # the image, and conv1 like it
    assert len(set(heights)) == 3
