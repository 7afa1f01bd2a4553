"""The pages of the built book in the order in which they are read, for a book on paper or on a reader.

The API reference is left out; it is made to be searched.
"""

from pathlib import Path
from typing import NamedTuple

from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "_build/html"
AUTHORS = "the authors of labkit"
FIRST = "How to use this book"


class Page(NamedTuple):
    """A page of the book: `part` is the caption above it in the sidebar, "" for the first page."""

    address: str  # below the book's folder
    title: str
    part: str


def reading_order(book: Path = BOOK) -> tuple[str, list[Page]]:
    """The book's title, and its pages in reading order."""
    index = BeautifulSoup((book / "index.html").read_text(encoding="utf-8"), "html.parser")
    pages, part = [Page("index.html", FIRST, "")], ""
    for item in index.select("#pst-primary-sidebar nav :is(.caption-text, a.reference.internal)"):
        address = str(item.get("href", ""))
        if not address:
            part = item.get_text().strip()
        elif not address.startswith(("reference/", "#")):
            pages.append(Page(address, item.get_text().strip(), part))
    heading = index.select_one("h1")
    assert heading is not None
    return str(heading.contents[0]), pages
