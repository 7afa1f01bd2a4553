"""Certificates on MNIST networks: interval bounds beside a forward pass, and CROWN for 1,000 digits, on one thread.

The forward pass is timed in float32, as the network runs, and in float64, as interval bounds are computed by default.
"""

import copy
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks._race import Options, Race, race, run
from labkit import data, models
from labkit.certification.crown import crown
from labkit.certification.interval_bounds import interval_bounds

BATCH = 250


@torch.no_grad()
def forward(model: nn.Module, images: Tensor) -> None:
    for part in images.split(BATCH):
        model(part)


def section(name: str, options: Options) -> Iterator[Race]:
    torch.set_num_threads(1)
    images, classes = data.examples("mnist", options.size(1000, 4))
    model = models.load(name)
    exact, wide = copy.deepcopy(model).double(), images.double()
    bounds = partial(interval_bounds, model, images, classes, eps=0.1)
    lanes = {
        "forward pass": partial(forward, model, images),
        "forward pass, float64": partial(forward, exact, wide),
        "interval bounds, float32": partial(bounds, precision="float32"),
        "interval bounds, float64": bounds,
    }
    wanted = {
        "interval bounds, float32": {"forward pass": 3},
        "interval bounds, float64": {"forward pass, float64": 3},
    }
    yield race(f"{name}, {len(images)} digits", lanes, options.rounds, wanted=wanted)
    found = race(f"CROWN, {name}", {"CROWN": partial(crown, model, images, classes, eps=0.1)}, 1)
    found.bound("CROWN", seconds=60)
    yield found


SECTIONS = {name: partial(section, name) for name in ("mnist", "mnist-certified")}

if __name__ == "__main__":
    run(__doc__, SECTIONS)
