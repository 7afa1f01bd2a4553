"""The live lab with a network of one's own: the page holds that network, and what cannot be shown is refused."""

import base64
import gzip
import json
import re
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from labkit import cli, data, models
from labkit.lab_network import lab_network, trained_tensors

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from labkit.export import lab_page  # noqa: E402
from labkit.export.photographs import stages_of, widened  # noqa: E402


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


@pytest.mark.slow
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


def small_photo_network(*, classes=4) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = {
            "normalize": models.Normalize((0.5,) * 3, (0.25,) * 3, (3, 16, 16)),
            "conv1": nn.Conv2d(3, 6, 3, stride=2, padding=1),
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(6, 8, 3, padding=1),
            "relu2": nn.ReLU6(),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(8, classes),
        }
    return nn.Sequential(OrderedDict(layers)).eval()


@pytest.mark.slow
def test_a_page_for_photographs_holds_the_network_its_gradient_and_photos(tmp_path):
    network = small_photo_network()
    page = lab_page.write_photograph_lab(network, tmp_path / "lab.html", label="mine", names=["a", "b", "c", "d"])
    files = files_in(page)
    facts = json.loads(files["photograph facts"])
    known = facts["networks"][facts["network"]]
    assert (known["label"], known["shape"], known["names"]) == ("mine", [3, 16, 16], ["a", "b", "c", "d"])
    assert [layer["name"] for layer in known["layers"]] == ["relu1", "relu2"]
    assert {f"photo {name}" for name in facts["photos"]} <= set(files)
    assert '"alone": "photographs"' in page.read_text()
    (tmp_path / known["weights"]).write_bytes(widened(files[known["weights"]]))
    (tmp_path / known["gradient"]).write_bytes(files[known["gradient"]])
    photo = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    given = {"images": photo.detach().numpy(), "weights": np.eye(4, dtype=np.float32)[[1]]}
    given |= {f"weights.{name}": np.zeros((1, 1, 1, 1), np.float32) for name in ("relu1", "relu2")}
    session = onnxruntime.InferenceSession(tmp_path / known["gradient"], providers=["CPUExecutionProvider"])
    logits, gradient = session.run(["logits", "gradient"], given)
    expected = network(photo)
    (slope,) = torch.autograd.grad(expected[0, 1], photo)
    torch.testing.assert_close(torch.tensor(logits), expected.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(gradient), slope, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_classes_without_names_are_numbered(tmp_path):
    page = lab_page.write_photograph_lab(small_photo_network(classes=2), tmp_path / "lab.html", label="mine")
    facts = json.loads(files_in(page)["photograph facts"])
    assert facts["networks"]["network"]["names"] == ["class 0", "class 1"]


def test_stages_are_the_layers_of_the_part_that_holds_all_convolutions():
    inner = nn.Sequential(OrderedDict(first=nn.Conv2d(3, 4, 3), relu=nn.ReLU(), second=nn.Conv2d(4, 4, 3)))
    network = nn.Sequential(OrderedDict(normalize=models.Normalize((0,) * 3, (1,) * 3, (3, 9, 9)), network=inner))
    assert stages_of(network.eval()) == ["network.relu"]


def test_what_is_no_network_for_photographs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"photographs have 3 colours, and mnist is for images of \(1, 28, 28\)"):
        lab_page.write_photograph_lab(models.load("mnist"), tmp_path / "lab.html", label="mnist")
    with pytest.raises(ValueError, match="mine has 4 classes, got 1 names"):
        lab_page.write_photograph_lab(small_photo_network(), tmp_path / "lab.html", label="mine", names=["cat"])
    flat = nn.Sequential(OrderedDict(normalize=models.Normalize((0,) * 3, (1,) * 3, (3, 4, 4)), flatten=nn.Flatten()))
    with pytest.raises(ValueError, match="no layer with maps"):
        lab_page.write_photograph_lab(flat.eval(), tmp_path / "lab.html", label="flat")
    assert not (tmp_path / "lab.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("cifar10", []), ("torchvision:resnet18", ["--untrained"])])
def test_the_command_writes_a_page_for_a_network_for_photographs(name, options, tmp_path, capsys):
    assert cli.lab([name, "-o", str(tmp_path / "photos.html"), *options]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'photos.html'}  ")
    facts = json.loads(files_in(tmp_path / "photos.html")["photograph facts"])
    assert facts["networks"]["network"]["label"] == name


def test_the_command_writes_a_page_for_a_network_for_digits(tmp_path):
    assert cli.lab(["mnist-robust", "-o", str(tmp_path / "lab.html")]) == 0
    assert json.loads(files_in(tmp_path / "lab.html")["facts"])["networks"]["network"]["label"] == "mnist-robust"
