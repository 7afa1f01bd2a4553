"""top_images over 10,000 images: its time, its memory, and how both grow, beside a loop that keeps all activations.

The usual loop registers a forward hook, runs the set in the same batches, keeps every output of the layer, and sorts at
the end. Both find the 20 best images of a channel of the CIFAR-10 network's second and fifth convolution. Each run has
a process of its own, into which the images are read from a file without a copy; its peak of resident memory is
read when images and network are in place, and again at the end, and the difference is what the search needed. Where
there are fewer images than asked for, they are repeated. The growth is drawn in _build/benchmarks as well.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._race import Options, Race, Run, drawn, peak, race, run
from labkit import data, models, plot
from labkit.features.top_images import top_images

COUNTS = (1_250, 2_500, 5_000, 10_000)
UNIT, K, BATCH = 7, 20, 64
ALLOWED = 200  # MB above the images themselves, for 10,000 of them


def ours(model: nn.Module, images: Tensor, layer: str) -> Tensor:
    return top_images(model, images, layer, unit=UNIT, k=K, batch_size=BATCH).indices


def hook_loop(model: nn.Module, images: Tensor, layer: str) -> Tensor:
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    with torch.no_grad():
        for batch in images.split(BATCH):
            model(batch)
    hook.remove()
    return torch.cat(kept)[:, UNIT].amax((1, 2)).topk(K).indices


def measure(search: Callable, layer: str, count: int, file: Path) -> Run:
    """One search in this process, which must be a new one: its peak of memory only ever rises."""
    torch.set_num_threads(1)
    model = models.load("cifar10")
    images = torch.from_numpy(np.fromfile(file, np.float32, count * 3 * 32 * 32)).view(count, 3, 32, 32)
    before = peak()
    search(model, images[:BATCH], layer)  # the first batch also loads libraries
    start = time.perf_counter()
    found = search(model, images, layer)
    return Run(time.perf_counter() - start, found.tolist(), peak() - before)


def write_images(count: int, file: Path) -> None:
    images = data.load("cifar10", "test").images.numpy()
    with file.open("wb") as stream:
        for start in range(0, count, len(images)):
            images[: count - start].tofile(stream)


def section(layer: str, options: Options) -> Iterator[Race]:
    counts = COUNTS if not options.quick else (BATCH, 2 * BATCH)
    memory: dict[str, list[float]] = {"hooks, all kept": [], "top_images": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images"
        write_images(max(counts), file)
        for count in counts:
            searches = {
                name: options.alone(partial(measure, search, layer, count, file))
                for name, search in zip(memory, (hook_loop, ours), strict=True)
            }
            title = f"{layer}, channel {UNIT}, top {K} of {count:,} images"
            found = race(title, searches, options.rounds, equal=tuple(searches), warm_up=False)
            for name, lane in found.lanes.items():
                memory[name].append(lane.megabytes or 0.1)
            if count == COUNTS[-1]:
                found.bound("top_images", megabytes=ALLOWED)
            yield found
    if not options.quick:
        chart = plot.lines(counts, memory, xlabel="images", ylabel="MB above the images", logarithmic="xy")
        drawn(f"top_images-{layer}", plot.png(chart))


SECTIONS = {layer: partial(section, layer) for layer in ("relu2", "relu5")}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=3)
