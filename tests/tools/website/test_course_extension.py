"""The book's own part of Sphinx: the pages of the API reference, and figures that weigh less."""

from types import SimpleNamespace

import numpy as np
import pytest
from docutils import nodes
from PIL import Image

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


def test_figures_of_notebooks_become_smaller_and_stay_the_same(extension, tmp_path):
    folder = tmp_path / "jupyter_execute"
    folder.mkdir()
    shades = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    Image.fromarray(np.stack([shades, shades.T, shades], axis=2)).save(folder / "figure.png", compress_level=0)
    Image.new("RGB", (1, 1)).save(tmp_path / "drawn.png")
    names = ["jupyter_execute/figure.png", "drawn.png"]
    tree = nodes.section("", *(nodes.image(uri=name) for name in names))
    app = SimpleNamespace(env=SimpleNamespace(relfn2path=lambda name: (name, str(tmp_path / name))))
    extension.shrink_figures(app, tree)
    assert [node["uri"] for node in tree.findall(nodes.image)] == ["jupyter_execute/figure.webp", "drawn.png"]
    before, after = (np.asarray(Image.open(folder / f"figure.{kind}").convert("RGB")) for kind in ("png", "webp"))
    assert np.array_equal(before, after)
