"""A bar that a notebook shows while it works."""

from collections.abc import Iterable

from IPython import get_ipython
from IPython.display import clear_output
from tqdm import tqdm


def progress(steps: Iterable):
    """Show a bar while a notebook goes through the steps, and at the end wipe the cell's output, bar and all."""
    if get_ipython() is None:
        yield from steps
        return
    yield from tqdm(steps, leave=False)
    clear_output()
