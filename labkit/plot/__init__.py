"""Every figure of the course: tensors in, a matplotlib Figure out.

Colours mean the same thing everywhere: grey is a pixel, red and blue are signs with white at zero, viridis is an
amount. Functions draw and do nothing else: they compute no result that a chapter argues with.

This is the only package that imports matplotlib. Import from here; the rooms are for reading.
"""

from labkit.plot.animation import animate
from labkit.plot.architecture import architecture
from labkit.plot.arithmetic import matrices, sliding, windows
from labkit.plot.bars import attack, breakdown, confidences
from labkit.plot.charts import confidence_histogram, curves, descent, dots, lines, reliability, runs, scatter
from labkit.plot.colors import palette
from labkit.plot.drawing import percent
from labkit.plot.encoding import dark_glass, png, webp, webp_and_glass
from labkit.plot.galleries import framed, images, predictions, regions
from labkit.plot.layers import channels, forward_pass, kernels
from labkit.plot.maps import beside, heat, occluded, overlaid, signed
from labkit.plot.style import Picture
from labkit.plot.tables import confusion, rates

__all__ = [
    "Picture",
    "animate",
    "architecture",
    "attack",
    "beside",
    "breakdown",
    "channels",
    "confidence_histogram",
    "confidences",
    "confusion",
    "curves",
    "dark_glass",
    "descent",
    "dots",
    "forward_pass",
    "framed",
    "heat",
    "images",
    "kernels",
    "lines",
    "matrices",
    "occluded",
    "overlaid",
    "palette",
    "percent",
    "png",
    "predictions",
    "rates",
    "regions",
    "reliability",
    "runs",
    "scatter",
    "signed",
    "sliding",
    "webp",
    "webp_and_glass",
    "windows",
]
