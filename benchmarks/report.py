"""`labkit report`: all attribution maps of a report with their scores, beside the bare passes that they need.

Sixteen images on EfficientNet-Lite0 at 224 pixels, one thread. The bare passes are the forward and backward passes of
the network that six maps, their deletion and insertion curves and the randomisation check need, in the same batches,
with nothing around them. Memory: what four times as many images may add to the most that a report holds at once.
"""

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks._race import Options, Race, Run, backward, peak, race, run
from labkit import data, models
from labkit.report.measuring import measure_all
from labkit.report.methods import SAMPLES, kinds
from labkit.report.parts import attribution
from labkit.report.subject import METHODS, Subject, subject_of

NAME = "efficientnet_lite0"
BATCH = 16


def subject(count: int, side: int) -> Subject:
    """So many crops of photographs, under the microscope."""
    photos = torch.cat([data.photo(name) for name in data.PHOTOS]).repeat(-(-count // 4), 1, 1, 1)[:count]
    images = torch.stack([photo.roll(7 * index, 2) for index, photo in enumerate(photos)])[..., :side, :side]
    settings = {"layer": "bn2", "methods": METHODS, "examples": count, "batch_size": BATCH, "seed": 0}
    fixed = {"name": NAME, "classes": (), "files": ()}
    return subject_of(models.load(NAME), images, None, **fixed, **settings)


def maps(found: Subject) -> Tensor:
    """What the report measures of its attribution maps; the deletion scores of one of them."""
    measured = measure_all(found, attribution.tasks(found))[0]
    assert not any(each.problem for each in measured.values())
    return measured["attribution-saliency"].figures["deletion"]


def bare(found: Subject) -> None:
    """The passes alone, in the same batches."""
    positions = int(kinds(found)["occlusion"].passes)
    curves = 2 * (len(METHODS) + 1)  # deletion and insertion, of each method and of pixels in random order
    for network in (found.model, found.forgetful):
        for image, label in zip(found.images.split(1), found.predicted.split(1), strict=True):
            for count in (1, SAMPLES, SAMPLES, 1, 1):  # saliency, SmoothGrad, integrated gradients, Grad-CAM, guided
                backward(network, image.repeat(count, 1, 1, 1), label.repeat(count))
            with torch.no_grad():
                for some in image.expand(positions, -1, -1, -1).split(BATCH):
                    network(some)
    with torch.no_grad():
        for image in found.images.split(1):
            for _ in range(curves):
                found.model(image.repeat(attribution.STEPS + 1, 1, 1, 1))


def speed(options: Options) -> Iterator[Race]:
    """All attributions of a report beside the passes that they need."""
    torch.set_num_threads(1)
    found = subject(options.size(16, 1), options.size(224, 64))
    _ = found.forgetful  # made once, whatever is measured
    lanes = {"bare passes": lambda: bare(found), "labkit report": lambda: maps(found)}
    yield race("all attributions", lanes, options.rounds, equal=(), wanted={"labkit report": {"bare passes": 1.3}})


def memory(options: Options) -> Iterator[Race]:
    """The most that a report of 2 and of 8 images holds at once, each in a process of its own."""
    side = options.size(224, 64)
    counts = (2, options.size(8, 3))
    lanes = {f"{count} images": options.alone(partial(_held, count, side)) for count in counts}
    found = race("peak memory", lanes, options.rounds, equal=())
    few = found.lanes["2 images"].megabytes
    if few is not None:
        kept = 6 * 6 * side * side * 4 / 1e6  # the maps themselves, of six more images
        found.bound(f"{counts[1]} images", megabytes=1.1 * few + 2 * kept)
    yield found


def _held(count: int, side: int) -> Run:
    start = time.perf_counter()
    maps(subject(count, side))
    return Run(time.perf_counter() - start, megabytes=peak())


SECTIONS = {"speed": speed, "memory": memory}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=1)
