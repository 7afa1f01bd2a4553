"""Planted shortcuts: how many of 20 are found, and how many alarms 20 clean networks raise.

Each planted network is trained on 2,000 images, of which one class has a mark: a square in a corner or a shifted digit,
a colour, a watermark, a texture. A seed draws which, where, how strong, on what data, and on what part of the class.
`find_shortcuts` gets the network and 1,000 other images from the same source, and nothing else. A plant counts as found
if one of the first three findings names its class and its place: for a mark in one place a region that overlaps it by
half of the smaller one, for a shifted digit its position, else the colour or the texture. A network that the mark does
not persuade on at least half of the images of other classes has not learned it: it is set aside, and the next seed is
drawn.

The clean networks are trained on the same data as they are, or with the same marks on all classes alike. Every finding
in one is an alarm. The method was developed on seeds from 1,000 up; the seeds here begin at 0.
"""

from collections.abc import Iterator
from itertools import count
from time import perf_counter

import torch

from benchmarks._plants import KINDS, Plant, plant, sample, trained
from benchmarks._race import Lane, Options, Race, Run, run
from labkit.evaluation.shortcuts import Finding, find_shortcuts

TAKEN = 0.5  # the least reliance of a network that has learned the mark
TOP = 3


def named(plant: Plant, found: list[Finding]) -> bool:
    """Whether one of the first findings is the planted one."""
    return any(plant.target in finding.classes and _fits(plant, finding) for finding in found[:TOP])


def _fits(plant: Plant, finding: Finding) -> bool:
    if plant.place is None:
        return finding.kind == plant.kind
    if finding.kind != "region":
        return False
    (top, left, height, width), (row, column, tall, wide) = plant.place, finding.where
    down = min(top + height, row + tall) - max(top, row)
    across = min(left + width, column + wide) - max(left, column)
    return max(down, 0) * max(across, 0) >= min(height * width, tall * wide) / 2


def planted(options: Options) -> Iterator[Race]:
    torch.set_num_threads(1)
    print(f"\n{'planted':<12}{'mark':<34}{'data':<17}{'reliance':>9}  {'found':<6}first finding")
    each, hits, aside, lane = options.size(5, 1), 0, 0, Lane()
    for kind in KINDS[: options.size(4, 1)]:
        taken = 0
        for seed in count():
            marked = plant(kind, seed)
            train, test = (sample(marked.data, split, options.size(n, 200)) for split, n in SPLITS)
            given = marked.planted(test, seed + 1)
            model = trained(marked.planted(train, seed), given, seed=seed, epochs=options.size(6, 1))
            reliance = marked.reliance(model, test)
            if reliance < TAKEN and not options.quick:
                aside += 1
                continue
            start = perf_counter()
            found = find_shortcuts(model, given.images, given.labels, pairs=options.size(100, 20), seed=seed)
            lane.runs.append(Run(perf_counter() - start))
            hit = named(marked, found)
            hits += hit
            first = f"{found[0].kind} {found[0].where}, {found[0].effect:.0%}" if found else "none"
            print(
                f"{kind:<12}{marked.name:<34}{marked.data:<17}{reliance:>9.0%}  {'yes' if hit else 'NO':<6}{first}",
                flush=True,
            )
            taken += 1
            if taken == each:
                break
    total = len(lane.runs)
    print(f"{hits} of {total} found; {aside} more networks had not learned the mark and were set aside")
    wrong = [f"{hits} of {total} planted shortcuts were found, wanted: at least 9 in 10"]
    yield Race({"find_shortcuts": lane}, wrong=wrong if hits < 0.9 * total and not options.quick else [])


def clean(options: Options) -> Iterator[Race]:
    torch.set_num_threads(1)
    print(f"\n{'clean':<12}{'mark on all classes':<34}{'data':<17}{'accuracy':>9}  findings")
    alarms = 0
    for number in range(options.size(20, 2)):
        seed, decoy = CLEAN + number, bool(number % 2)
        marked = plant(KINDS[number // 2 % len(KINDS)], seed)
        train, test = (sample(marked.data, split, options.size(n, 200)) for split, n in SPLITS)
        if decoy:
            train, test = marked.decoyed(train, seed), marked.decoyed(test, seed + 1)
        model = trained(train, test, seed=seed, epochs=options.size(6, 1))
        found = find_shortcuts(model, test.images, test.labels, pairs=options.size(100, 20), seed=seed)
        alarms += len(found)
        with torch.no_grad():
            right = (model(test.images).argmax(1) == test.labels).float().mean()
        words = "; ".join(f"{each.kind} {each.where}, {each.effect:.0%}" for each in found) or "none"
        print(
            f"{'':<12}{marked.name if decoy else 'none':<34}{marked.data:<17}{right:>9.0%}  {words}",
            flush=True,
        )
    print(f"{alarms} alarms")
    wrong = [f"clean networks raised {alarms} alarms, wanted: at most 1"]
    yield Race({}, wrong=wrong if alarms > 1 and not options.quick else [])


SPLITS = (("train", 2000), ("test", 1000))
CLEAN = 100  # the first seed of the clean networks
SECTIONS = {"planted": planted, "clean": clean}

if __name__ == "__main__":
    run(__doc__, SECTIONS)
