"""The checker of pages finds what is broken or too heavy, and nothing else."""

import random

import pytest

from tools.website.check_pages import check_pages

GOOD = """<html><head><link rel="stylesheet" href="_static/a.css?v=1"><script src="_static/a.js"></script></head>
<body><h1 id="top">A</h1><a href="part/b.html#here">b</a><a href="#top">up</a>
<a href="https://example.org/paper">a paper is not loaded, only linked</a><a href="mailto:a@example.org">mail</a>
<img src="data:image/png;base64,//example.org/AAAA" alt=""><script type="application/json">{"u": "https://x.org"}</script>
</body></html>"""


@pytest.fixture
def book(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static/a.css").write_text("b { background: url(a.js) }")
    (tmp_path / "_static/a.js").write_text("")
    (tmp_path / "part").mkdir()
    (tmp_path / "part/b.html").write_text('<p id="here">b <a href="../index.html">back</a></p>')
    (tmp_path / "index.html").write_text(GOOD)
    return tmp_path


def test_a_sound_book_has_no_problems(book):
    assert check_pages(book) == []


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="part/c.html">c</a>', "part/c.html: there is no such file"),
        ('<a href="part/b.html#there">b</a>', "part/b.html#there: there is no such place"),
        ('<a href="#nowhere">x</a>', "#nowhere: there is no such place"),
        ('<img src="missing.png" alt="">', "missing.png: there is no such file"),
        ('<img srcset="missing.png 2x, _static/a.js 1x" alt="">', "missing.png: there is no such file"),
        ('<script src="https://example.org/a.js"></script>', "loads https://example.org/a.js from outside"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "loads //example.org/a.css from outside"),
        ('<p style="background: url(https://example.org/a.png)">', "loads https://example.org/a.png from outside"),
        ('<iframe src="http://example.org/"></iframe>', "loads http://example.org/ from outside"),
        ('<script>import("https://example.org/a.js")</script>', "a script names https://example.org"),
    ],
)
def test_every_kind_of_problem_is_found(book, html, problem):
    (book / "index.html").write_text(GOOD.replace("</body>", html + "</body>"))
    found = check_pages(book)
    assert len(found) == 1
    assert found[0].startswith("index.html: ")
    assert problem in found[0]


def test_an_address_may_be_a_state_of_the_lab(book):
    (book / "part/b.html").write_text('<p id="here"></p><div data-places="attack train"></div>')
    (book / "index.html").write_text(GOOD.replace("</body>", '<a href="part/b.html#train&race=yes">t</a></body>'))
    assert check_pages(book) == []
    (book / "index.html").write_text(GOOD.replace("</body>", '<a href="part/b.html#learn&race=yes">t</a></body>'))
    assert check_pages(book) == ["index.html: part/b.html#learn&race=yes: there is no such place on that page"]


def test_outside_hosts_in_style_sheets_are_found(book):
    (book / "_static/a.css").write_text("@font-face { src: url('https://example.org/a.woff') }")
    assert check_pages(book) == ["_static/a.css: loads https://example.org/a.woff from outside"]


def test_an_empty_folder_is_a_problem(tmp_path):
    assert check_pages(tmp_path) == [f"{tmp_path} holds no pages"]


def test_a_page_that_is_too_heavy_is_a_problem(book):
    noise = random.Random(0).randbytes(1_600_000)
    (book / "_static/shared.png").write_bytes(noise)
    (book / "index.html").write_text(GOOD.replace("</body>", '<img src="_static/shared.png" alt=""></body>'))
    assert check_pages(book) == []
    (book / "own.png").write_bytes(noise)
    (book / "index.html").write_text(GOOD.replace("</body>", '<img src="own.png" alt=""></body>'))
    assert check_pages(book) == ["index.html: 1.6 MB gzipped with its figures; a page may have 1.5 MB"]
