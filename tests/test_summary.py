import pytest
import torch
from torch import nn

from labkit import models
from labkit.summary import summary

MNIST, CIFAR10 = (1, 28, 28), (3, 32, 32)


def test_the_labs_network_has_the_sizes_that_the_lab_reports():
    table = summary(models.mnist(), MNIST)
    assert (table.parameters, table.neurons) == (799_078, 31_870)
    rows = {row.name: row for row in table.rows}
    assert rows["conv1"].output == (32, 28, 28)
    assert rows["pool2"].output == (32, 7, 7)
    assert {name: rows[name].parameters for name in ("conv1", "conv2", "fc1", "fc2")} == {
        "conv1": 320,
        "conv2": 9_248,
        "fc1": 784_500,
        "fc2": 5_010,
    }
    dense = [row for row in table.rows if row.layer == "Linear"]
    assert sum(row.parameters for row in dense) == 789_510
    assert round(100 * sum(row.parameters for row in dense) / table.parameters, 2) == 98.80
    assert round(100 * sum(row.neurons for row in dense) / table.neurons, 2) == 1.60
    assert rows["fc1"].parameters_per_neuron == 1569
    assert rows["relu1"].parameters_per_neuron == 0


def test_the_cifar10_network_has_the_sizes_of_fun_with_convnets():
    table = summary(models.cifar10(), CIFAR10)
    weights = [row for row in table.rows if row.layer in ("Conv2d", "Linear")]
    assert [row.output[0] for row in weights] == [32, 32, 64, 64, 128, 128, 10]
    assert sum(row.parameters for row in weights) == 307_498
    assert table.parameters == 307_498 + 2 * (32 + 32 + 64 + 64 + 128 + 128)  # batch norm: two a channel
    assert [m.p for m in models.cifar10().modules() if isinstance(m, nn.Dropout)] == [0.2, 0.3, 0.4]
    order = [type(layer).__name__ for name, layer in models.cifar10().named_children() if name.endswith("2")]
    assert order == ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d", "Dropout"]


def test_the_summary_is_a_table_and_leaves_the_network_alone():
    network = models.cifar10()
    network.drop1.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    table = summary(network, CIFAR10)
    assert network.training
    assert not network.drop1.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    lines = str(table).splitlines()
    assert lines[0].split() == ["name", "layer", "output", "parameters", "neurons", "parameters", "/", "neuron"]
    assert lines[-1].split() == ["total", "308,394", f"{table.neurons:,}"]
    assert "<td>308,394</td>" in table._repr_html_()


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 0), (3, 28, 28), "mnist"])
def test_a_summary_of_an_impossible_image_is_refused(shape):
    with pytest.raises(ValueError, match="image"):
        summary(models.mnist(), shape)


def test_the_total_is_that_of_the_network():
    """Weights that two layers share count once, and those outside of all layers count too."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift, self.lstm, self.fc = nn.Parameter(torch.zeros(100)), nn.LSTM(5, 4), nn.Linear(4, 3)

        def forward(self, images):
            return self.fc(self.lstm(images[:, 0])[0][:, -1])

    dense = nn.Linear(4, 4)
    tied = summary(nn.Sequential(nn.Flatten(), dense, nn.ReLU(), dense), (1, 2, 2))
    assert [row.parameters for row in tied.rows] == [0, 20, 0, 20]
    assert (tied.parameters, tied.neurons) == (20, 8)
    reader = summary(Reader(), (1, 6, 5))
    assert [row.name for row in reader.rows] == ["fc"]  # the LSTM gives several tensors
    assert reader.parameters == 100 + sum(weights.numel() for weights in nn.LSTM(5, 4).parameters()) + 15
    assert str(reader).splitlines()[-1].split()[:2] == ["total", f"{reader.parameters}"]
