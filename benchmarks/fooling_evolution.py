"""fooling_evolution on MNIST: what a generation costs beside the bare forward pass, and when the digits are certain.

Wanted: a median confidence of 0.9999 over the populations for each digit, within the default 300 generations. The table
gives the generation at which each digit gets there.
"""

import argparse
import time
from collections.abc import Sequence

import torch

from labkit import models
from labkit.synthesis.fooling_evolution import fooling_evolution_steps

WANTED, SAMPLES, BATCH = 0.9999, 100, 200


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--populations", type=int, default=5, help="images of each digit")
    parser.add_argument("--steps", type=int, default=300, help="generations")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, classes = models.load("mnist"), torch.arange(10).repeat(options.populations)
    with torch.no_grad():
        images = torch.rand(BATCH, 1, 28, 28)
        model(images)
        start = time.perf_counter()
        for _ in range(5):
            model(images)
        bare = (time.perf_counter() - start) / (5 * BATCH) * options.populations * SAMPLES
    print(f"{options.populations} populations of {SAMPLES} children, one thread; bare forward pass {bare:.3f} s")
    for encoding in ("direct", "smooth"):
        seconds, reached = 0.0, {}
        run = fooling_evolution_steps(model, classes, encoding=encoding, steps=options.steps, samples=SAMPLES)
        for generation in range(1, options.steps + 1):
            start = time.perf_counter()
            champions = next(run)
            seconds += time.perf_counter() - start
            with torch.no_grad():
                sure = model(champions).softmax(1).gather(1, classes[:, None]).view(-1, 10).median(0).values
            for digit in (sure >= WANTED).nonzero()[:, 0].tolist():
                reached.setdefault(digit, generation)
        cost = seconds / options.steps
        print(f"{encoding}: {seconds:.0f} s, {cost:.3f} s a generation, {cost / bare:.2f} of the bare pass")
        print("  certain from generation " + ", ".join(f"{k}: {reached.get(k, 'never')}" for k in range(10)))


if __name__ == "__main__":
    main()
