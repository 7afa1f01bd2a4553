"""Before anything imports labkit: its annotations, shapes included, are checked wherever a test calls it."""

from tests import shapes

shapes.install()
