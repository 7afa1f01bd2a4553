"""Gradient maps: labkit.attribution beside captum, and beside the bare passes that each map needs.

Saliency, SmoothGrad, integrated gradients, Grad-CAM and guided backprop on the MNIST and CIFAR-10 networks and on
EfficientNet-Lite0 at 224 pixels, on the same images, in one process, one thread. The bare passes are forward and
backward passes of the network on as many images, in the same batches, with nothing around them. All take turns in
every round, so that a busy machine slows all alike; the ratios are medians over the rounds. The maps are compared.

`python benchmarks/attribution.py mnist` measures one network only.
"""

import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from labkit import data, models
from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.guided_backprop import guided_backprop
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.attribution.saliency import saliency
from labkit.attribution.smoothgrad import smoothgrad

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of captum's import
    from captum import attr

ROUNDS, WANTED = 7, 1.1
SAMPLES, STEPS, BATCH = 10, 20, 25
# network -> the layer for Grad-CAM, the number of images
CASES = {"mnist": ("pool2", 50), "cifar10": ("drop3", 25), "efficientnet_lite0": ("bn2", 2)}


def bare(model: nn.Module, images: Tensor, classes: Tensor, passes: int = 1) -> None:
    """As many forward and backward passes as images times passes, in batches of at most BATCH."""
    at_once = max(1, BATCH // len(images)) if passes > 1 else 1
    for first in range(0, passes, at_once):
        count = min(at_once, passes - first)
        some, labels = images.repeat(count, 1, 1, 1), classes.repeat(count)
        size = BATCH if passes > 1 else len(some)
        for batch, chosen in zip(some.split(size), labels.split(size), strict=True):
            inputs = batch.detach().requires_grad_()
            torch.autograd.grad(model(inputs).gather(1, chosen[:, None]).sum(), inputs)


def bare_to_layer(model: nn.Sequential, layer: str, images: Tensor, classes: Tensor) -> None:
    """One forward pass, and one backward as far as the layer."""
    after = list(dict(model.named_children())).index(layer) + 1
    activations = model[:after](images).detach().requires_grad_()
    torch.autograd.grad(model[after:](activations).gather(1, classes[:, None]).sum(), activations)


def contenders(name: str) -> dict[str, tuple[Callable, Callable, Callable, bool]]:
    """Method -> ours, captum's, the bare passes, and whether the two maps must be equal."""
    layer, count = CASES[name]
    model = models.load(name)
    if name == "efficientnet_lite0":
        images = torch.cat([data.photo("chelsea"), data.photo("coffee")])[:count]
        classes = torch.tensor([285, 967])[:count]
    else:
        images, classes = data.examples(name, count)

    def captum(method: Callable, **options) -> Callable:
        return lambda: method(images.clone().requires_grad_(), target=classes, **options).detach()

    def noisy() -> Tensor:
        options = {"nt_type": "smoothgrad", "nt_samples": SAMPLES, "stdevs": 0.15, "abs": False}
        return attr.NoiseTunnel(attr.Saliency(model)).attribute(
            images, target=classes, nt_samples_batch_size=max(1, BATCH // count), **options
        )

    found = {
        "saliency": (
            lambda: saliency(model, images, classes),
            captum(attr.Saliency(model).attribute, abs=False),
            lambda: bare(model, images, classes),
            True,
        ),
        "SmoothGrad": (
            lambda: smoothgrad(model, images, classes, samples=SAMPLES, batch_size=BATCH),
            noisy,
            lambda: bare(model, images, classes, SAMPLES),
            False,  # each draws noise of its own
        ),
        "integrated gradients": (
            lambda: integrated_gradients(model, images, classes, steps=STEPS, batch_size=BATCH),
            captum(attr.IntegratedGradients(model).attribute, n_steps=STEPS, internal_batch_size=max(BATCH, count)),
            lambda: bare(model, images, classes, STEPS),
            True,
        ),
        "Grad-CAM": (
            lambda: grad_cam(model, images, classes, layer=layer, resize=False),
            lambda: (
                attr.LayerGradCam(model, model.get_submodule(layer))
                .attribute(images, target=classes, relu_attributions=True)[:, 0]
                .detach()
            ),
            lambda: bare_to_layer(model, layer, images, classes),
            True,
        ),
        "guided backprop": (
            lambda: guided_backprop(model, images, classes),
            captum(attr.GuidedBackprop(model).attribute),
            lambda: bare(model, images, classes),
            name != "efficientnet_lite0",  # captum does not guide its ReLU6
        ),
    }
    return found


def seconds(function: Callable) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
    print(f"{'':42}{'ours':>9}{'captum':>9}{'bare':>9}{'ours/bare':>11}{'captum/ours':>13}{'difference':>12}")
    print(f"{'':42}{'ms':>9}{'ms':>9}{'ms':>9}")
    for name in names:
        for method, (ours, theirs, passes, equal) in contenders(name).items():
            first, second = ours(), theirs()  # and everything is warm
            gap = ((first - second).abs().max() / second.abs().max().clamp(min=1)).item()
            passes()
            rounds = [[seconds(each) for each in (ours, theirs, passes)] for _ in range(ROUNDS)]
            best = [1000 * min(times[column] for times in rounds) for column in range(3)]
            to_bare = median(times[0] / times[2] for times in rounds)
            to_captum = median(times[1] / times[0] for times in rounds)
            gap = f"{gap:.0e}" if equal else "–"
            figures = f"{best[0]:>9.1f}{best[1]:>9.1f}{best[2]:>9.1f}{to_bare:>11.2f}{to_captum:>13.2f}{gap:>12}"
            print(f"{name:20}{method:22}{figures}", flush=True)
    print(f"fastest and median of {ROUNDS} rounds; wanted: ours/bare at most {WANTED}, captum/ours at least 1.")
    print("Differences are shares of the largest magnitude; there is none where the two compute different things.")


if __name__ == "__main__":
    main(sys.argv[1:] or list(CASES))
