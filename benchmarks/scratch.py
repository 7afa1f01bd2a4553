"""The NumPy network against PyTorch: training speed on the CIFAR-10 network, where the time goes, and peak memory.

Forward, backward and update, batches of 50 random images, two threads each. Every measurement is a process of its own,
so that its peak memory is its own too, and the two take turns so that a busy machine slows both.
"""

import json
import os
import resource
import subprocess
import sys
import time

BATCH, STEPS, TURNS, THREADS = 50, 10, 3, 2


def with_numpy() -> dict:
    import numpy as np

    from labkit import scratch

    rng = np.random.default_rng(0)
    images = rng.random((BATCH, 3, 32, 32), np.float32)
    labels = rng.integers(10, size=BATCH)
    network, optimizer, spent = scratch.cifar10(), scratch.SGD(nesterov=True), {}

    def timed(name, call, *arguments):
        start = time.perf_counter()
        result = call(*arguments)
        spent[name] = spent.get(name, 0) + time.perf_counter() - start
        return result

    for name, layer in network.layers.items():
        for direction in ("forward", "backward"):
            call = getattr(layer, direction)
            setattr(layer, direction, lambda *x, key=f"{name} {direction}", call=call: timed(key, call, *x))

    def step():
        _, gradient = scratch.cross_entropy(network.forward(images, training=True), labels)
        network.backward(gradient)
        timed("update backward", optimizer.step, network)

    step()
    spent.clear()
    return {"seconds": best(step), "layers": {key: value / STEPS for key, value in spent.items()}}


def with_torch() -> dict:
    import torch

    from labkit import models

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    images, labels = torch.rand(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    images = images.contiguous(memory_format=torch.channels_last)
    network = models.cifar10().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, fused=True)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    step()
    return {"seconds": best(step)}


def best(step) -> float:
    """The fastest of several steps, which is what the code can do when nothing disturbs it."""
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(which: str) -> dict:
    """One measurement in a fresh process."""
    threads = {f"{name}_NUM_THREADS": str(THREADS) for name in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, __file__, which]
    found = subprocess.run(command, env=os.environ | threads, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(found.stdout)


def main() -> None:
    turns = [(measure("numpy"), measure("torch")) for _ in range(TURNS)]
    print(f"{'':10}{'images/s':>10}{'ms a step':>11}{'peak MB':>9}")
    speeds = {}
    for name, found in zip(("NumPy", "PyTorch"), zip(*turns, strict=True), strict=True):
        seconds, peak = min(each["seconds"] for each in found), max(each["peak"] for each in found)
        speeds[name] = BATCH / seconds
        print(f"{name:10}{BATCH / seconds:10.0f}{1000 * seconds:11.1f}{peak:9.0f}")
    print(f"ratio {speeds['NumPy'] / speeds['PyTorch']:.2f} (wanted: at least 0.25, 100 images/s, under 1000 MB)\n")
    layers = min((numpy for numpy, _ in turns), key=lambda found: found["seconds"])["layers"]
    print(f"{'layer':10}{'forward ms':>12}{'backward ms':>13}{'share':>8}")
    for name in dict.fromkeys(key.split()[0] for key in layers):
        forward, backward = (1000 * layers.get(f"{name} {way}", 0) for way in ("forward", "backward"))
        print(f"{name:10}{forward:12.2f}{backward:13.2f}{(forward + backward) / sum(layers.values()) / 1000:8.1%}")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        result = {"numpy": with_numpy, "torch": with_torch}[sys.argv[1]]()
        print(json.dumps(result | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}))
    else:
        main()
