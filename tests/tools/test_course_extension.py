"""The execution cache's key changes with what an executed notebook depends on, and with nothing else."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def extension(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("course_extension", ROOT / "tools/course_extension.py")
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
