"""Bind the built book as one EPUB: ``make epub``.

Each page becomes a page of XHTML without scripts: a slider is its first figure and a sentence, a live view is a
sentence, a quiz has its explanations below it. Formulas are the MathML that KaTeX wrote beside its HTML.
"""

import datetime
import html
import io
import mimetypes
import posixpath
import re
import sys
import textwrap
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from bs4 import BeautifulSoup, Tag
from matplotlib.figure import Figure

from labkit import data
from labkit.files import replacing
from tools.website.reading_order import AUTHORS, BOOK, ROOT, Page, reading_order

EPUB = ROOT / "_build/book.epub"
STYLE = Path(__file__).with_name("epub.css")
RIGHTS = "Prose and figures: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/. Code: BSD 3-Clause."

# What needs a script, and what is there twice: a formula for the eye, a heading's own link.
LEFT_OUT = "script, style, svg, select, label, output, .headerlink, .copybtn, .labkit-glass, .katex-html, [hidden]"
LIVE = "A view of the live lab stands here in the online book."
LAB = "The lab itself, in which you draw and the networks answer, is on this page of the online book."
UNITS = "In the online book you choose the image, the layer and the unit here; these are the first ones."
KEPT = ("alt", "class", "colspan", "height", "href", "id", "rowspan", "scope", "src", "title", "type", "width")

PAGE = """\
<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" href="{style}"/></head>
<body>{body}</body>
</html>
"""
CONTAINER = """\
<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
PACKAGE = """\
<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{identifier}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:language>en</dc:language>
<dc:creator>{authors}</dc:creator>
<dc:rights>{rights}</dc:rights>
<meta property="dcterms:modified">{modified}</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">structuralNavigation</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
</metadata>
<manifest>
{manifest}
</manifest>
<spine>
{spine}
</spine>
</package>
"""


class Bound(NamedTuple):
    """A page of the book as it stands in the EPUB."""

    page: Page
    name: str  # of its file
    text: str
    sections: Sequence[tuple[str, str]]  # ids and headings
    images: Sequence[str]  # names of files, the same as in the book's folder


def bind_epub(target: Path, book: Path = BOOK) -> int:
    """Write the EPUB and return how many pages it has.

    Args:
        target: the file to write, whole or not at all.
        book: the folder of the built book.
    """
    title, pages = reading_order(book)
    articles = {page.address: read_article(book / page.address) for page in pages}
    places = {address: {str(tag["id"]) for tag in article.select("[id]")} for address, article in articles.items()}
    bound = [bind_page(page, articles[page.address], places) for page in pages]
    built = datetime.datetime.fromtimestamp((book / "index.html").stat().st_mtime, datetime.UTC)
    files = {"cover.png": cover(title), "style.css": STYLE.read_bytes(), "nav.xhtml": contents(title, bound).encode()}
    files |= {each.name: each.text.encode() for each in bound}
    files |= {
        name: (book / name).read_bytes() for name in dict.fromkeys(name for each in bound for name in each.images)
    }
    package = PACKAGE.format(
        identifier=uuid.uuid5(uuid.NAMESPACE_DNS, title),
        title=html.escape(title),
        authors=AUTHORS,
        rights=RIGHTS,
        modified=f"{built:%Y-%m-%dT%H:%M:%SZ}",
        manifest="\n".join(manifest(files)),
        spine="\n".join(f'<itemref idref="{ident(name)}"/>' for name in ["nav.xhtml", *(each.name for each in bound)]),
    )
    files = {"META-INF/container.xml": CONTAINER.encode(), "content.opf": package.encode(), **files}
    with replacing(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        # The first file tells what the archive is, where no program has to unpack it.
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip", zipfile.ZIP_STORED)
        for name, content in files.items():
            stored = zipfile.ZIP_STORED if name.endswith((".webp", ".png")) else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, stored)
    return len(bound)


def cover(title: str) -> bytes:
    """A picture for the shelf, as a PNG: a handwritten seven, and the title."""
    digits, _ = data.examples("mnist", 10)
    figure = Figure(figsize=(6, 9), dpi=100, facecolor="black")
    axes = figure.add_axes((0.1, 0.38, 0.8, 0.8 * 6 / 9))
    axes.imshow(digits[7, 0].numpy(), cmap="gray")
    axes.set_axis_off()
    lines = textwrap.wrap(title, 24)
    figure.text(0.1, 0.33, "\n".join(lines), color="white", fontsize=26, va="top", linespacing=1.3)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def read_article(page: Path) -> Tag:
    """What can be read of a page: without the theme, and with a sentence in the place of what a script would make."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    article = soup.select_one("article")
    assert article is not None, page
    explain_what_is_live(soup, article)
    for each in article.select(LEFT_OUT):
        each.decompose()
    return article


