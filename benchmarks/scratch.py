"""The NumPy network against PyTorch: a training step of the CIFAR-10 network, where the time goes, and memory.

Forward, backward and update of 50 random images, one thread each. Every run is a process of its own, of which the
fastest step counts; its memory is what it held beyond the libraries themselves. Then the NumPy network's layers.
Seconds are those that a processor worked on it, so that other work on the machine counts as little as it can.
"""

from collections.abc import Callable, Iterator
from functools import partial
from time import process_time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks._race import Options, Race, Run, peak, race, run
from labkit import models, scratch


def with_numpy(batch: int, steps: int) -> Run:
    """With the seconds that each layer takes, as "layer direction"."""
    rng = np.random.default_rng(0)
    images = rng.random((batch, 3, 32, 32), np.float32)
    labels = rng.integers(10, size=batch)
    network, optimizer, spent = scratch.cifar10(), scratch.SGD(nesterov=True), {}

    def timed(name: str, call: Callable, *arguments: object) -> object:
        start = process_time()
        result = call(*arguments)
        spent[name] = spent.get(name, 0) + process_time() - start
        return result

    for name, layer in network.layers.items():
        for direction in ("forward", "backward"):
            call = getattr(layer, direction)
            setattr(layer, direction, lambda *x, key=f"{name} {direction}", call=call: timed(key, call, *x))

    def step() -> None:
        _, gradient = scratch.cross_entropy(network.forward(images, training=True), labels)
        network.backward(gradient)
        timed("update backward", optimizer.step, network)

    before = peak()
    with threadpool_limits(1):
        step()
        spent.clear()
        seconds = best(step, steps)
    return Run(seconds, {key: value / steps for key, value in spent.items()}, peak() - before)


def with_torch(batch: int, steps: int) -> Run:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels = torch.rand(batch, 3, 32, 32), torch.randint(10, (batch,))
    images = images.contiguous(memory_format=torch.channels_last)
    network = models.cifar10().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    before = peak()
    step()
    return Run(best(step, steps), None, peak() - before)


def best(step: Callable[[], None], steps: int) -> float:
    """The fastest of several steps, which is what the code can do when nothing disturbs it."""
    times = []
    for _ in range(steps):
        start = process_time()
        step()
        times.append(process_time() - start)
    return min(times)


def section(options: Options) -> Iterator[Race]:
    batch, steps = options.size(50, 2), options.size(10, 1)
    lanes = {
        "PyTorch": options.alone(partial(with_torch, batch, steps)),
        "NumPy": options.alone(partial(with_numpy, batch, steps)),
    }
    title = f"a training step of {batch} images"
    found = race(title, lanes, options.rounds, wanted={"NumPy": {"PyTorch": 4}}, warm_up=False)
    found.bound("NumPy", seconds=batch / 100, megabytes=1000)
    yield found
    layers = found.lanes["NumPy"].result
    print(f"\n{'layer':10}{'forward ms':>12}{'backward ms':>13}{'of all':>8}")
    for name in dict.fromkeys(key.split()[0] for key in layers):
        forward, backward = (1000 * layers.get(f"{name} {way}", 0) for way in ("forward", "backward"))
        print(f"{name:10}{forward:12.2f}{backward:13.2f}{(forward + backward) / sum(layers.values()) / 1000:8.1%}")


SECTIONS = {"step": section}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=3)
