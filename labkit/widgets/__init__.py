"""Figures that answer back, in a notebook and in a page without a kernel.

`explore` gives a figure sliders; `browse` shows what the layers of a network make of images;
`table` writes results as a table.

This is the only package that imports ipywidgets. Import from here; the rooms are for reading.
"""

from labkit.widgets.browser import browse
from labkit.widgets.explorer import explore
from labkit.widgets.progress import progress
from labkit.widgets.tables import table

__all__ = ["browse", "explore", "progress", "table"]
