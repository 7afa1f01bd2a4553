"""Occlusion: labkit's against captum's, and against the bare forward passes that it replaces.

One image each. The MNIST network with a window of 6 x 6 at every position; EfficientNet-Lite0 and a VGG16 of random
weights with 32 x 32 at every 16th pixel of 224 x 224. captum computes one occluded image at a time by default; how many
at once serve it best is tried first (but for VGG16, which takes minutes). The bare passes get their occluded images for
nothing, in batches of the size that serves them best. All take turns, and their maps are compared. Then how time and
memory grow with the number of positions and the size of the image, as tables and drawn in _build/benchmarks.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from _measure import alone, peak
from captum.attr import Occlusion
from torch import Tensor, nn

from labkit import data, models, plot
from labkit.attribution.occlusion import average_over_windows, occlusion

REPORT = Path(__file__).parents[1] / "_build/benchmarks/occlusion.png"


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
    return average_over_windows(
        found.clean[:, None, None] - found.probability, image.shape[2:], window=window, stride=stride
    )


def captums(model: nn.Module, image: Tensor, target: Tensor, window: int, stride: int, at_once: int) -> Tensor:
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


def seconds(function: Callable) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def fastest(function: Callable, sizes: list[int]) -> int:
    """The batch size that serves a function best, of two tries each."""
    if len(sizes) == 1:
        return sizes[0]
    return min(sizes, key=lambda size: min(seconds(partial(function, size)) for _ in range(2)))


def compare(name: str, model: nn.Module, image: Tensor, window: int, stride: int, *, rounds: int, sizes: list[int]):
    target = model(image).argmax(1).detach()
    images = occluded(image, window, stride)
    with torch.no_grad():
        best_bare = fastest(partial(bare, model, images), sizes)
        best_captum = fastest(partial(captums, model, image, target, window, stride), sizes)
        contenders = {
            "labkit": partial(ours, model, image, target, window, stride),
            f"bare forward passes, {best_bare} at once": partial(bare, model, images, best_bare),
            f"captum, {best_captum} at once": partial(captums, model, image, target, window, stride, best_captum),
            "captum, default": partial(captums, model, image, target, window, stride, 1),
        }
        apart = (contenders["labkit"]() - captums(model, image, target, window, stride, best_captum)).abs().max()
        times = [[seconds(contender) for contender in contenders.values()] for _ in range(rounds)]
    print(f"\n{name}: {window} x {window}, stride {stride}, {len(images)} positions")
    print(f"{'':<40}{'ms':>10}{'ratio':>9}")
    for column, contender in enumerate(contenders):
        ratio = median(row[column] / row[0] for row in times)
        print(f"{contender:<40}{1e3 * min(row[column] for row in times):>10.1f}{ratio:>9.2f}")
    print(f"fastest and median ratio of {rounds} rounds; largest difference of the maps {apart:.0e}")


def growth(size: int, stride: int, way: str) -> tuple[float, float]:
    """Seconds, and the megabytes that a process needs beyond what it had after a first, small run."""
    model = models.load("cifar10")
    picture = nn.functional.interpolate(data.photo("chelsea"), (size, size), mode="area")
    model.fc = nn.Linear(128 * (size // 8) ** 2, 10).eval()
    target, run = torch.tensor([0]), ours if way == "labkit" else partial(captums, at_once=32)
    with torch.no_grad():
        run(model, picture, target, size // 2, size // 4)  # the first, small run
        before = peak()
        taken = seconds(partial(run, model, picture, target, 6, stride))
    return taken, peak() - before


def main() -> None:
    images, _ = data.examples("mnist", 4)
    compare("MNIST network", models.load("mnist"), images[3:], 6, 1, rounds=9, sizes=[32, 64, 128, 256, 529])
    photo = data.photo("chelsea")
    compare("EfficientNet-Lite0", models.load("efficientnet_lite0"), photo, 32, 16, rounds=3, sizes=[4, 16, 32])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vgg = models.vgg16().eval()
    compare("VGG16, random weights", vgg, photo, 32, 16, rounds=1, sizes=[8])

    print(f"\n{'CIFAR-10 layers, 6 x 6':<24}{'positions':>12}{'labkit':>18}{'captum, 32 at once':>22}")
    by_positions, by_size = {}, {}
    settings = [(by_positions, 64, stride) for stride in (8, 4, 2, 1)]
    settings += [(by_size, size, size // 16) for size in (32, 64, 128, 256)]
    for table, size, stride in settings:
        positions = ((size - 6) // stride + 1) ** 2
        (time_, memory), (their_time, their_memory) = (
            alone(partial(growth, size, stride, w)) for w in ("labkit", "captum")
        )
        table[positions if table is by_positions else size] = (time_, their_time)
        print(
            f"{f'{size} x {size}, stride {stride}':<24}{positions:>12}"
            f"{f'{time_:.2f} s, {memory:.0f} MB':>18}{f'{their_time:.2f} s, {their_memory:.0f} MB':>22}"
        )
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    for path, table, label in (
        (REPORT, by_positions, "positions, image of 64 × 64"),
        (REPORT.with_stem("occlusion-size"), by_size, "height and width of the image, 225 to 256 positions"),
    ):
        both = dict(zip(("labkit", "captum, 32 at once"), zip(*table.values(), strict=True), strict=True))
        series = {name: list(times) for name, times in both.items()}
        drawn = plot.lines(list(table), series, xlabel=label, ylabel="seconds", logarithmic="xy")
        path.write_bytes(plot.png(drawn))
        print(f"drawn in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    main()
