"""Before anything imports labkit: its annotations are checked wherever a test calls it."""

from tests import shapes

shapes.install()
