"""The networks that readers train in the live lab: what they are made of, and how one that was saved there is read."""

from collections import OrderedDict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from labkit.core import check_counts

HIDDEN = 64  # units of the dense layer between the convolutions and the ten logits
MOST_CONVOLUTIONS = 3  # 28 -> 14 -> 7 -> 3 pixels


def lab_network(*, filters: int = 8, convolutions: int = 2, batch_norm: bool = True) -> nn.Sequential:
    """A small MNIST network, untrained: each convolution is followed by a ReLU and a pooling that halves the image.

    Args:
        filters: of the first convolution; each further one has twice as many.
        convolutions: 1 to 3.
        batch_norm: whether a batch norm stands behind each convolution, which then has no bias of its own.

    Returns:
        Images (N, 1, 28, 28) in [0, 1] -> logits (N, 10), with named layers.

    Raises:
        ValueError: counts that are not whole numbers of at least 1; more than 3 convolutions.
    """
    from labkit.models import Normalize  # models reads saved networks through this file

    check_counts(filters=filters)
    check_counts(most=MOST_CONVOLUTIONS, convolutions=convolutions)
    layers: dict[str, nn.Module] = {"normalize": Normalize((0.1307,), (0.3081,), (1, 28, 28))}
    channels, side = 1, 28
    for n in range(1, convolutions + 1):
        count = filters * 2 ** (n - 1)
        layers[f"conv{n}"] = nn.Conv2d(channels, count, kernel_size=3, padding=1, bias=not batch_norm)
        if batch_norm:
            layers[f"bn{n}"] = nn.BatchNorm2d(count)
        layers[f"relu{n}"] = nn.ReLU()
        layers[f"pool{n}"] = nn.MaxPool2d(2)
        channels, side = count, side // 2
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(channels * side * side, HIDDEN)
    layers["relu_fc1"] = nn.ReLU()
    layers["fc2"] = nn.Linear(HIDDEN, 10)
    return nn.Sequential(OrderedDict(layers))


def load_lab_network(path: Path | str) -> nn.Sequential:
    """A network that was trained in the live lab and saved there, in eval mode.

    Args:
        path: the .safetensors file that the lab's *Save* wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or not a network of the lab.
    """
    try:
        state = load_safetensors(Path(path).read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    convolutions = sum(name.startswith("conv") and name.endswith(".weight") for name in state)
    first = state.get("conv1.weight")
    if first is None or convolutions > MOST_CONVOLUTIONS:
        raise ValueError(f"{path} is not a network of the live lab; it holds {', '.join(state) or 'nothing'}")
    network = lab_network(filters=first.shape[0], convolutions=convolutions, batch_norm="bn1.weight" in state)
    own = {name: tensor for name, tensor in network.state_dict().items() if name in trained_tensors(network)}
    if {name: tensor.shape for name, tensor in own.items()} != {name: tensor.shape for name, tensor in state.items()}:
        raise ValueError(f"{path} is not a network of the live lab: its tensors are not those of {network}")
    network.load_state_dict(state, strict=False)
    return network.eval()


def trained_tensors(network: nn.Sequential) -> list[str]:
    """The names of the tensors that training changes: all but what normalises, and the counters of batch norms."""
    return [name for name in network.state_dict() if not name.startswith("normalize.") and "num_batches" not in name]
