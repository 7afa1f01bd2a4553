"""Class models: the time of a run beside the bare passes and torch-lucent; ten digits together.

The bare passes are what no such method can do without: one forward and one backward pass a step, down to the pixels, of
images like those that the method comes to. (On a plain grey image, pooling and ReLUs would take a fifth less time.)
torch-lucent 0.1.8 is left out where it is not installed. It wants a kornia of 2020, so give it a folder of its own and
name that in PYTHONPATH: `pip install --no-deps --target FOLDER torch-lucent kornia==0.4.1 future decorator`.
"""

import warnings
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks._race import Options, Race, backward, race, run
from labkit import models
from labkit.synthesis.class_model import class_model

BARE = {"jitter": 0.0, "scale": 0.0, "tv_weight": 0.0, "parametrization": "pixels"}
# network -> images at once, steps
CASES = {"mnist": (10, 100), "cifar10": (10, 30), "efficientnet_lite0": (1, 15)}


def bare(model: nn.Module, images: Tensor, classes: Tensor, steps: int) -> None:
    for _ in range(steps):
        backward(model, images, classes)


def of_lucent(model: nn.Module, classes: Tensor, steps: int, *, moving: bool) -> None:
    """The same with torch-lucent: a Fourier parametrisation in uncorrelated colours, its own movements or none."""
    from labkit import _torchvision  # noqa: F401  torch-lucent imports torchvision, which may need its help

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lucent.optvis import objectives, param, render

    height, width = models.expected_image_shape(model)[1:]
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


def section(name: str, options: Options) -> Iterator[Race]:
    torch.set_num_threads(1)
    count, steps = CASES[name]
    model, classes, steps = models.load(name), torch.arange(count), options.size(steps, 2)
    images = class_model(model, classes, steps=steps)
    lanes = {
        "bare passes": partial(bare, model, images, classes, steps),
        "labkit, pixels and nothing else": partial(class_model, model, classes, **BARE, steps=steps),
        "labkit": partial(class_model, model, classes, steps=steps),
    }
    wanted = {"labkit": {"bare passes": 1.2}}
    if models.expected_image_shape(model)[1] >= 224:  # lucent enlarges what is smaller
        lanes["torch-lucent, Fourier"] = partial(of_lucent, model, classes, steps, moving=False)
        lanes["torch-lucent"] = partial(of_lucent, model, classes, steps, moving=True)
        wanted["labkit"]["torch-lucent"] = 1
    yield race(f"{name}, {count} at once, {steps} steps", lanes, options.rounds, wanted=wanted)


def digits(options: Options) -> Iterator[Race]:
    torch.set_num_threads(2)
    search = partial(class_model, models.load("mnist"), torch.arange(10), start="zeros", l2_weight=150)
    search = partial(search, steps=2) if options.quick else search
    found = race("ten digits, two threads", {"labkit": search}, options.rounds)
    found.bound("labkit", seconds=5)
    yield found


SECTIONS = {name: partial(section, name) for name in CASES} | {"digits": digits}

if __name__ == "__main__":
    run(__doc__, SECTIONS)
