"""top_images over 10,000 images: its time, its memory, and how both grow, beside a loop that keeps all activations.

The usual loop registers a forward hook, runs the set in the same batches, keeps every output of the layer, and sorts at
the end. Both find the 20 best images of a channel of the CIFAR-10 network's second and fifth convolution. Each run has
a process of its own, into which the images are read from a file without a copy; its peak of resident memory is
read when images and network are in place, and again at the end, and the difference is what the search needed. The
two take turns, so that a busy machine slows both. Where there are fewer images than asked for, they are repeated.
The growth is drawn in _build/benchmarks as well.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from _measure import alone, peak
from torch import Tensor

from labkit import data, models, plot
from labkit.features.top_images import top_images

COUNTS, ROUNDS = (1_250, 2_500, 5_000, 10_000), 3
LAYERS, UNIT, K, BATCH = ("relu2", "relu5"), 7, 20, 64
REPORTS = Path(__file__).parents[1] / "_build/benchmarks"
ALLOWED = 200  # MB above the images themselves, for 10,000 of them


class Run(NamedTuple):
    seconds: float
    megabytes: float
    indices: list[int]


def ours(model, images: Tensor, layer: str) -> Tensor:
    return top_images(model, images, layer, unit=UNIT, k=K, batch_size=BATCH).indices


def hook_loop(model, images: Tensor, layer: str) -> Tensor:
    kept = []
    hook = getattr(model, layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    with torch.no_grad():
        for batch in images.split(BATCH):
            model(batch)
    hook.remove()
    return torch.cat(kept)[:, UNIT].amax((1, 2)).topk(K).indices


def measure(search, layer: str, count: int, file: Path) -> Run:
    """One search in this process, which must be a new one: its peak of memory only ever rises."""
    torch.set_num_threads(1)
    model = models.load("cifar10")
    images = torch.from_numpy(np.fromfile(file, np.float32, count * 3 * 32 * 32)).view(count, 3, 32, 32)
    before = peak()
    search(model, images[:BATCH], layer)  # the first batch also loads libraries
    start = time.perf_counter()
    found = search(model, images, layer)
    return Run(time.perf_counter() - start, peak() - before, found.tolist())


def write_images(count: int, file: Path) -> None:
    images = data.load("cifar10", "test").images.numpy()
    with file.open("wb") as stream:
        for start in range(0, count, len(images)):
            images[: count - start].tofile(stream)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of images")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each search")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images"
        write_images(max(options.counts), file)
        for layer in LAYERS:
            table(layer, sorted(options.counts), options.rounds, file)
    print(f"fastest, most memory and median ratio of {options.rounds} rounds, one thread each")


def table(layer: str, counts: list[int], rounds: int, file: Path) -> None:
    print(f"{f'{layer}, channel {UNIT}, top {K}':<24}{'top_images':>20}{'hooks, all kept':>20}{'ratio':>9}")
    print(f"{'images':<24}{'s':>10}{'MB':>10}{'s':>10}{'MB':>10}{'time':>9}")
    growth = []
    for count in counts:
        searches = [partial(measure, search, layer, count, file) for search in (ours, hook_loop)]
        runs = [[alone(search) for search in searches] for _ in range(rounds)]
        ratio = median(usual.seconds / own.seconds for own, usual in runs)
        same = all(own.indices == usual.indices for own, usual in runs)
        cells = "".join(
            f"{min(run.seconds for run in column):>10.2f}{max(run.megabytes for run in column):>10.0f}"
            for column in zip(*runs, strict=True)
        )
        print(f"{count:<24,}{cells}{ratio:>9.2f}{'' if same else '  DIFFERENT IMAGES'}", flush=True)
        growth.append([max(run.megabytes for run in column) for column in zip(*runs, strict=True)])
    needed = max(own.megabytes for own, _ in runs)
    print(f"{needed:.0f} MB above the images for {counts[-1]:,} of them; wanted: at most {ALLOWED}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    series = dict(zip(("top_images", "hooks, all kept"), map(list, zip(*growth, strict=True)), strict=True))
    drawn = plot.lines(counts, series, xlabel="images", ylabel="MB above the images", logarithmic="xy")
    (REPORTS / f"top_images-{layer}.png").write_bytes(plot.png(drawn))
    print(f"drawn in _build/benchmarks/top_images-{layer}.png\n")


if __name__ == "__main__":
    main()
