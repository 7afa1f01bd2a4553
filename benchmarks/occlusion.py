"""Occlusion: labkit's against captum's, and against the bare forward passes that it replaces.

One image each. The MNIST network with a window of 6 x 6 at every position; EfficientNet-Lite0 and a VGG16 of random
weights with 32 x 32 at every 16th pixel of 224 x 224. captum computes one occluded image at a time by default; how many
at once serve it best is tried first (but for VGG16, which takes minutes). The bare passes get their occluded images for
nothing, in batches of the size that serves them best. Then how time and memory grow with the number of positions and
the size of the image, also drawn in _build/benchmarks.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks._race import Options, Race, Run, drawn, peak, race, run
from labkit import data, models, plot
from labkit.attribution.occlusion import average_over_windows, occlusion


def occluded(image: Tensor, window: int, stride: int) -> Tensor:
    """(positions, C, H, W): the image with a grey window at every position."""
    places = [range(0, length - window + 1, stride) for length in image.shape[2:]]
    copies = image.repeat(len(places[0]) * len(places[1]), 1, 1, 1)
    for copy, (y, x) in zip(copies, ((y, x) for y in places[0] for x in places[1]), strict=True):
        copy[:, y : y + window, x : x + window] = 0.5
    return copies


@torch.no_grad()
def bare(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    return torch.cat([model(batch) for batch in images.split(batch_size)])


def ours(model: nn.Module, image: Tensor, target: Tensor, window: int, stride: int) -> Tensor:
    found = occlusion(model, image, target, window=window, stride=stride)
    drop = found.clean[:, None, None] - found.probability
    return average_over_windows(drop, (image.shape[2], image.shape[3]), window=window, stride=stride)


@torch.no_grad()
def captums(model: nn.Module, image: Tensor, target: Tensor, window: int, stride: int, at_once: int) -> Tensor:
    from captum.attr import Occlusion

    channels = image.shape[1]
    attribution = Occlusion(lambda x: model(x).softmax(1)).attribute(
        image,
        (channels, window, window),
        strides=(channels, stride, stride),
        baselines=0.5,
        target=target,
        perturbations_per_eval=at_once,
    )
    return attribution[:, 0].float()


def fastest(function: Callable[[int], object], sizes: list[int]) -> int:
    """The batch size that serves a function best, of two tries each."""

    def seconds(size: int) -> float:
        start = time.perf_counter()
        function(size)
        return time.perf_counter() - start

    try:
        return min(sizes, key=lambda size: min(seconds(size) for _ in range(2))) if len(sizes) > 1 else sizes[0]
    except Exception:
        return sizes[0]  # it fails in the race again, and is told there


def compare(
    title: str, model: nn.Module, image: Tensor, window: int, stride: int, sizes: list[int], rounds: int
) -> Race:
    target = model(image).argmax(1).detach()
    images = occluded(image, window, stride)
    best_bare = fastest(partial(bare, model, images), sizes)
    best_captum = fastest(partial(captums, model, image, target, window, stride), sizes)
    tuned = f"captum, {best_captum} at once"
    return race(
        f"{title}: {window} x {window}, stride {stride}, {len(images)} positions",
        {
            f"bare forward passes, {best_bare} at once": partial(bare, model, images, best_bare),
            "labkit": partial(ours, model, image, target, window, stride),
            tuned: partial(captums, model, image, target, window, stride, best_captum),
            "captum, default": partial(captums, model, image, target, window, stride, 1),
        },
        rounds,
        equal=("labkit", tuned, "captum, default"),
        wanted={"labkit": {tuned: 1}},
    )


def mnist(options: Options) -> Iterator[Race]:
    images, _ = data.examples("mnist", 4)
    sizes = [64] if options.quick else [32, 64, 128, 256, 529]
    stride = options.size(1, 2)
    yield compare("MNIST network", models.load("mnist"), images[3:], 6, stride, sizes, options.rounds)


def photos(options: Options) -> Iterator[Race]:
    size = options.size(224, 64)
    photo, window, stride = data.photo("chelsea")[..., :size, :size], 32, 16
    sizes = [4] if options.quick else [4, 16, 32]
    lite = models.load("efficientnet_lite0")
    yield compare("EfficientNet-Lite0", lite, photo, window, stride, sizes, min(3, options.rounds))
    if options.quick:
        return
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vgg = models.vgg16().eval()
    yield compare("VGG16, random weights", vgg, photo, window, stride, [8], 1)


def grown(size: int, window: int, stride: int, way: Callable) -> Run:
    """A run, and the megabytes that a process needs beyond what it had after a first, small run."""
    model = models.load("cifar10")
    picture = nn.functional.interpolate(data.photo("chelsea"), (size, size), mode="area")
    model.fc = nn.Linear(128 * (size // 8) ** 2, 10).eval()
    target = torch.tensor([0])
    way(model, picture, target, size // 2, size // 4)  # the first, small run
    before, start = peak(), time.perf_counter()
    way(model, picture, target, window, stride)
    return Run(time.perf_counter() - start, None, peak() - before)


def growth(options: Options) -> Iterator[Race]:
    """With the number of positions, then with the size of the image at 225 positions. captum wants stride <= window."""
    ways = {"captum, 32 at once": partial(captums, at_once=32), "labkit": ours}
    by_positions = {((64 - 6) // stride + 1) ** 2: (64, 6, stride) for stride in (6, 4, 2, 1)}
    by_size = {size: (size, size // 8, size // 16) for size in (32, 64, 128, 256)}
    for name, label, settings in (
        ("occlusion", "positions, image of 64 × 64", by_positions),
        ("occlusion-size", "height and width of the image, 225 positions", by_size),
    ):
        settings = dict(list(settings.items())[: options.size(4, 1)])
        times: dict[str, list[float]] = {way: [] for way in ways}
        for size, window, stride in settings.values():
            positions = ((size - window) // stride + 1) ** 2
            title = f"CIFAR-10 layers, image {size} x {size}, window {window}, stride {stride}, {positions} positions"
            lanes = {
                way: options.alone(partial(grown, size, window, stride, function)) for way, function in ways.items()
            }
            found = race(title, lanes, 1, warm_up=False)
            for way, lane in found.lanes.items():
                times[way].append(float("nan") if lane.error else lane.seconds)
            yield found
        if not options.quick:
            chart = plot.lines(list(settings), times, xlabel=label, ylabel="seconds", logarithmic="xy")
            drawn(name, plot.png(chart))


SECTIONS = {"mnist": mnist, "photos": photos, "growth": growth}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=9)
