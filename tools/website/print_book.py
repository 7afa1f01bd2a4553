"""Print the built book as one PDF, with contents and an outline: ``make pdf``.

Chromium prints each page by its print style: folded code stays folded, a slider is its first figure and a sentence, a
quiz has its explanations below it.
"""

import argparse
import html
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, PdfMargins, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Destination, Fit

from labkit.files import replacing
from tools.website.chromium import ARGUMENTS, find_chromium
from tools.website.reading_order import AUTHORS, BOOK, ROOT, reading_order

PDF = ROOT / "_build/book.pdf"

# Everything is loaded before it is printed. Links to other pages lead nowhere on paper, and would name this machine.
PREPARE = """async () => {
    const images = [...document.querySelectorAll("img")];
    for (const image of images) image.loading = "eager";
    await Promise.all(images.filter(image => image.checkVisibility()).map(image => image.decode().catch(() => {})));
    await document.fonts.ready;
    for (const link of document.querySelectorAll("a[href]")) {
        const href = link.getAttribute("href");
        if (!/^(#|https?:|mailto:)/.test(href)) link.removeAttribute("href");
    }
}"""
# A heading without its link and without the second reading of its formulas, each run of white space as one space.
HEADINGS = """() => [...document.querySelectorAll("article :is(h2, h3, h4)")].map(heading => {
    const copy = heading.cloneNode(true);
    for (const aside of copy.querySelectorAll(".headerlink, .katex-mathml")) aside.remove();
    return copy.textContent.replace(/\\s+/g, " ").trim();
})"""
PAPER = PdfMargins(top="18mm", bottom="18mm", left="16mm", right="16mm")
CONTENTS = """<!doctype html><html lang="en"><title>Contents</title><style>
    body { font: 11pt/1.7 sans-serif; } h1 { font-size: 22pt; line-height: 1.25; } h2 { font-size: 15pt; }
    table { width: 100%; border-collapse: collapse; } td { border-bottom: 1px solid #ddd; }
    td:last-child { text-align: right; }</style>"""


class Printed(NamedTuple):
    """A page of the book on paper."""

    title: str
    pdf: PdfReader
    headings: Sequence[str]


def print_book(target: Path, only: Sequence[str] = ()) -> int:
    """Write the PDF and return how many sheets it has.

    Args:
        target: the file to write, whole or not at all.
        only: parts of the addresses of those pages that are wanted, such as "01_convolution"; by default all.
    """
    path = find_chromium()
    if path is None:
        raise RuntimeError("no Chromium here; name one with CHROMIUM=/path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        title, pages = reading_order()
        wanted = [page for page in pages if not only or any(part in page.address for part in only)]
        printed = [Printed(page.title, *on_paper(browser, BOOK / page.address)) for page in wanted]
        first = contents(browser, title, printed)
        browser.close()
    writer = PdfWriter()
    writer.add_metadata({"/Title": title, "/Author": AUTHORS})
    writer.append(first, "Contents", import_outline=False)
    for each in printed:
        add_chapter(writer, each)
    writer.page_mode = "/UseOutlines"
    with replacing(target) as file:
        writer.write(file)
    return len(writer.pages)


def on_paper(browser: Browser, page: Path) -> tuple[PdfReader, list[str]]:
    """A page as Chromium prints it, in light colours, and the headings of its sections."""
    tab = browser.new_page(color_scheme="light")
    tab.goto(page.as_uri())
    tab.emulate_media(media="print", color_scheme="light")
    tab.evaluate(PREPARE)
    headings = tab.evaluate(HEADINGS)
    data = tab.pdf(format="A4", margin=PAPER, print_background=True, outline=True, tagged=True)
    tab.close()
    return PdfReader(io.BytesIO(data)), headings


def add_chapter(writer: PdfWriter, printed: Printed) -> None:
    """Append a page; the outline gets its title with its sections below it.

    In Chromium's outline the sections are below the page's own heading, and lose the space where a heading breaks its
    line. So the title stands for that heading, and the sections are named as they are on the page.
    """
    first = len(writer.pages)
    writer.append(printed.pdf, import_outline=False)
    names = {"".join(name.split()): name for name in printed.headings}
    parents = [writer.add_outline_item(title=printed.title, page_number=first)]
    for depth, entry in walk(printed.pdf.outline):
        page = printed.pdf.get_destination_page_number(entry)
        if depth and page is not None:
            name = names.get("".join((entry.title or "").split()), entry.title or "")
            place = Fit.xyz(entry.left, entry.top)
            parent = parents[min(depth, len(parents)) - 1]
            item = writer.add_outline_item(title=name, page_number=first + page, parent=parent, fit=place)
            parents[depth:] = [item]


def walk(outline: Iterable[Any], depth: int = 0) -> Iterator[tuple[int, Destination]]:
    """Entries of an outline with their depths."""
    for entry in outline:
        if isinstance(entry, list):
            yield from walk(entry, depth + 1)
        else:
            yield depth, entry


def contents(browser: Browser, title: str, printed: Sequence[Printed]) -> PdfReader:
    """The title and the table of contents, which is as long as it is before its numbers are known."""
    tab, sheets = browser.new_page(), 1
    while True:
        at, rows = sheets + 1, []
        for each in printed:
            rows.append(f"<tr><td>{html.escape(each.title)}</td><td>{at}</td></tr>")
            at += len(each.pdf.pages)
        table = f"<h1>{html.escape(title)}</h1><h2>Contents</h2><table>{''.join(rows)}</table>"
        tab.set_content(CONTENTS + table)
        made = PdfReader(io.BytesIO(tab.pdf(format="A4", margin=PAPER, tagged=True)))
        if len(made.pages) == sheets:
            tab.close()
            return made
        sheets = len(made.pages)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("only", nargs="*", help="parts of the addresses of the pages that are wanted; by default all")
    only = parser.parse_args().only
    if not (BOOK / "index.html").exists():
        sys.exit("pdf: the book is not built; run make book first")
    print(f"pdf: {print_book(PDF, only)} pages, {PDF.stat().st_size / 1e6:.1f} MB, open {PDF}")


if __name__ == "__main__":
    main()
