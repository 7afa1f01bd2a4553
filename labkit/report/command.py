"""`labkit report`: a network and images from the command line, a page on disk."""

import argparse
import re
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from labkit.files import cache_folder
from labkit.models import IMAGENET_MEAN, IMAGENET_STD
from labkit.plot import percent
from labkit.report.building import report
from labkit.report.networks import Network, load_network, with_normalization
from labkit.report.pictures import Pictures, load_pictures
from labkit.report.subject import METHODS, check_weights

UNITS = {"s": 1, "m": 60, "h": 3600}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    found = argparse.ArgumentParser(
        prog="labkit report",
        description="Put a network of yours under the microscope: what it says, where it looks and which map to trust, "
        "what it looks for, what fools it. One page that opens from disk.",
    )
    found.add_argument(
        "network",
        help="a shipped name, torchvision:NAME, timm:NAME, a .pt2 program, or file.py:function, which is run",
    )
    found.add_argument("images", nargs="+", help="files, folders, or a sample: mnist, cifar10, photos")
    found.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="(default: report.html)")
    found.add_argument("--untrained", action="store_true", help="random weights for torchvision:NAME and timm:NAME")
    found.add_argument("--mean", type=float, nargs="+", help="of each channel, where the network does not normalise")
    found.add_argument("--std", type=float, nargs="+", help="of each channel; --mean 0 --std 1 for pixels as they are")
    found.add_argument("--size", type=_size, help="of the images, such as 224 or 192x256 (height x width)")
    found.add_argument("--labels", help="a file with lines 'image,class', or 'folders': a folder for each class")
    found.add_argument("--classes", type=Path, help="a file with the names of the classes, one a line")
    found.add_argument("--layer", help="the layer to look into (default: the last with maps)")
    found.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD", help=_listed())
    found.add_argument("--examples", type=int, default=16, help="images to look at one by one (default: 16)")
    found.add_argument("--batch-size", type=int, default=32, help="images in memory at once (default: 32)")
    found.add_argument("--budget", type=_seconds, help="time for it, such as 60s or 5m; the most telling parts first")
    found.add_argument("--scheduler", help="measure on a Dask cluster, such as tcp://host:8786")
    found.add_argument("--book", default="", help="address of the built book, for links to its chapters")
    found.add_argument("--seed", type=int, default=0, help="(default: 0)")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Write the page.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in a sentence.
    """
    options = parser().parse_args(arguments)
    network = load_network(options.network, untrained=options.untrained)
    check_weights(network.model)
    if (options.mean is None) != (options.std is None):
        raise ValueError("--mean and --std go together, got only one of them")
    names = network.classes if options.classes is None else _lines(options.classes)
    shape = _image_shape(network, options.size)
    labels = options.labels
    channels = _channels(network.model)
    pictures = load_pictures(options.images, image_shape=shape, channels=channels, classes=names, labels=labels)
    network = _normalized(network, pictures, options, names)
    folder = cache_folder() / "report"
    wide, high = shutil.get_terminal_size()  # also where a terminal does not say how large it is
    bar = "report" if options.budget is None else f"report, {options.budget:g} s at most"
    found = report(
        network.model,
        pictures.images,
        pictures.labels,
        name=f"untrained {network.name}" if options.untrained else network.name,
        classes=names,
        files=pictures.files,
        layer=options.layer,
        methods=options.methods,
        examples=options.examples,
        batch_size=options.batch_size,
        budget=options.budget,
        scheduler=options.scheduler,
        folder=folder,
        book=options.book,
        seed=options.seed,
        progress=partial(
            tqdm, desc=bar, ncols=wide, nrows=high, unit=" passes", mininterval=0.5, disable=not sys.stderr.isatty()
        ),
    )
    found.save(options.output)
    for section in found.sections:
        for statement in section.statements:
            if statement.headline:
                print(f"- {statement.words}")
        for problem in section.problems:
            print(f"  {section.title}: {problem}")
    print(f"{options.output}  {options.output.stat().st_size:,} bytes, {found.seconds:.0f} seconds")
    if found.complete:
        shutil.rmtree(folder / found.subject.key(), ignore_errors=True)
    else:
        print(f"the budget left something out; go on with: labkit report {shlex.join(_without_budget(arguments))}")
    return 0


def _normalized(network: Network, pictures: Pictures, options: argparse.Namespace, names: tuple[str, ...]) -> Network:
    """The network for pixels in [0, 1]; asks where nobody knows whether it is."""
    if options.mean is not None:
        return with_normalization(network, options.mean, options.std)
    if network.normalized:
        return network
    plain = with_normalization(network, [0.0], [1.0])
    count = pictures.images.shape[1]
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if count == 3 else ([0.5], [0.5])
    other = with_normalization(network, mean, std)
    ways = {
        "--mean 0 --std 1": plain,
        f"--mean {' '.join(map(str, mean))} --std {' '.join(map(str, std))}": other,
    }
    print(f"{network.name} does not say whether it normalises its images. It sees in {pictures.files[0]}:")
    for number, (flags, each) in enumerate(ways.items(), start=1):
        print(f"  {number}) with {flags}: {_said(each.model, pictures, names)}")
    if sys.stdin.isatty():
        answer = input("Which is right, 1 or 2 (anything else ends)? ").strip()
        if answer in ("1", "2"):
            return list(ways.values())[int(answer) - 1]
    raise ValueError(f"say how {network.name} wants its pixels, such as {' or '.join(ways)}")


@torch.no_grad()
def _said(model: nn.Module, pictures: Pictures, names: tuple[str, ...]) -> str:
    weight = next(model.parameters(), torch.zeros(()))
    best = model(pictures.images[:1].to(weight)).softmax(1)[0].max(0)
    label = names[int(best.indices)] if int(best.indices) < len(names) else f"class {int(best.indices)}"
    return f"{label} {percent(float(best.values))}"


def _image_shape(network: Network, size: tuple[int, int] | None) -> tuple[int, int, int] | None:
    if size is None:
        return network.image_shape
    channels = _channels(network.model) if network.image_shape is None else network.image_shape[0]
    return channels, *size


def _channels(model: nn.Module) -> int:
    """Of the images, by the first convolution; colour where there is none."""
    for weight in model.parameters():
        if weight.ndim == 4:
            channels = weight.shape[1]
            if channels not in (1, 3):
                raise ValueError(f"a report shows images of 1 or 3 channels, the network takes {channels}")
            return channels
    return 3


def _size(text: str) -> tuple[int, int]:
    sides = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    found = [int(side) for side in sides.groups() if side] if sides else [0]
    if not all(found):
        raise argparse.ArgumentTypeError(
            f"a size is a number such as 224, or height x width such as 192x256, not {text}"
        )
    return found[0], found[-1]


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"a budget is a time such as 60s, 5m or 1h, not {text}")
    return float(found[1]) * UNITS[found[2] or "s"]


def _lines(path: Path) -> tuple[str, ...]:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path} with names of classes")
    try:
        return tuple(line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file with the name of a class on each line") from error


def _listed() -> str:
    return f"which maps to compare (default: all): {', '.join(METHODS)}"


def _without_budget(arguments: list[str] | None) -> list[str]:
    """The command again, without its bound."""
    given = list(sys.argv[2:] if arguments is None else arguments)
    for place, word in enumerate(given):
        if word == "--budget":
            return given[:place] + given[place + 2 :]
        if word.startswith("--budget="):
            return given[:place] + given[place + 1 :]
    return given
