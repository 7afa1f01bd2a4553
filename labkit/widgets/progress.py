"""A progress bar for notebooks that leaves nothing behind."""

import os
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def progress(steps: Iterable[Any]) -> Iterable[Any]:
    """Show a bar while a notebook goes through the steps; at the end the bar goes, and nothing else of the output.

    None is shown where TQDM_DISABLE is set, as in builds of the book: a page would keep the place where it was.
    """
    return tqdm(steps, leave=False, disable=bool(os.environ.get("TQDM_DISABLE")))
