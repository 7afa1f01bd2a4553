"""With CHECK_SHAPES=1, before anything imports labkit: its annotations are checked wherever a test calls it."""

import os

from tests import shapes

if os.environ.get("CHECK_SHAPES"):
    shapes.install()
