"""The search for 80 fooling images against the whole MNIST training set: seconds, and memory beyond the images.

Wanted: under 60 s on two cores. The bare passes are one forward and one backward pass of all 80 images for each step of
the slowest digit: the search rests early where it can, and looks for the nearest of 60,000 training images besides.
`--images 5000` is the largest search of `labkit study retraining`, with its reference; wanted: within 1 GB.
"""

import argparse
import time
from collections.abc import Sequence
from functools import partial

import torch
from _measure import alone, peak

from labkit import data, models
from labkit.studies import retraining
from labkit.synthesis.fooling import fooling


def search(images: int, reference: int | None) -> str:
    """One search in a process of its own; what it took, as a line of the table."""
    train, model = data.load("mnist", "train"), models.load("mnist")
    if reference:
        chosen = [(train.labels == label).nonzero()[:reference, 0] for label in range(10)]
        train = train.subset(torch.cat(chosen))
    classes = torch.arange(10).repeat_interleave(images // 10)
    before, start = peak(), time.perf_counter()
    found = fooling(model, classes, reference=train, clip=True, steps=retraining.TRAINING_STEPS)
    seconds, memory = time.perf_counter() - start, peak() - before
    noise = torch.rand(images, 1, 28, 28)
    start = time.perf_counter()
    for batch in noise.split(500):
        batch.requires_grad_()
        torch.autograd.grad(model(batch).sum(), batch)
    bare = (time.perf_counter() - start) * (found.steps.max().item() + 1)
    sure = (found.confidence >= 0.999).sum()
    return (
        f"{images:>7,}{len(train):>11,}{seconds:>9.1f} s{bare:>9.1f} s{memory:>9.0f} MB"
        f"{sure:>8,} of {images:,} at 99.9%, in at most {found.steps.max()} steps"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="*", default=[80, 1_000])
    options = parser.parse_args(arguments)
    print(f"{'images':>7}{'reference':>11}{'search':>11}{'bare':>11}{'memory':>12}")
    for images in options.images:
        reference = None if images <= 80 else retraining.REFERENCE
        print(alone(partial(search, images, reference)), flush=True)


if __name__ == "__main__":
    main()
