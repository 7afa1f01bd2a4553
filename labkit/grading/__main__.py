"""`labkit-grade`, and `python -m labkit.grading`."""

import sys


def main() -> None:
    """Run the command, or say what to install for it."""
    try:
        from labkit.grading.cli import main as command
    except ModuleNotFoundError as error:
        sys.exit(f"labkit-grade: {error}")
    command()


if __name__ == "__main__":
    main()