def bind_page(page: Page, article: Tag, places: dict[str, set[str]]) -> Bound:
    """A page as XHTML, with links to those pages and places that are in the EPUB."""
    for formula in article.select(".katex"):
        math = formula.math
        assert math is not None, page.address
        formula.replace_with(math)
    for summary in article.select("summary:has(p)"):
        summary.string = "Code"  # which the page says in two ways, open and closed
    for link in article.select("a[href]"):
        if (address := within(str(link["href"]), page.address, places)) is None:
            link.unwrap()
        else:
            link["href"] = address
    folder = posixpath.dirname(page.address)
    sources = [
        unquote(str(image["src"])) for image in article.select("img") if not str(image["src"]).startswith("data:")
    ]
    for tag in article.select("*"):
        if tag.name != "math" and not tag.find_parent("math"):
            tag.attrs = {name: value for name, value in tag.attrs.items() if name in KEPT and value != ""}
    sections = [
        (str(part["id"]), " ".join(heading.get_text().split()))
        for part in article.select("section > section[id]")
        if (heading := part.find("h2", recursive=False))
    ]
    body = f"<article>{article.decode_contents(formatter='minimal')}</article>"
    style = posixpath.relpath("style.css", folder or ".")
    text = PAGE.format(title=html.escape(page.title), style=style, body=body)
    ElementTree.fromstring(text)  # a reader would show nothing of what is not well formed
    images = [posixpath.normpath(posixpath.join(folder, source)) for source in sources]
    return Bound(page, renamed(page.address), text, sections, images)


def explain_what_is_live(soup: BeautifulSoup, article: Tag) -> None:
    """A sentence in the place of what a script would make."""
    for place in article.select(".live-lab"):
        told = soup.new_tag("p", attrs={"class": "course-still"})
        told.string = LIVE if "lab-in-chapter" in place.get_attribute_list("class") else LAB
        place.replace_with(told)
    for place in article.select(".labkit-browse"):
        told = soup.new_tag("p", attrs={"class": "course-still"})
        told.string = UNITS
        place.insert_before(told)


def within(address: str, page: str, places: dict[str, set[str]]) -> str | None:
    """An address on a page as it is in the EPUB; None where it leads to what is not in it."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return address
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path))) if parts.path else page
    if target not in places:
        return None
    fragment = parts.fragment if unquote(parts.fragment) in places[target] else ""  # else a state of the live lab
    return parts._replace(path=renamed(parts.path), fragment=fragment).geturl()


def renamed(address: str) -> str:
    """basics/01_convolution.html -> basics/01_convolution.xhtml"""
    return re.sub(r"\.html$", ".xhtml", address)


def contents(title: str, bound: Sequence[Bound]) -> str:
    """The page of contents: parts, their pages, and the sections of each."""
    lines = [f"<h1>{html.escape(title)}</h1>", '<nav epub:type="toc" id="toc"><h2>Contents</h2>', "<ol>"]
    for part, pages in groupby(bound, key=lambda each: each.page.part):
        if part:
            lines.append(f"<li><span>{html.escape(part)}</span><ol>")
        for each in pages:
            sections = [entry(f"{each.name}#{where}", what) for where, what in each.sections]
            lines.append(entry(each.name, each.page.title, sections))
        if part:
            lines.append("</ol></li>")
    lines += ["</ol></nav>", f"<p>{html.escape(RIGHTS)}</p>"]
    return PAGE.format(title="Contents", style="style.css", body="\n".join(lines))


def entry(address: str, text: str, below: Sequence[str] = ()) -> str:
    """A line of the contents, with those below it."""
    deeper = f"<ol>{''.join(below)}</ol>" if below else ""
    return f'<li><a href="{address}">{html.escape(text)}</a>{deeper}</li>'


def manifest(files: dict[str, bytes]) -> Iterator[str]:
    """A line for each file."""
    for name, content in files.items():
        kind = "application/xhtml+xml" if name.endswith(".xhtml") else mimetypes.guess_type(name)[0]
        found = {"nav.xhtml": "nav", "cover.png": "cover-image"}.get(name, "")
        if name.endswith(".xhtml") and b"<math" in content:
            found = "mathml"
        properties = f' properties="{found}"' if found else ""
        yield f'<item id="{ident(name)}" href="{name}" media-type="{kind}"{properties}/>'


def ident(name: str) -> str:
    """An id for a file."""
    return "f-" + re.sub(r"[^\w.-]", "-", name)


def main() -> None:
    if not (BOOK / "index.html").exists():
        sys.exit("epub: the book is not built; run make book first")
    print(f"epub: {bind_epub(EPUB)} pages, {EPUB.stat().st_size / 1e6:.1f} MB, open {EPUB}")


if __name__ == "__main__":
    main()
