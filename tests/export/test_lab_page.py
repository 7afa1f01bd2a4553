"""The live lab with a network of one's own: the page holds that network, and what cannot be shown is refused."""

import base64
import gzip
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from labkit import data, models
from labkit.lab_network import lab_network, trained_tensors

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from labkit.export import lab_page  # noqa: E402


@pytest.fixture(autouse=True)
def assets(tmp_path, monkeypatch):
    """The lab's script and runtime, of a few bytes."""
    folder = tmp_path / "page"
    folder.mkdir()
    for name in ("lab.js", "lab.css", *lab_page.RUNTIME):
        (folder / name).write_text(f"/* {name} */")
    monkeypatch.setattr(lab_page, "FOLDERS", (folder,))


def small_network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = lab_network(filters=4, convolutions=1, batch_norm=True)
    network.train()(data.examples("mnist", 40)[0])
    return network.eval()


def file_of(kind, folder):
    """The same network as a file of this kind."""
    network, path = small_network(), folder / f"mine.{kind}"
    images = torch.zeros(2, 1, 28, 28)
    if kind == "safetensors":
        save_file({name: network.state_dict()[name] for name in trained_tensors(network)}, path)
    elif kind == "onnx":
        axes = {"pixels": {0: "batch"}, "scores": {0: "batch"}}
        names = {"input_names": ["pixels"], "output_names": ["scores"], "dynamic_axes": axes}
        torch.onnx.export(network, (images,), str(path), dynamo=False, opset_version=17, **names)
    else:
        batch = torch.export.Dim("batch", min=1)
        torch.export.save(torch.export.export(network, (images,), dynamic_shapes=({0: batch},)), path)
    return network, path


def files_in(page):
    found = re.findall(r'labFiles\["([^"]+)"\] = "([^"]+)";', page.read_text())
    return {name: gzip.decompress(base64.b64decode(text)) for name, text in found}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of its older exporter
@pytest.mark.parametrize("kind", ["safetensors", "onnx", "pt2"])
def test_the_page_holds_the_network_and_its_gradient(kind, tmp_path):
    network, path = file_of(kind, tmp_path)
    page = lab_page.write_lab(path, tmp_path / "lab.html")
    files = files_in(page)
    known = json.loads(files["facts"])["networks"]["network"]
    assert (known["label"], known["shape"], known["classes"]) == ("mine", [1, 28, 28], 10)
    assert known["kernels"]["count"] == 4
    assert [layer["name"] for layer in known["layers"]] == (["relu1"] if kind == "safetensors" else [])
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    images, classes = data.examples("mnist", 20)
    images = (0.98 * images + 0.02 * torch.rand(images.shape, generator=torch.Generator().manual_seed(0))).contiguous()
    given = {"images": images.numpy(), "weights": np.eye(10, dtype=np.float32)[classes.numpy()]}
    session = onnxruntime.InferenceSession(folder / known["gradient"], providers=["CPUExecutionProvider"])
    logits, gradient = session.run(["logits", "gradient"], given)
    images.requires_grad_()
    expected = network(images)
    (slope,) = torch.autograd.grad(expected.gather(1, classes[:, None]).sum(), images)
    torch.testing.assert_close(torch.tensor(logits), expected.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(gradient), slope, atol=1e-5, rtol=0)


def test_a_shipped_network_brings_its_own_file(tmp_path):
    files = files_in(lab_page.write_lab("mnist", tmp_path / "lab.html"))
    assert files["network.safetensors"] == (models.WEIGHTS / "mnist.safetensors").read_bytes()


def test_what_the_lab_cannot_show_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"shape \(1, 28, 28\), and 'cifar10' is for images of \(3, 32, 32\)"):
        lab_page.write_lab("cifar10", tmp_path / "lab.html")
    with pytest.raises(ValueError, match=r"unknown network 'mnits': give a shipped name \(mnist, .*, or a file"):
        lab_page.write_lab("mnits", tmp_path / "lab.html")
    with pytest.raises(FileNotFoundError):
        lab_page.write_lab("none.onnx", tmp_path / "lab.html")
    monkeypatch.setattr(lab_page, "FOLDERS", (tmp_path / "nowhere",))
    with pytest.raises(FileNotFoundError, match=r"lab.js is not in this installation; in a checkout, `make book`"):
        lab_page.write_lab("mnist", tmp_path / "lab.html")
    assert not (tmp_path / "lab.html").exists()
