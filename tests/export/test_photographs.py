"""A network for photographs as files: what they compute is the network, its gradients and its stages."""

import numpy as np
import pytest
import torch

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from labkit import data, models  # noqa: E402
from labkit.attribution.grad_cam import grad_cam  # noqa: E402
from labkit.core import input_gradient  # noqa: E402
from labkit.export.photographs import export_photographs, photograph_facts, stages_of, widened  # noqa: E402
from labkit.layers import run  # noqa: E402

FILE = "weights.bin"
STAGES = ["bn1", *(f"block{n}" for n in range(1, 8)), "bn2"]


class Session:
    """Graphs in the runtime, their weights in a file beside them."""

    def __init__(self, files, folder):
        (folder / FILE).write_bytes(widened(files.weights))
        for name in ("forward", "gradient"):
            (folder / f"{name}.onnx").write_bytes(getattr(files, name))
        self.folder = folder

    def __call__(self, graph, **inputs):
        path = str(self.folder / f"{graph}.onnx")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_outputs()]
        arrays = {name.replace("__", "."): np.asarray(value) for name, value in inputs.items()}
        for each in session.get_inputs():
            arrays.setdefault(each.name, np.zeros((1, 1, 1, 1), np.float32))
        return dict(zip(names, map(torch.tensor, session.run(None, arrays)), strict=True))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A network of two stages on images of 8 x 6, with a tensor large enough to be halved."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential()
        for name, layer in {
            "normalize": models.Normalize((0.5,) * 3, (0.25,) * 3, (3, 8, 6)),
            "conv1": torch.nn.Conv2d(3, 5, 3, padding=1),
            "relu1": torch.nn.ReLU(),
            "conv2": torch.nn.Conv2d(5, 7, 3, stride=2),
            "relu2": torch.nn.ReLU(),
            "flatten": torch.nn.Flatten(),
            "fc1": torch.nn.Linear(42, 600),
            "fc": torch.nn.Linear(600, 4),
        }.items():
            network.add_module(name, layer)
    network.eval()
    return network, Session(export_photographs(network, weights_file=FILE), tmp_path_factory.mktemp("small"))


def test_stages_are_what_is_behind_convolutions(small):
    network, _ = small
    assert stages_of(network) == ["relu1", "relu2"]
    facts = photograph_facts(network, ["relu1", "relu2"], "abcd")
    assert facts["names"] == list("abcd")
    assert [(each["count"], len(each["rows"]), len(each["columns"])) for each in facts["layers"]] == [
        (5, 8, 6),
        (7, 3, 2),
    ]
    assert facts["layers"][1]["rows"][0] == [0, 3]


def test_a_stage_has_its_gradient_and_may_be_the_thing_whose_gradient_is_wanted(small):
    network, session = small
    images = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(1))
    wanted = run(network, images, ["relu1", "relu2", ""])
    found = session("forward", images=images)
    for name, stage in (("relu1", "relu1"), ("relu2", "relu2"), ("logits", "")):
        torch.testing.assert_close(found[name], wanted[stage].detach(), atol=1e-3, rtol=0)
    found = session("gradient", images=images, weights=np.float32([[0, 0, 1, 0]] * 2))
    classes = torch.tensor([2, 2])
    torch.testing.assert_close(found["gradient"], input_gradient(network, images, classes), atol=1e-3, rtol=0)
    weights = found["gradient.relu2"].mean((2, 3), keepdim=True)
    ours = (weights * found["relu2"]).sum(1).relu()
    torch.testing.assert_close(ours, grad_cam(network, images, classes, layer="relu2", resize=False), atol=1e-3, rtol=0)
    channel = np.zeros((1, 5, 1, 1), np.float32)
    channel[0, 3] = 1
    nothing = np.zeros((2, 4), np.float32)
    found = session("gradient", images=images, weights=nothing, weights__relu1=channel)["gradient"]
    x = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(run(network, x, ["relu1"])["relu1"][:, 3].sum(), x)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.slow
def test_efficientnet_in_half_precision_says_what_it_says_in_single(tmp_path):
    """Logits within 0.01 on all bundled photos, the same top five in the same order; 10 MB at most."""
    network = models.load("efficientnet_lite0")
    assert stages_of(network) == STAGES
    files = export_photographs(network, weights_file=FILE)
    assert len(files.weights) < 10_000_000
    photos = torch.cat([data.photo(name) for name in data.PHOTOS])
    with torch.no_grad():
        expected = network(photos)
    found = Session(files, tmp_path)("forward", images=photos)["logits"]
    assert (found - expected).abs().max() < 1e-2
    assert torch.equal(found.topk(5).indices, expected.topk(5).indices)
