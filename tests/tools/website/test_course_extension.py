"""The execution cache's key changes with what an executed notebook depends on, and with nothing else."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from docutils import nodes
from jupyter_cache import get_cache
from PIL import Image

ROOT = Path(__file__).parents[3]


@pytest.fixture
def extension(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("course_extension", ROOT / "tools/website/course_extension.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "REFERENCE", tmp_path / "book/reference")
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "data"))
    for name in ("labkit/core.py", "labkit/attacks/fgsm.py", "labkit/_private.py", "book/reference/api.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"""What it is.\n\nMore."""\n')
    return module


def test_key_follows_labkit_and_the_data(extension, tmp_path):
    keys = [extension.course_state()]
    (tmp_path / "labkit/core.py").write_text("changed")
    keys.append(extension.course_state())
    (tmp_path / "labkit/weights").mkdir()
    (tmp_path / "labkit/weights/mnist.safetensors").write_bytes(b"new")
    keys.append(extension.course_state())
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mnist-train.safetensors").write_bytes(b"the full set has arrived")
    keys.append(extension.course_state())
    assert len(set(keys)) == 4


def test_key_ignores_what_does_not_matter(extension, tmp_path):
    before = extension.course_state()
    (tmp_path / "labkit/__pycache__").mkdir()
    (tmp_path / "labkit/__pycache__/core.cpython-311.pyc").write_bytes(b"compiled")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mnist.lock").write_text("")
    (tmp_path / "book/index.md").write_text("prose")
    assert extension.course_state() == before


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


def test_every_page_is_written_again_when_an_asset_changes(extension, tmp_path):
    (tmp_path / "book/_assets").mkdir()
    (tmp_path / "book/_assets/course.css").write_text("a {}")
    before = extension.digest_of(tmp_path / "book/_assets")
    assert extension.digest_of(tmp_path / "book/_assets") == before
    (tmp_path / "book/_assets/course.css").write_text("b {}")
    assert extension.digest_of(tmp_path / "book/_assets") != before


@pytest.fixture
def build(tmp_path):
    """What execute_together asks of Sphinx, over the notebooks below tmp_path."""
    config = SimpleNamespace(
        nb_execution_mode="cache", nb_execution_cache_path=str(tmp_path / "cache"), nb_execution_timeout=60
    )
    environment = SimpleNamespace(doc2path=lambda name: str(tmp_path / name))
    return SimpleNamespace(config=config), environment


@pytest.mark.slow
def test_notebooks_are_executed_once_and_those_that_fail_are_not_kept(extension, tmp_path, build):
    sources = {"one.ipynb": "open('ran-one', 'a').write('x'); print('from one')", "two.ipynb": "1 / 0"}
    for name, source in sources.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, tmp_path / name)
    (tmp_path / "prose.md").write_text("# No notebook")
    for _ in range(2):
        extension.execute_together(*build, [*sources, "prose.md"])
    assert (tmp_path / "ran-one").read_text() == "x"
    cache = get_cache(tmp_path / "cache")
    (record,) = cache.list_cache_records()
    assert record.uri == str(tmp_path / "one.ipynb")
    _, merged = cache.merge_match_into_notebook(nbformat.read(tmp_path / "one.ipynb", 4))
    assert merged.cells[0].outputs[0].text == "from one\n"


def test_nothing_is_executed_where_the_build_does_not_ask_for_it(extension, tmp_path, build):
    build[0].config.nb_execution_mode = "off"
    extension.execute_together(*build, ["missing.ipynb"])
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
