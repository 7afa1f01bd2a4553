"""The command line of labkit: each command is a thin layer over the package, which is imported only when it is needed.

labkit data | train | explain | attack | report | study | export | lab | grade, each with --help. Mistakes end with one
sentence and exit code 1, wrong options with 2, Ctrl-C with 130.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.files import replacing

if TYPE_CHECKING:  # these take seconds to import
    from torch import Tensor, nn

METHODS = {
    "occlusion": "what hiding a patch costs the class",
    "saliency": "the gradient of the class logit",
    "smoothgrad": "the gradient, averaged over noisy copies",
    "integrated_gradients": "the gradient, added up on the way from black",
    "grad_cam": "the channels of a late layer that speak for the class",
    "guided_backprop": "the gradient without what flows back below zero",
}
LARGEST = 5  # how many classes are printed


def data(arguments: Sequence[str]) -> int:
    """Download MNIST and CIFAR-10, once."""
    return _module("labkit.data").main(list(arguments))


def train(arguments: Sequence[str]) -> int:
    """Train one of the shipped networks."""
    return _module("labkit.recipes").main(list(arguments)) or 0


def study(arguments: Sequence[str]) -> int:
    """Run one of the studies behind the book's tables again."""
    studies = _module("labkit.studies._study")
    parser = argparse.ArgumentParser(prog="labkit study", description=study.__doc__, add_help=False)
    parser.add_argument("name", choices=studies.names(), help="its own options: labkit study NAME --help")
    if not arguments or arguments[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    name = parser.parse_args(arguments[:1]).name
    return studies.find(name).main(list(arguments[1:])) or 0


def export(arguments: Sequence[str]) -> int:
    """Write a shipped network as ONNX, with its gradient."""
    return _module("labkit.export.network").main(list(arguments)) or 0


def lab(arguments: Sequence[str]) -> int:
    """Write the live lab with a network of yours in it, as one page that opens from disk."""
    parser = argparse.ArgumentParser(prog="labkit lab", description=lab.__doc__)
    parser.add_argument(
        "network",
        help="for digits: a shipped name such as mnist, or a file: .onnx, .pt2, or .safetensors saved by the live lab; "
        "for photographs: a shipped name such as efficientnet_lite0, torchvision:NAME, or timm:NAME",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("lab.html"), help="the page (default: lab.html)")
    parser.add_argument("--untrained", action="store_true", help="random weights, for torchvision:NAME and timm:NAME")
    options = parser.parse_args(arguments)

    from labkit.export.lab_page import IMAGE_SHAPE, write_lab, write_photograph_lab
    from labkit.report.networks import load_network

    if options.network.endswith((".onnx", ".pt2", ".safetensors")):
        path = write_lab(options.network, options.output)
    else:
        found = load_network(options.network, untrained=options.untrained)
        if found.image_shape == IMAGE_SHAPE:
            path = write_lab(options.network, options.output)
        else:
            path = write_photograph_lab(found.model, options.output, label=found.name, names=found.classes)
    print(f"{path}  {path.stat().st_size:,} bytes")
    return 0


def report(arguments: Sequence[str]) -> int:
    """Put a network of yours under the microscope: one page."""
    return _module("labkit.report.command").main(list(arguments))


def grade(arguments: Sequence[str]) -> int:
    """Mark a class's notebooks, each in a sandbox."""
    return _module("labkit.grading.cli").main(list(arguments), prog_name="labkit grade") or 0


def explain(arguments: Sequence[str]) -> int:
    """Show where a network looks in a picture of yours."""
    parser = argparse.ArgumentParser(prog="labkit explain", description=explain.__doc__)
    _add_picture(parser)
    known = ", ".join(f"{name} ({words})" for name, words in METHODS.items())
    parser.add_argument("--method", choices=METHODS, default="smoothgrad", metavar="METHOD", help=known)
    parser.add_argument("--class", dest="label", help="name or number of the class to explain (default: the surest)")
    parser.add_argument("-o", "--output", type=Path, default=Path("map.png"), help="the figure (default: map.png)")
    options = parser.parse_args(arguments)

    from labkit import plot
    from labkit.plot.drawing import percent

    model, image, names = _load(options.network, options.picture)
    probabilities = _probabilities(model, image)
    _print_surest(probabilities, names)
    label = int(probabilities.argmax()) if options.label is None else _class_number(options.label, names)
    values = _attribution(model, image, label, options.method)
    captions = (f"{names[label]} {percent(float(probabilities[label]))}", options.method.replace("_", " "))
    figure = plot.beside(image[0], values, captions=captions, label="in favour of the class")
    with replacing(options.output) as path:
        figure.savefig(path)
    print(f"{options.method} for {names[label]!r}: {options.output}")
    return 0


def attack(arguments: Sequence[str]) -> int:
    """Change a picture of yours a little, so that a network takes it for something else."""
    parser = argparse.ArgumentParser(prog="labkit attack", description=attack.__doc__)
    _add_picture(parser)
    parser.add_argument("--to", metavar="CLASS", help="name or number of the class to be seen (default: any other)")
    parser.add_argument(
        "--eps", type=float, default=4, help="the largest change of a pixel, of 255, rounded down (default: 4)"
    )
    parser.add_argument("--steps", type=int, default=40, help="gradient steps (default: 40)")
    parser.add_argument("-o", "--output", type=Path, default=Path("attacked.png"), help="the PNG that is written")
    parser.add_argument("--figure", type=Path, help="write before, difference and after as a figure too")
    options = parser.parse_args(arguments)
    if options.output.suffix.lower() != ".png":
        raise ValueError(f"--output must end in .png, the format that keeps every pixel as it is, got {options.output}")

    import torch
    from PIL import Image
    from tqdm import tqdm

    from labkit import plot
    from labkit.attacks.pgd import pgd

    model, image, names = _load(options.network, options.picture)
    before = _probabilities(model, image)
    start = int(before.argmax())
    goal = start if options.to is None else _class_number(options.to, names)
    settings = {"eps": options.eps // 1 / 255, "steps": options.steps, "targeted": options.to is not None}
    changed = pgd(model, image, torch.tensor([goal]), progress=tqdm, **settings)
    pixels = (changed * 255).round().to(torch.uint8)  # as a PNG keeps it
    after = _probabilities(model, pixels.float() / 255)
    written = pixels[0].movedim(0, -1).squeeze(-1).numpy()
    with replacing(options.output) as path:
        Image.fromarray(written).save(path, format="PNG")
    print("before:")
    _print_surest(before, names)
    print(f"after, no pixel changed by more than {options.eps:g} of 255:")
    _print_surest(after, names)
    print(options.output)
    if options.figure is not None:
        shown = torch.stack((before, after)).amax(0).topk(min(LARGEST, len(names))).indices
        classes = [names[index] for index in shown.tolist()]
        figure = plot.attack(image[0], pixels[0].float() / 255, before[shown], after[shown], classes)
        with replacing(options.figure) as path:
            figure.savefig(path)
        print(options.figure)
    fooled = int(after.argmax()) == goal if options.to is not None else int(after.argmax()) != start
    if not fooled:
        print(f"the network still sees {names[int(after.argmax())]!r}: try a larger --eps or more --steps")
    return 0 if fooled else 1


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    command.__name__: command for command in (data, train, explain, attack, report, study, export, lab, grade)
}
KEPT = ("train", "report", "study")  # commands that keep what they have done when they are stopped


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="labkit", description="How convolutional networks see, break and are fooled.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {command.__doc__}" for name, command in COMMANDS.items())
    parser.epilog = f"commands:\n{listed}\n\nlabkit COMMAND --help says more."
    parser.add_argument("--version", action="version", version=f"labkit {version('labkit')}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    if not arguments:
        parser.print_help()
        return 2
    name = parser.parse_args(arguments[:1]).command
    try:
        return COMMANDS[name](arguments[1:])
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"labkit {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if name in KEPT:
            print(f"\nlabkit {name}: stopped; the same command goes on from where it was", file=sys.stderr)
        return 130


def _module(name: str):
    return importlib.import_module(name)


def _add_picture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", type=Path, help="an image file; its central square is used")
    parser.add_argument(
        "--network", default="efficientnet_lite0", help="one of labkit's own (default: efficientnet_lite0)"
    )


def _load(network: str, picture: Path) -> "tuple[nn.Sequential, Tensor, tuple[str, ...]]":
    """A network, the picture as it wants it, (1, C, H, W), and the names of its classes."""
    from labkit import data, models

    model = models.load(network)
    image = data.picture(picture, image_shape=models.expected_image_shape(model))
    return model, image, models.class_names(network)


def _probabilities(model: "nn.Module", image: "Tensor") -> "Tensor":
    import torch

    with torch.inference_mode():
        return model(image).softmax(1)[0]


def _print_surest(probabilities: "Tensor", names: Sequence[str]) -> None:
    from labkit.plot.drawing import percent

    best = probabilities.topk(min(LARGEST, len(names)))
    for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        print(f"{percent(probability):>6}  {names[index]}")


def _class_number(wanted: str, names: Sequence[str]) -> int:
    """The number of a class that is given by its name, in whatever case, or by its number.

    Raises:
        ValueError: there is none; the message lists what comes close.
    """
    lower = [name.lower() for name in names]
    if wanted.lower() in lower:
        return lower.index(wanted.lower())
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    near = [name for name in names if wanted.lower() in name.lower()][:LARGEST]
    hint = f"did you mean {', '.join(near)}?" if near else f"a name, or a number from 0 to {len(names) - 1}"
    raise ValueError(f"unknown class {wanted!r}: {hint}")


def _attribution(model: "nn.Module", image: "Tensor", label: int, method: str) -> "Tensor":
    """(H, W): what speaks for the class above zero, against it below; of a gradient only its size."""
    import torch
    from tqdm import tqdm

    function = getattr(_module(f"labkit.attribution.{method}"), method)
    classes = torch.tensor([label])
    if method == "occlusion":
        from labkit.attribution.occlusion import average_over_windows

        side = max(image.shape[2] // 7, 2)
        windows = {"window": side, "stride": max(side // 2, 1)}
        found = function(model, image, classes, **windows)
        lost = found.clean[:, None, None] - found.probability
        return average_over_windows(lost, (image.shape[2], image.shape[3]), **windows)[0]
    options = {"progress": tqdm} if method in ("smoothgrad", "integrated_gradients") else {}
    maps = function(model, image, classes, **options)[0]
    if maps.ndim == 2:
        return maps
    return maps.sum(0) if method == "integrated_gradients" else maps.abs().amax(0)


if __name__ == "__main__":
    sys.exit(main())
