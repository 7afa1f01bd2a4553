"""What the live lab loads: made from what it says, anew whenever that changes, and readable from disk."""

import base64
import gzip
import json
import re

import pytest
import torch

from labkit import data, models
from tools.environment import javascript
from tools.website import pack_live_lab
from tools.website.fetch_assets import as_script


def files_of(script):
    found = re.findall(r'^labFiles\["(.+)"\] = "(.+)";$', script.read_text(), re.MULTILINE)
    return {name: gzip.decompress(base64.b64decode(packed)) for name, packed in found}


def test_files_come_out_as_they_went_in(tmp_path):
    files = {"a.wasm": bytes(range(256)), 'with "quotes"': b""}
    (tmp_path / "files.js").write_bytes(as_script(files))
    assert files_of(tmp_path / "files.js")["a.wasm"] == files["a.wasm"]
    assert as_script(files) == as_script(files), "the same bytes every time"


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """The folder of the networks, made beside a runtime of a few bytes."""
    monkeypatch.setattr(pack_live_lab, "VENDOR", tmp_path)
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/runtime.js").write_bytes(as_script({"runtime": b"\0wasm"}))
    (tmp_path / "networks").mkdir()
    pack_live_lab.pack_networks(tmp_path / "networks")
    return tmp_path / "networks"


@pytest.mark.slow
def test_networks_digits_and_contents(packed):
    facts = json.loads(files_of(packed / "digits.js")["facts"])
    for name, label in pack_live_lab.NETWORKS.items():
        files, known = files_of(packed / f"{name}.js"), facts["networks"][name]
        assert set(files) == {known["forward"], known["gradient"], known["weights"]}
        assert files[known["weights"]] == (models.WEIGHTS / f"{name}.safetensors").read_bytes()
        assert (known["label"], known["shape"], known["classes"]) == (label, [1, 28, 28], 10)
        assert [(layer["name"], layer["count"]) for layer in known["layers"]] == [("relu1", 32), ("relu2", 32)]
        assert known["layers"][0]["rows"][5] == [4, 6]
        assert known["kernels"] == {"tensor": "conv1.weight", "count": 32, "size": [3, 3]}
    images, classes = data.examples("mnist", pack_live_lab.DIGITS)
    assert facts["labels"] == classes.tolist()
    pixels = torch.tensor(list(files_of(packed / "digits.js")["digits"])) / 255
    torch.testing.assert_close(pixels, images.flatten())
    contents = json.loads((packed / "contents.json").read_text())
    scripts = [packed / script.replace("../../vendor", "..") for script in contents["scripts"]]
    assert contents["bytes"] == sum(script.stat().st_size for script in scripts)
    assert [script.name for script in scripts] == ["runtime.js", "digits.js", "mnist-robust.js", "mnist.js"]


@pytest.fixture
def esbuild():
    if javascript.find("node") is None or not javascript.STAMP.exists():
        pytest.skip("esbuild is not installed yet: make book does it")


def test_the_lab_is_one_classic_script_with_its_worker_in_it(esbuild, tmp_path):
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks/contents.json").write_text('{"scripts": ["runtime.js"], "bytes": 1}')
    pack_live_lab.bundle(tmp_path, [tmp_path / "networks/contents.json"])
    script = (tmp_path / "lab.js").read_text()
    assert "runtime.js" in script
    assert "wasmBinary" in script, "the worker"
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert (tmp_path / "lab.css").read_text() == (pack_live_lab.SOURCES / "lab.css").read_text()


def test_errors_in_the_sources_stop_it(esbuild, tmp_path, monkeypatch):
    (tmp_path / "worker").mkdir(parents=True)
    for name in ("main.js", "worker/main.js"):
        (tmp_path / name).write_text("const = 1;")
    monkeypatch.setattr(pack_live_lab, "SOURCES", tmp_path)
    with pytest.raises(RuntimeError, match="could not be bundled"):
        pack_live_lab.bundle(tmp_path, [])


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small copy of what the files are made from, and the names of what was made."""
    for name in (
        "labkit/data.py",
        "labkit/features/receptive_field.py",
        "labkit/widgets/browse.js",
        "labkit/plot/palette.json",
        "labkit/weights/mnist.safetensors",
        "book/_assets/live_lab/lab.css",
        "book/_assets/vendor/onnxruntime/runtime.js",
        "tools/bundle.js",
        "package-lock.json",
        "constraints.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    made = []

    def make(folder, *_):
        made.append(folder.name)
        (folder / "made.js").write_text((tmp_path / "labkit/data.py").read_text())

    monkeypatch.setattr(pack_live_lab, "ROOT", tmp_path)
    monkeypatch.setattr(pack_live_lab, "STATIC", tmp_path / "_build/static")
    monkeypatch.setattr(pack_live_lab, "SOURCES", tmp_path / "book/_assets/live_lab")
    monkeypatch.setattr(pack_live_lab, "VENDOR", tmp_path / "book/_assets/vendor")
    monkeypatch.setattr(pack_live_lab, "TOOLS", [tmp_path / "tools/bundle.js"])
    monkeypatch.setattr(pack_live_lab, "pack_networks", make)
    monkeypatch.setattr(pack_live_lab, "pack_training_part", make)
    monkeypatch.setattr(pack_live_lab, "pack_certified", make)
    monkeypatch.setattr(pack_live_lab, "pack_photographs_part", make)
    monkeypatch.setattr(pack_live_lab, "bundle", make)
    pack_live_lab.main()
    pack_live_lab.main()
    assert made == ["networks", "training", "certified", "photographs", "page"], "made once"
    made.clear()
    return tmp_path, made


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("labkit/features/receptive_field.py", ["networks", "certified", "photographs"]),
        ("labkit/data.py", ["networks", "training", "certified", "photographs"]),
        ("labkit/weights/mnist.safetensors", ["networks", "certified", "photographs"]),
        ("book/_assets/vendor/onnxruntime/runtime.js", ["networks"]),
        ("book/_assets/live_lab/lab.css", ["page"]),
        ("labkit/widgets/browse.js", ["networks", "certified", "photographs", "page"]),
        ("labkit/plot/palette.json", ["networks", "certified", "photographs", "page"]),
        ("package-lock.json", ["page"]),
        ("tools/bundle.js", ["networks", "training", "certified", "photographs", "page"]),
    ],
)
def test_what_has_changed_is_made_again_and_nothing_else(tree, changed, again):
    root, made = tree
    (root / changed).write_text("changed")
    pack_live_lab.main()
    assert made == again


def test_a_failure_leaves_the_older_files(tree, monkeypatch):
    root, _ = tree

    def fail(folder, *_):
        (folder / "half").touch()
        raise OSError("the disk is full")

    monkeypatch.setattr(pack_live_lab, "bundle", fail)
    (root / "package-lock.json").write_text("changed")
    with pytest.raises(OSError, match="the disk is full"):
        pack_live_lab.main()
    assert sorted(path.name for path in (root / "_build/static/lab").iterdir()) == [
        "certified",
        "networks",
        "page",
        "photographs",
        "training",
    ]
    assert (root / "_build/static/lab/page/made.js").exists()
