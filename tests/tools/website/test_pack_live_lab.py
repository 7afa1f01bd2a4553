"""What the live lab loads: the shipped files, packed so that a page opened from disk can read them."""

import base64
import gzip
import json
import re

import pytest
import torch

from labkit import data, models
from tools.website import pack_live_lab
from tools.website.fetch_assets import as_script


def files_of(script):
    found = re.findall(r'^labFiles\["(.+)"\] = "(.+)";$', script.read_text(), re.MULTILINE)
    return {name: gzip.decompress(base64.b64decode(packed)) for name, packed in found}


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    monkeypatch.setattr(pack_live_lab, "VENDOR", tmp_path)
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/runtime.js").write_bytes(as_script({"runtime": b"\0wasm"}))
    return tmp_path


def test_files_come_out_as_they_went_in(tmp_path):
    files = {"a.wasm": bytes(range(256)), 'with "quotes"': b""}
    (tmp_path / "files.js").write_bytes(as_script(files))
    assert files_of(tmp_path / "files.js")["a.wasm"] == files["a.wasm"]
    assert as_script(files) == as_script(files), "the same bytes every time"


def test_networks_digits_and_contents(vendor):
    pack_live_lab.main()
    for name in ("mnist", "mnist-robust"):
        files = files_of(vendor / f"lab/{name}.js")
        assert set(files) == {f"{name}.onnx", f"{name}-gradient.onnx", f"{name}.safetensors"}
        assert files[f"{name}.safetensors"] == (models.WEIGHTS / f"{name}.safetensors").read_bytes()
    files = files_of(vendor / "lab/digits.js")
    facts, (images, classes) = json.loads(files["facts"]), data.examples("mnist", pack_live_lab.DIGITS)
    assert facts["labels"] == classes.tolist()
    assert facts["fields"]["relu1"][5] == [4, 6]
    pixels = torch.tensor(list(files["digits"])) / 255
    torch.testing.assert_close(pixels, images.flatten())
    contents = json.loads((vendor / "lab/contents.js").read_text().removeprefix("const labContents = ").rstrip(";\n"))
    assert contents["bytes"] == sum((vendor / script).stat().st_size for script in contents["scripts"])
    assert set(contents["scripts"]) == {
        "onnxruntime/runtime.js",
        "lab/digits.js",
        "lab/mnist.js",
        "lab/mnist-robust.js",
    }


def test_only_what_has_changed_is_packed_again(vendor, capsys):
    pack_live_lab.main()
    assert "networks and digits" in capsys.readouterr().out
    pack_live_lab.main()
    assert capsys.readouterr().out == ""
    (vendor / "onnxruntime/runtime.js").write_bytes(as_script({"runtime": b"newer"}))
    pack_live_lab.main()
    assert "networks and digits" in capsys.readouterr().out
    assert not list(vendor.glob("lab-*")), "nothing half-made is left"
