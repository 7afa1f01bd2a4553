"""Tables that spreadsheet programs open as they are meant, and read back as they save them."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from labkit.files import write_bytes

FORMULA = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # categories of characters that nobody sees: bidi marks, for one


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A CSV for Excel, LibreOffice and Python: UTF-8 with its mark, every field quoted, nothing that is a formula."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow([harmless(text) for text in header])
    writer.writerows([harmless(text) for text in row] for row in rows)
    write_bytes(path, file.getvalue().encode("utf-8-sig"))


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV, whichever program saved it: commas, semicolons or tabs; UTF-8, UTF-16 or
    Windows' own. Every row is as long as the header.

    Raises:
        ValueError: it has no header.
    """
    text = decoded(path.read_bytes())
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    if not lines:
        raise ValueError(f"{path} is empty: it should be a table with a header")
    header, *rows = lines
    return header, [[*row, *[""] * len(header)][: len(header)] for row in rows if any(row)]


def decoded(content: bytes) -> str:
    """The text of a file that some program saved."""
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, and in which every character shows.

    A formula may also begin behind a semicolon or a tab, where a program splits the line there.
    """
    shown = "".join(visible(character) for character in text)
    shown = re.sub(rf"(^|[;,\n]\s*)(?=[{re.escape(FORMULA)}])", r"\1'", shown)
    return shown


def visible(character: str) -> str:
    """The character, or its code in brackets where nobody would see it."""
    if character == "\n" or unicodedata.category(character) not in HIDDEN:
        return character
    return f"[U+{ord(character):04X}]" if character not in "\t\r" else " "
