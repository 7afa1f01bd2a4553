"""Training by the graph alone is training by PyTorch: 100 steps from the same start."""

import pytest
import torch
from torch import nn

from labkit import data
from labkit.models import Normalize

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from labkit.export.training_step import training_step  # noqa: E402


def lab_network(*, batch_norm: bool, stride: int = 1) -> nn.Sequential:
    """No bias where a batch norm takes it away again: its gradient would be rounding, and Adam would follow it."""
    layers = nn.Sequential()
    layers.add_module("normalize", Normalize((0.1307,), (0.3081,)))
    layers.add_module("conv1", nn.Conv2d(1, 4, 3, padding=1, stride=stride, bias=not batch_norm))
    if batch_norm:
        layers.add_module("bn1", nn.BatchNorm2d(4))
    layers.add_module("relu1", nn.ReLU())
    layers.add_module("pool1", nn.MaxPool2d(2))
    layers.add_module("conv2", nn.Conv2d(4, 6, (3, 2), dilation=(2, 1), bias=not batch_norm))
    layers.add_module("flatten", nn.Flatten())
    layers.add_module("fc1", nn.Linear(6 * 10 * 13 if stride == 1 else 6 * 3 * 6, 16, bias=not batch_norm))
    if batch_norm:
        layers.add_module("bn2", nn.BatchNorm1d(16))
    layers.add_module("relu2", nn.ReLU())
    layers.add_module("fc2", nn.Linear(16, 10))
    return layers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "batch_norm", "stride"), [("sgd", False, 2), ("sgd", True, 2), ("adam", False, 1), ("adam", True, 2)]
)
def test_100_steps_equal_those_of_pytorch(optimizer, batch_norm, stride):
    images, classes = data.examples("mnist", 200)
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    images = 0.98 * images + 0.02 * noise  # no two maxima are equal, and rounding decides nothing
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = lab_network(batch_norm=batch_norm, stride=stride)
    graph = training_step(network, (1, 28, 28), optimizer=optimizer)
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rate = 0.01 if optimizer == "sgd" else 0.001
    theirs = {
        "sgd": lambda: torch.optim.SGD(network.parameters(), rate, momentum=0.9),
        "adam": lambda: torch.optim.Adam(network.parameters(), rate),
    }[optimizer]()
    given = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    inputs = {each.name: each for each in session.get_inputs()}
    fixed = {"images", "classes", "rate", "step"}
    state = {
        name: given.get(name, 0 * given[name.partition(".")[2]] if name not in given else None)
        for name in inputs
        if name not in fixed
    }
    network.train()
    for step in range(100):
        some = torch.arange(20) + 20 * step % 200
        loss = nn.functional.cross_entropy(network(images[some]), classes[some])
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        now = {"images": images[some].numpy(), "classes": classes[some].numpy()}
        now |= {name: torch.tensor(value).numpy() for name, value in (("rate", rate), ("step", step + 1.0))}
        outputs = session.run(None, {**state, **{name: now[name] for name in fixed & set(inputs)}})
        found = dict(zip([each.name for each in session.get_outputs()], outputs, strict=True))
        assert abs(found["loss"] - loss.item()) < 1e-4, step
        state = {name: found[f"new.{name}"] for name in state}
    assert loss < 1.5  # it has learnt something
    trained = network.state_dict()
    names = set(trained) & set(state)
    assert len(names) == len(trained) - 2 - 2 * batch_norm  # all but what normalises, and the counters of batches
    for name in names:
        torch.testing.assert_close(torch.tensor(state[name]), trained[name], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (nn.ReLU(), {"optimizer": "lion"}, r"optimizer must be one of \['sgd', 'adam'\], got 'lion'"),
        (nn.Dropout(0.1), {}, "layer 'more' cannot be trained in a graph, which draws nothing at random: Dropout"),
        (nn.Conv2d(4, 4, 3, groups=2), {}, "operator 'Conv' has no rule for the gradient of its input 'more.weight'"),
        (nn.BatchNorm2d(4, affine=False), {}, "layer 'more' cannot be trained in a graph: BatchNorm2d"),
    ],
)
def test_what_cannot_be_trained_is_refused(layer, options, message):
    network = nn.Sequential()
    for name, module in {"conv": nn.Conv2d(1, 4, 3), "more": layer, "flatten": nn.Flatten()}.items():
        network.add_module(name, module)
    network.add_module("fc", nn.Linear(4 * (24 if isinstance(layer, nn.Conv2d) else 26) ** 2, 10))
    with pytest.raises(ValueError, match=message):
        training_step(network, (1, 28, 28), **options)
