"""Before anything imports labkit: its annotations, shapes included, are checked wherever a test calls it."""

import sys

from tests import shapes

# jsonschema uses it, where it can be imported, to check addresses (IRIs), which no notebook has: it takes a second.
sys.modules["rfc3987_syntax"] = None

shapes.install()
