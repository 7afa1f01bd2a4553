"""The directives that put the live lab, or a view of it, into a page."""

import json
import re
from pathlib import Path

import pytest
from sphinx.testing.util import SphinxTestApp

from tools.website import pack_live_lab

ROOT = Path(__file__).parents[3]
# Sphinx remembers, in a process, which parser an earlier application chose for .md, which is named again here, and what
# else it has registered, of which it would warn.
CONFIGURATION = """extensions = ['myst_parser', 'tools.website.live_view']
source_suffix = {'.md': 'markdown'}
suppress_warnings = ['app.add_node', 'app.add_directive', 'app.add_role']
"""
CHAPTERS = (1, 3, 6, 8, 9, 10, 11, 12, 15, 16, 18)
WITH_PHOTOS = (8, 9, 10, 11, 12, 16)


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A book of these pages, its scripts already made; returns the HTML of a page and what Sphinx warned of."""
    monkeypatch.setattr(pack_live_lab, "main", lambda: tmp_path / "static")
    (tmp_path / "static/lab/page").mkdir(parents=True)
    for name in ("lab.js", "lab.css"):
        (tmp_path / "static/lab/page" / name).write_text("")

    def run(**pages):
        source = tmp_path / "source"
        source.mkdir()
        (source / "conf.py").write_text(CONFIGURATION)
        pages = {"index": "# Book\n\n```{toctree}\n:glob:\n*\nlab/*\n```\n", "lab/live_lab": "# Lab\n"} | pages
        for name, text in pages.items():
            (source / name).parent.mkdir(exist_ok=True)
            (source / f"{name}.md").write_text(text)
        app = SphinxTestApp("html", srcdir=source, builddir=tmp_path / "build")
        app.build()
        app.cleanup()
        return (lambda page: (Path(app.outdir) / f"{page}.html").read_text()), app.warning.getvalue()

    return run


def test_a_view_has_its_state_a_link_to_the_lab_and_the_script(build):
    page, warnings = build(chapter="# Chapter\n\n```{live-view} attack&digit=7&eps=0.15\n```\n", plain="# Plain\n")
    assert not warnings
    assert 'data-state="attack&amp;digit=7&amp;eps=0.15"' in page("chapter")
    assert 'data-lab="lab/live_lab.html"' in page("chapter")
    assert '<a href="lab/live_lab.html">the live lab</a>' in page("chapter"), "for readers without JavaScript"
    assert re.search(r'<script defer="defer" src="_static/lab/page/lab\.js', page("chapter"))
    assert "lab/page/lab.css" in page("chapter")
    assert "lab/page/" not in page("plain"), "pages without a view load nothing"


def test_the_lab_shows_its_content_to_readers_without_javascript(build):
    page, warnings = build(whole="# Whole\n\n:::{live-lab}\nNo *JavaScript* here.\n:::\n".replace(":::", "```"))
    assert not warnings
    assert "<p>No <em>JavaScript</em> here.</p>" in page("whole")
    assert "data-state" not in page("whole")


def test_an_unknown_view_is_refused(build):
    _, warnings = build(chapter="# Chapter\n\n```{live-view} attak&digit=7\n```\n")
    assert "unknown view 'attak'; there are activations, attack, certify, ideal, kernel, occlusion, " in warnings


def test_a_view_of_a_photo(build):
    page, warnings = build(chapter="# Chapter\n\n```{live-view} photographs&view=where&photo=cat\n```\n")
    assert not warnings
    assert 'data-state="photographs&amp;view=where&amp;photo=cat"' in page("chapter")


def test_an_unknown_view_of_photographs_is_refused(build):
    _, warnings = build(chapter="# Chapter\n\n```{live-view} photographs&view=nowhere\n```\n")
    assert "unknown view of photographs 'nowhere'; there are break, digit, imagine, see, where" in warnings


def test_the_bench_that_trains_is_a_link(build):
    page, warnings = build(chapter="# Chapter\n\n```{live-view} train&norm=yes\n```\n")
    assert not warnings
    assert '<a href="lab/live_lab.html#train&amp;norm=yes">Train a network of your own' in page("chapter")
    assert "data-state" not in page("chapter")


@pytest.mark.parametrize("number", CHAPTERS)
def test_these_chapters_have_a_view_after_their_prediction(number):
    (path,) = (ROOT / "book").glob(f"*/{number:02}_*.ipynb")
    sources = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
    place = next(at for at, source in enumerate(sources) if "```{live-view}" in source)
    assert "Predict before you run" in sources[0] or any("{predict}" in source for source in sources[:place])
    assert place > 4, "the view must not give away what was asked"


@pytest.mark.parametrize("number", WITH_PHOTOS)
def test_these_chapters_have_a_view_of_a_photo(number):
    (path,) = (ROOT / "book").glob(f"*/{number:02}_*.ipynb")
    text = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
    assert "```{live-view} photographs&view=" in text
