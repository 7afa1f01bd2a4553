"""Two chapters on paper: everything that teaches is there, with an outline, and nothing names the machine."""

import unicodedata

import pytest
from pypdf import PdfReader

from tools.website.chromium import find_chromium
from tools.website.print_book import print_book

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("print")]


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("no Chromium here; name one with CHROMIUM=/path")
    target = tmp_path_factory.mktemp("paper") / "book.pdf"
    count = print_book(target, ["basics/01_", "attacks/15_"])
    pdf = PdfReader(target)
    assert len(pdf.pages) == count
    return pdf


def titles(outline, depth=0):
    """Titles of an outline with their depth."""
    for entry in outline:
        if isinstance(entry, list):
            yield from titles(entry, depth + 1)
        else:
            yield depth, entry.title


def test_contents_and_outline(paper):
    found = list(titles(paper.outline))
    assert [title for depth, title in found if depth == 0] == ["Contents", "1. The convolution", "15. A small push"]
    assert (1, "Where it misleads") in found
    assert (1, "Padding, stride, and the size of the output") in found, "its line breaks on the page"
    assert max(depth for depth, _ in found) == 1, "a chapter is named once, with its sections right below it"
    contents = paper.pages[0].extract_text()
    starts = [paper.get_destination_page_number(entry) + 1 for entry in paper.outline if not isinstance(entry, list)]
    for title, start in zip(["The convolution", "A small push"], starts[1:], strict=True):
        assert any(title in line and line.split()[-1] == str(start) for line in contents.splitlines()), contents


def test_sliders_and_answers_are_told(paper):
    text = " ".join("\n".join(page.extract_text() for page in paper.pages).split())
    text = unicodedata.normalize("NFKC", text)  # "fi" is printed as one glyph
    assert "The convolution" in paper.pages[1].extract_text()
    assert "stands here in the online book; this is its figure at" in text
    assert "In three sentences" in text
    assert text.count("Right.") >= 6, "the quizzes' explanations"
    assert "Show me without guessing" not in text
    assert sum(len(page.images) for page in paper.pages) > 10


def test_no_link_names_the_machine(paper):
    annotations = [note.get_object() for page in paper.pages for note in page.get("/Annots") or []]
    addresses = [note["/A"]["/URI"] for note in annotations if "/URI" in note.get("/A", {})]
    assert addresses, "sources are linked"
    assert all(address.startswith(("https://", "http://", "mailto:")) for address in addresses), addresses
