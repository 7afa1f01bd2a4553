"""The command `jupyter-book`, without a package that takes longer to import than all others of it together."""

import sys

# jsonschema uses it, where it can be imported, to check addresses (IRIs); no notebook's format has any.
sys.modules["rfc3987_syntax"] = None  # pyright: ignore[reportArgumentType]

from jupyter_book.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
