"""Results as a table that a page can scroll, in place of columns of printed text."""

import html
import re
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
        named = [_mostly_words(column) for column in zip(*self.rows, strict=True)]
        # A header without words is none.
        head = "".join(
            f'<th scope="col"{_classes(words=words)}>{html.escape(cell)}</th>' if cell else "<td></td>"
            for cell, words in zip(self.header, named, strict=True)
        )
        body = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th>'
            + "".join(_cell(text, words) for text, words in zip(cells, named[1:], strict=True))
            + "</tr>"
            for name, *cells in self.rows
        )
        return f'<table class="results-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _mostly_words(column: Sequence[str]) -> bool:
    """Words begin at the left of their column, numbers end at the right of theirs."""
    return 2 * sum(cell[:1].isalpha() for cell in column) > len(column)


def _cell(text: str, words: bool) -> str:
    """A number has a true minus, a few words stay together where there is room; a sentence is set as one."""
    text = re.sub(r"^-(?=[\d.])", "−", text)
    inner = html.escape(text)
    if len(text) <= SHORT:  # an interval in brackets, and "of" with its number, stay whole where a cell must wrap
        inner = re.sub(r"\([^()]*\)|\bof \d[\d,]*", r'<span class="whole">\g<0></span>', inner)
    return f"<td{_classes(words=words, sentence=len(text) > SHORT)}>{inner}</td>"


def _classes(**named: bool) -> str:
    """A class attribute with the names that hold; nothing if none does."""
    held = " ".join(name for name, holds in named.items() if holds)
    return f' class="{held}"' if held else ""


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
