"""Packages that only a part of labkit needs: whoever lacks one is told which extra brings it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around the import of a package that the extra brings; where it is missing, say what to install.

    The command is for a checkout: on the public index the name labkit belongs to another project.

    Args:
        extra: one of the optional dependencies in pyproject.toml.

    Raises:
        ModuleNotFoundError: the package is not installed; one line, with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed, and this part of labkit needs it: pip install -e '.[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
