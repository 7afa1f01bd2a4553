"""The book's own part of Sphinx: the pages of the API reference."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from sphinx.application import Sphinx

from tools.website import course_extension


@pytest.fixture
def extension(tmp_path, monkeypatch):
    monkeypatch.setattr(course_extension, "ROOT", tmp_path)
    monkeypatch.setattr(course_extension, "REFERENCE", tmp_path / "book/reference")
    for name in ("labkit/core.py", "labkit/attacks/fgsm.py", "labkit/_private.py", "book/reference/api.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"""What it is.\n\nMore."""\n')
    return course_extension


def test_a_page_for_every_public_module(extension, tmp_path):
    reference = tmp_path / "book/reference"
    (reference / "labkit.gone.md").write_text("of a module that is no more")
    extension.write_module_pages()
    assert sorted(path.name for path in reference.iterdir()) == [
        "api.md",
        "labkit.attacks.fgsm.md",
        "labkit.core.md",
    ]
    written = (reference / "labkit.core.md").stat().st_mtime_ns
    extension.write_module_pages()
    assert (reference / "labkit.core.md").stat().st_mtime_ns == written, "unchanged pages are not written again"


def test_modules_are_listed_with_their_first_line(extension):
    source = [f"# API\n\n{extension.MARKER}\n"]
    extension.list_modules(None, "reference/api", source)
    assert "## labkit\n" in source[0]
    assert "[labkit.attacks.fgsm](labkit.attacks.fgsm.md)\n: What it is.\n" in source[0]
    assert "_private" not in source[0]


def test_nothing_is_executed_where_the_build_does_not_ask_for_it(extension, tmp_path):
    config = SimpleNamespace(nb_execution_mode="off", nb_execution_cache_path=str(tmp_path / "cache"))
    extension.execute_together(SimpleNamespace(config=config), None, ["missing.ipynb"])
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_a_stored_page_of_the_api_does_not_hold_what_was_read_before_it(extension, tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    described = ".. py:function:: look(image)\n\n   It *looks*, see :py:obj:`see`.\n"
    (pages / "index.md").write_text(f"# One\n\n```{{eval-rst}}\n{described}```\n")
    html, doctrees = str(tmp_path / "html"), str(tmp_path / "doctrees")
    app = Sphinx(str(pages), None, html, doctrees, "html", confoverrides={"extensions": ["myst_parser"]}, status=None)
    app.connect("doctree-read", extension.forget_inner_documents, priority=999)
    app.build()
    assert b"BuildEnvironment" not in Path(tmp_path, "doctrees/index.doctree").read_bytes()
    assert "<em>looks</em>" in Path(tmp_path, "html/index.html").read_text()
