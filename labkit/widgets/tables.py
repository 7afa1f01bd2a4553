"""Results as a table that a page can scroll, in place of columns of printed text."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

SHORT = 40  # characters; a longer cell is a sentence, which wraps


@dataclass(frozen=True)
class Table:
    """A header and rows of text; the first column names the rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        # A header without words is none.
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' if cell else "<td></td>" for cell in self.header)
        body = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th>' + "".join(_cell(text) for text in cells) + "</tr>"
            for name, *cells in self.rows
        )
        return f'<table class="results-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(text: str) -> str:
    """A number or a few words stay on one line, to the right; a sentence is set as one."""
    words = ' class="words"' if len(text) > SHORT else ""
    return f"<td{words}>{html.escape(text)}</td>"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Results as a table: HTML in a page and in a notebook, aligned columns where it is printed.

    Args:
        header: a name for each column, the first of which names the rows; it may be empty.
        rows: one cell a column: text as it is, anything else as ``str`` writes it.

    Raises:
        ValueError: no row, or a row that has not one cell a column.
    """
    if not rows:
        raise ValueError("rows must hold one row at least, got none")
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"each row must have {len(header)} cells, one for each column, got {len(row)}: {list(row)}"
            )
    return Table(tuple(header), tuple(tuple(map(str, row)) for row in rows))
