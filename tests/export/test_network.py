"""The exported graphs give the network's own logits, activations and gradients, and read the shipped weights."""

import importlib
import json
import shutil
import sys

import pytest
import torch

from labkit import data, models
from labkit.core import input_gradient
from labkit.export import network
from labkit.lab_network import lab_network, trained_tensors

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(path, **inputs):
    """Outputs by name, as tensors."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    results = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    return {output.name: torch.from_numpy(each) for output, each in zip(session.get_outputs(), results, strict=True)}


def pytorch_gradient(model, images, weights):
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((model(images) * weights).sum(), images)
    return gradient


def close(found, expected):
    """Which images' gradients differ nowhere by more than 1e-5."""
    return (found - expected).abs().amax((1, 2, 3)) <= 1e-5


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return {name: network.export_network(name, folder) for name in models.SHIPPED}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "mnist-robust"])
def test_logits_activations_and_gradients_of_100_digits(exported, name):
    model, (images, classes) = models.load(name), data.examples("mnist", 100)
    forward, backward, _ = exported[name]
    with torch.no_grad():
        logits, relu1, relu2 = model(images), model[:3](images), model[:6](images)
    found = run(forward, images=images)
    torch.testing.assert_close(found["logits"], logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(found["relu1"], relu1, atol=1e-5, rtol=0)
    torch.testing.assert_close(found["relu2"], relu2, atol=1e-5, rtol=0)
    weights = torch.randn(100, 10, generator=torch.Generator().manual_seed(0))
    found = run(backward, images=images, weights=weights)
    torch.testing.assert_close(found["logits"], logits, atol=1e-5, rtol=0)
    # Evenly white strokes make equal maxima, and rounding then decides which of them the gradient goes to: the digits
    # in which that may happen are those in which PyTorch does not agree with itself. A little noise leaves none.
    expected = pytorch_gradient(model, images, weights)
    exact = pytorch_gradient(models.load(name).double(), images.double(), weights.double()).float()
    assert (close(found["gradient"], expected) | ~close(exact, expected)).all()
    noisy = 0.98 * images + 0.02 * torch.rand(images.shape, generator=torch.Generator().manual_seed(1))
    found = run(backward, images=noisy, weights=weights)["gradient"]
    assert close(found, pytorch_gradient(model, noisy, weights)).sum() >= 99
    one_hot = torch.nn.functional.one_hot(classes, 10).float()
    saliency = run(backward, images=noisy, weights=one_hot)["gradient"]
    assert close(saliency, input_gradient(model, noisy, classes)).sum() >= 99


@pytest.mark.parametrize("name", list(models.SHIPPED))
def test_every_shipped_network(exported, name):
    model, (images, _) = models.load(name), data.examples(name.partition("-")[0], 40)
    weights = torch.randn(40, 10, generator=torch.Generator().manual_seed(1))
    found = run(exported[name][1], images=images, weights=weights)
    torch.testing.assert_close(found["logits"], model(images).detach(), atol=1e-5, rtol=0)
    away = (found["gradient"] - pytorch_gradient(model, images, weights)).abs().amax((1, 2, 3))
    # Rounding may put a unit that is all but 0 on the other side of its ReLU, and that image's gradient jumps.
    # The residual network has many more units: 3 of these images lie so near to such a jump that ONNX Runtime takes it,
    # and 2 others so near that PyTorch in float32 takes it and in float64 does not.
    assert (away < 1e-4).sum() >= (33 if name == "cifar10-best" else 39)
    assert away.median() < 1e-5


@pytest.mark.parametrize("shade", [0.0, 0.3, 1.0])
def test_among_equal_maxima_the_gradient_goes_where_pytorch_sends_it(exported, shade):
    images, weights = torch.full((1, 1, 28, 28), shade), torch.eye(10)[:1]
    found = run(exported["mnist"][1], images=images, weights=weights)["gradient"]
    expected = pytorch_gradient(models.load("mnist"), images, weights)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_graphs_are_small_and_the_weights_are_the_shipped_file(exported):
    forward, backward, weights = exported["mnist"]
    assert weights.read_bytes() == (models.WEIGHTS / "mnist.safetensors").read_bytes()
    assert max(path.stat().st_size for path in (forward, backward)) < 10_000
    assert [path.name for path in exported["mnist"]] == ["mnist.onnx", "mnist-gradient.onnx", "mnist.safetensors"]


def test_another_weighting_of_the_logits(exported):
    """The derivative of the log-odds of a class, as weights, gives the gradient of the log-odds."""
    from labkit.core import log_odds

    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    logits = run(exported["mnist"][0], images=images)["logits"].requires_grad_()
    (weights,) = torch.autograd.grad(log_odds(logits, classes).sum(), logits)
    found = run(exported["mnist"][1], images=images, weights=weights)["gradient"]
    images = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(log_odds(model(images), classes).sum(), images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_an_unknown_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'vgg16'; networks that can be exported: mnist"):
        network.export_network("vgg16", tmp_path)


def test_altered_weights_are_refused_and_leave_older_files_alone(tmp_path):
    for suffix in ("json", "safetensors"):
        shutil.copy(models.WEIGHTS / f"mnist.{suffix}", tmp_path)
    content = bytearray((tmp_path / "mnist.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "mnist.safetensors").write_bytes(content)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mnist.onnx").write_text("older")
    with pytest.raises(ValueError, match="altered"):
        network.export_network("mnist", tmp_path / "out", weights=tmp_path)
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["older"]


def test_a_layer_without_a_rule_is_refused(tmp_path, monkeypatch):
    def soft():
        network = models.mnist()
        network.relu2 = torch.nn.Softplus()
        return network

    monkeypatch.setitem(models.TRAINED, "mnist", soft)
    with pytest.raises(ValueError, match=r"layer 'relu2' cannot be exported.*Softplus"):
        network.export_network("mnist", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("labkit.export.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[export\]'"):
        importlib.import_module("labkit.export.network")


def test_from_the_command_line(tmp_path, capsys):
    network.main(["mnist-bn", "--folder", str(tmp_path / "new")])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "mnist-bn-gradient.onnx",
        "mnist-bn.onnx",
        "mnist-bn.safetensors",
    ]
    size = json.loads((models.WEIGHTS / "mnist-bn.json").read_text())["bytes"]
    assert f"mnist-bn.safetensors  {size:,} bytes" in capsys.readouterr().out


@pytest.mark.parametrize("batch_norm", [False, True])
def test_graphs_with_their_weights_as_inputs(batch_norm):
    model = lab_network(filters=4, batch_norm=batch_norm)
    images, _ = data.examples("mnist", 30)
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    images = 0.98 * images + 0.02 * noise  # no two maxima are equal
    model.train()(images)
    model.eval()
    forward, gradient = (graph.SerializeToString() for graph in network.open_graphs(model, (1, 28, 28)))
    given = {name: model.state_dict()[name] for name in trained_tensors(model)}
    found = run(forward, images=images, **given)
    torch.testing.assert_close(found["logits"], model(images).detach(), atol=1e-5, rtol=0)
    assert list(found) == ["logits", "relu1", "relu2"]
    weights = torch.randn(30, 10, generator=torch.Generator().manual_seed(1))
    found = run(gradient, images=images, weights=weights, **given)
    torch.testing.assert_close(found["gradient"], pytorch_gradient(model, images, weights), atol=1e-5, rtol=0)


def test_a_layer_that_stands_at_two_places_is_written_at_both():
    relu = torch.nn.ReLU()
    dense = [torch.nn.Linear(*sizes) for sizes in ((36, 8), (8, 8), (8, 3))]
    model = torch.nn.Sequential(torch.nn.Flatten(), dense[0], relu, dense[1], relu, dense[2])
    images = torch.rand(4, 1, 6, 6)
    graph = network.open_graphs(model, (1, 6, 6))[0].SerializeToString()
    found = run(graph, images=images, **model.state_dict())
    torch.testing.assert_close(found["logits"], model(images).detach(), atol=1e-5, rtol=0)


def test_a_layer_with_a_forward_of_its_own_is_refused():
    class Leaky(torch.nn.ReLU):
        def forward(self, x):
            return torch.nn.functional.leaky_relu(x)

    with pytest.raises(ValueError, match=r"layer '1' cannot be exported.*Leaky"):
        network.open_graphs(torch.nn.Sequential(torch.nn.Flatten(), Leaky()), (1, 6, 6))
