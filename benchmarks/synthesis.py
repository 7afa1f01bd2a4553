"""Class models: steps a second beside the bare passes and torch-lucent; ten digits together. One function a section.

The bare passes are what no such method can do without: one forward and one backward pass a step, down to the pixels.
All take turns, so that a busy machine slows all. torch-lucent 0.1.8 is left out where it is not installed. It wants a
kornia of 2020, so give it a folder of its own and name that in PYTHONPATH:
`pip install --no-deps --target FOLDER torch-lucent kornia==0.4.1 future decorator`.
"""

import argparse
import contextlib
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from labkit import models
from labkit._torchvision import torchvision  # noqa: F401  torch-lucent imports torchvision, which may need its help
from labkit.synthesis.class_model import class_model

BARE = {"jitter": 0.0, "scale": 0.0, "tv_weight": 0.0, "parametrization": "pixels"}


def bare(model: nn.Module, classes: Tensor, steps: int) -> None:
    images = torch.full((len(classes), *model.image_shape), 0.5)
    for _ in range(steps):
        images.requires_grad_()
        torch.autograd.grad(model(images).gather(1, classes[:, None]).sum(), images)


def of_lucent(model: nn.Module, classes: Tensor, steps: int, *, moving: bool) -> None:
    """The same with torch-lucent: a Fourier parametrisation in uncorrelated colours, its own movements or none."""
    from lucent.optvis import objectives, param, render

    height, width = model.image_shape[1:]
    render.render_vis(
        model,
        objectives.channel("fc", classes[0].item()),
        lambda: param.image(width, height, batch=len(classes), fft=True, decorrelate=True),
        transforms=None if moving else [],
        thresholds=(steps,),
        preprocess=False,
        progress=False,
        show_image=False,
        fixed_image_size=height if moving else None,
    )


def contestants(model: nn.Module, classes: Tensor, steps: int) -> dict[str, Callable]:
    found = {
        "bare passes": lambda: bare(model, classes, steps),
        "labkit, pixels and nothing else": lambda: class_model(model, classes, **BARE, steps=steps),
        "labkit": lambda: class_model(model, classes, steps=steps),
    }
    if model.image_shape[1] < 224:  # lucent enlarges what is smaller
        return found
    with contextlib.suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lucent.optvis.render  # noqa: F401

        found["torch-lucent, Fourier"] = lambda: of_lucent(model, classes, steps, moving=False)
        found["torch-lucent"] = lambda: of_lucent(model, classes, steps, moving=True)
    return found


def timed(function: Callable) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def class_model_section(rounds: int, share: float) -> None:
    """Steps a second, then the wall time of ten digits on two threads."""
    torch.set_num_threads(1)
    for name, count, steps in (("mnist", 10, 100), ("cifar10", 10, 30), ("efficientnet_lite0", 1, 15)):
        model, steps = models.load(name), max(2, round(steps * share))
        ways = contestants(model, torch.arange(count), steps)
        times = [{each: timed(way) for each, way in ways.items()} for _ in range(1 + rounds)][1:]
        print(f"{f'{name}, {count} at once':<34}{'steps/s':>9}{'x bare':>9}")
        for each in ways:
            ratio = median(one[each] / one["bare passes"] for one in times)
            print(f"{each:<34}{steps / median(one[each] for one in times):>9.1f}{ratio:>9.2f}")
        print()
    torch.set_num_threads(2)
    digits, ten = models.load("mnist"), torch.arange(10)
    seconds = median(timed(lambda: class_model(digits, ten, start="zeros", l2_weight=150)) for _ in range(rounds))
    print(f"ten digits, two threads: {seconds:.2f} s")
    print("wanted: labkit at most 1.2 times the bare passes and faster than torch-lucent; ten digits in under 5 s\n")


SECTIONS = {"class_model": class_model_section}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="of the steps, to try things out")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    options = parser.parse_args()
    for name in options.only:
        SECTIONS[name](options.rounds, options.share)


if __name__ == "__main__":
    main()
