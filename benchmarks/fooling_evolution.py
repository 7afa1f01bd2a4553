"""fooling_evolution on MNIST: what a generation costs beside the bare forward pass, and when the digits are certain.

The first row is the forward pass of all children of one generation. A note gives the generation at which each digit
reaches a median confidence of 0.9999 over the populations; wanted: all within the default 300 generations.
"""

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks._race import Options, Race, Run, race, run
from labkit import models
from labkit.synthesis.fooling_evolution import fooling_evolution_steps

WANTED, SAMPLES, BATCH = 0.9999, 100, 200


def forward(model: nn.Module, populations: int) -> Run:
    """The bare forward pass of one generation, in batches."""
    images = torch.rand(BATCH, 1, 28, 28)
    with torch.no_grad():
        model(images)
        start = time.perf_counter()
        for _ in range(5):
            model(images)
    return Run((time.perf_counter() - start) / (5 * BATCH) * populations * SAMPLES, {})


def evolve(model: nn.Module, classes: Tensor, encoding: str, steps: int) -> Run:
    """Seconds a generation, and the generation at which each digit is certain."""
    seconds, reached = 0.0, {}
    evolution = fooling_evolution_steps(model, classes, encoding=encoding, steps=steps, samples=SAMPLES)
    for generation in range(1, steps + 1):
        start = time.perf_counter()
        champions = next(evolution)
        seconds += time.perf_counter() - start
        with torch.no_grad():
            sure = model(champions).softmax(1).gather(1, classes[:, None]).view(-1, 10).median(0).values
        for digit in (sure >= WANTED).nonzero()[:, 0].tolist():
            reached.setdefault(digit, generation)
    return Run(seconds / steps, reached)


def certain(reached: dict[int, int]) -> str:
    return ", ".join(f"{digit}: {generation}" for digit, generation in sorted(reached.items()))


def section(options: Options) -> Iterator[Race]:
    torch.set_num_threads(1)
    populations, steps = options.size(5, 1), options.size(300, 2)
    model, classes = models.load("mnist"), torch.arange(10).repeat(populations)
    lanes = {"bare forward pass": partial(forward, model, populations)}
    lanes |= {name: partial(evolve, model, classes, name, steps) for name in ("direct", "smooth")}
    title = f"a generation of {populations} populations of {SAMPLES} children; digit: when it is certain"
    found = race(title, lanes, options.rounds, note=certain, warm_up=False)
    for name in ("direct", "smooth"):
        late = set(range(10)) - (found.lanes[name].result or {}).keys()
        found.slow += [f"{name}: {digit} is not certain after {steps} generations" for digit in sorted(late)]
    yield found


SECTIONS = {"generation": section}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=1)
