"""The network that a report is about, from the name on the command line."""

import difflib
import importlib.util
import sys
import urllib.error
import urllib.request
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from labkit import models
from labkit.core import check_eval
from labkit.extras import needs
from labkit.models import Normalize

FORMS = (
    f"a shipped name ({', '.join([*models.SHIPPED, *models.PACKAGED, *models.TORCHVISION])}), torchvision:NAME, "
    "timm:NAME, a .pt2 file, or file.py:function"
)
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Network:
    """A network and what is known about it.

    Attributes:
        name: as it was asked for.
        model: in eval mode.
        image_shape: (C, H, W) of the images that it is for; None where nobody says.
        classes: the names of its classes; none where nobody says.
        normalized: whether it is known to take pixels in [0, 1] and to normalise them itself.
    """

    name: str
    model: nn.Module
    image_shape: Shape | None = None
    classes: tuple[str, ...] = ()
    normalized: bool = True


def load_network(name: str, *, untrained: bool = False) -> Network:
    """The network of that name.

    Args:
        name: a shipped network, "torchvision:NAME", "timm:NAME", the path of a program that `torch.export.save` wrote
            (.pt2) or of a network that the live lab saved (.safetensors), or "file.py:function". The function, which
            takes no arguments and returns a module in eval mode, is run.
        untrained: random weights, always the same, in place of those that would be downloaded.

    Raises:
        ValueError: an unknown name, a file that holds no network, a function that returns none.
        FileNotFoundError: there is no such file, or weights cannot be downloaded; the message says what to do.
        ModuleNotFoundError: it comes with an extra that is not installed; the message says which.
    """
    for start, load in (("torchvision:", _of_torchvision), ("timm:", _of_timm)):
        if name.startswith(start):
            return replace(load(name.removeprefix(start), untrained), name=name)
    if untrained:
        raise ValueError(f"--untrained is for torchvision:NAME and timm:NAME, got {name!r}")
    path, colon, function = name.rpartition(":")
    if colon and path.endswith(".py"):
        return Network(name, _of_function(Path(path), function), normalized=False)
    if name.endswith(".pt2"):
        return _of_program(Path(name))
    if not name.endswith(".safetensors") and name not in {*models.SHIPPED, *models.PACKAGED, *models.TORCHVISION}:
        raise ValueError(f"unknown network {name!r}: give {FORMS}")
    model = models.load(name)
    return Network(name, model, models.expected_image_shape(model), models.class_names(name))


def with_normalization(network: Network, mean: Sequence[float], std: Sequence[float]) -> Network:
    """The network behind a layer that normalises pixels in [0, 1].

    Args:
        network: one that does not do it itself.
        mean: of each channel, in pixel units; 0 with std 1 for a network that takes the pixels as they are.
        std: of each channel, in pixel units.

    Raises:
        ValueError: a network that does it itself; numbers that are not one a channel; a standard deviation of 0.
    """
    if network.normalized:
        raise ValueError(f"{network.name} normalises its images itself: leave out --mean and --std")
    if len(mean) != len(std) or not mean or min(std) <= 0:
        raise ValueError(f"--mean and --std must be one number a channel, std above 0, got {[*mean]} and {[*std]}")
    return replace(network, model=_behind(network.model, mean, std, network.image_shape), normalized=True)


def inner(model: nn.Module) -> tuple[nn.Module | None, nn.Module]:
    """The normalising layer that `with_normalization` put before a network, and the network; or None and the model."""
    if isinstance(model, nn.Sequential) and list(model._modules) == ["normalize", "network"]:
        return model[0], model[1]
    return None, model


def behind(normalize: nn.Module | None, network: nn.Module) -> nn.Module:
    """The network behind a normalising layer, if there is one: what `inner` takes apart."""
    return network if normalize is None else _joined(normalize, network)


def _joined(normalize: nn.Module, network: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(normalize=normalize, network=network)).eval()


def _behind(model: nn.Module, mean: Sequence[float], std: Sequence[float], shape: Shape | None) -> nn.Sequential:
    first = Normalize(tuple(mean), tuple(std), shape).to(next(model.parameters(), torch.zeros(())))
    return _joined(first, models.without_inplace(model))


def _seeded(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().eval()


def _of_torchvision(name: str, untrained: bool) -> Network:
    from labkit._torchvision import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ValueError(f"torchvision has no classifier {name!r}{_near(name, known)}")
    weights = torchvision.models.get_model_weights(name)["DEFAULT"]
    preset = weights.transforms()
    shape = (3, preset.crop_size[0], preset.crop_size[0])
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}

    def build() -> nn.Sequential:
        return _behind(torchvision.models.get_model(name, weights=None, **options), preset.mean, preset.std, shape)

    if untrained:
        model = _seeded(build)
    else:
        try:
            model = models.load_published(build, weights.url)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}, or take random weights with --untrained") from error
    return Network(name, model, shape, tuple(weights.meta["categories"]))


def _of_timm(name: str, untrained: bool) -> Network:
    from labkit._torchvision import torchvision

    with needs("imagenet"):
        import timm
    if not timm.is_model(name):
        raise ValueError(f"timm has no network {name!r}{_near(name, timm.list_models())}")

    def build() -> Any:
        return timm.create_model(name, pretrained=not untrained)

    try:
        with _hub_that_does_not_wait():
            net: Any = _seeded(build)
    except Exception as error:  # whatever the hub's client raises
        if untrained:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        words = f"cannot get the weights of timm:{name} ({reason}); take random weights with --untrained"
        raise FileNotFoundError(words) from error
    facts = net.pretrained_cfg
    shape = tuple(facts["input_size"])
    imagenet = torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"]
    names = tuple(imagenet) if net.num_classes == len(imagenet) else ()
    return Network(name, _behind(net, facts["mean"], facts["std"], shape), shape, names)


@contextmanager
def _hub_that_does_not_wait() -> Iterator[None]:
    """Without a network, the hub's client would try for minutes; so it is told to look only at what it has kept."""
    with needs("imagenet"):
        from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=10).close()
    except urllib.error.HTTPError:
        pass  # it answers
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _of_program(path: Path) -> Network:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about how it reads its files
            program = torch.export.load(path)
            model: nn.Module = torch.export.unflatten(program)
    except Exception as error:  # whatever reading a damaged archive raises
        raise ValueError(f"{path} is not a program that torch.export.save wrote: {error}") from error
    for module in model.modules():
        module.training = False  # what was exported is fixed; .eval() is refused
    inputs = program.example_inputs[0] if program.example_inputs else ()
    shape = tuple(inputs[0].shape[1:]) if len(inputs) == 1 and inputs[0].ndim == 4 else None
    return Network(str(path), model, shape, normalized=False)


def _of_function(path: Path, function: str) -> nn.Module:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module  # so that what it defines can be pickled, and its imports of itself work
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(path.stem, None)
        if before is not None:
            sys.modules[path.stem] = before
        raise
    finally:
        sys.path.pop(0)
    build = getattr(module, function, None)
    if not callable(build):
        defined = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ValueError(f"{path} has no function {function!r}; it defines {', '.join(defined) or 'none'}")
    model = build()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{path}:{function} must return a torch.nn.Module, got {type(model).__name__}")
    check_eval(model)
    return model


def _near(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, 3, 0.5)
    return f"; did you mean {', '.join(found)}?" if found else ""
