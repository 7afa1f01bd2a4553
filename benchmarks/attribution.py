"""Gradient maps: labkit.attribution beside captum, and beside the bare passes that each map needs.

Saliency, SmoothGrad, integrated gradients, Grad-CAM and guided backpropagation on the MNIST and CIFAR-10 networks and
on EfficientNet-Lite0 at 224 pixels, on the same images, in one process, one thread. The bare passes are forward and
backward passes of the network on as many images, in the same batches, with nothing around them. The maps are compared
where both libraries compute the same.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType

import torch
from torch import Tensor, nn

from benchmarks._race import Options, Race, backward, race, run
from labkit import data, models
from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.guided_backprop import guided_backprop
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.attribution.saliency import saliency
from labkit.attribution.smoothgrad import smoothgrad

WANTED = {"labkit": {"bare passes": 1.1, "captum": 1}}
BATCH = 25
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
            backward(model, batch, chosen)


def bare_to_layer(model: nn.Sequential, layer: str, images: Tensor, classes: Tensor) -> None:
    """One forward pass, and one backward as far as the layer."""
    after = list(dict(model.named_children())).index(layer) + 1
    with torch.no_grad():
        activations = model[:after](images)
    backward(model[after:], activations, classes)


def contenders(name: str, options: Options) -> dict[str, tuple[Callable, Callable, Callable, bool]]:
    """Method -> ours, captum's, the bare passes, and whether the two maps must be equal."""
    layer, count = CASES[name]
    count, samples, steps = options.size(count, 1), options.size(10, 2), options.size(20, 3)
    model = models.load(name)
    if name == "efficientnet_lite0":
        images = torch.cat([data.photo("chelsea"), data.photo("coffee")])[:count]
        images = images[..., : options.size(224, 64), : options.size(224, 64)]
        classes = torch.tensor([285, 967])[:count]
    else:
        images, classes = data.examples(name, count)

    def captum(method: str, **options: object) -> Callable[[], Tensor]:
        def attribute() -> Tensor:
            attr = captum_attr()
            inputs = images.clone().requires_grad_()
            return getattr(attr, method)(model).attribute(inputs, target=classes, **options).detach()

        return attribute

    def noisy() -> Tensor:
        attr = captum_attr()
        tunnel = attr.NoiseTunnel(attr.Saliency(model))
        options = {"nt_type": "smoothgrad", "nt_samples": samples, "stdevs": 0.15, "abs": False}
        return tunnel.attribute(images, target=classes, nt_samples_batch_size=max(1, BATCH // count), **options)

    def captums_grad_cam() -> Tensor:
        method = captum_attr().LayerGradCam(model, model.get_submodule(layer))
        return method.attribute(images, target=classes, relu_attributions=True)[:, 0].detach()

    return {
        "saliency": (
            lambda: saliency(model, images, classes),
            captum("Saliency", abs=False),
            lambda: bare(model, images, classes),
            True,
        ),
        "SmoothGrad": (
            lambda: smoothgrad(model, images, classes, samples=samples, batch_size=BATCH),
            noisy,
            lambda: bare(model, images, classes, samples),
            False,  # each draws noise of its own
        ),
        "integrated gradients": (
            lambda: integrated_gradients(model, images, classes, steps=steps, batch_size=BATCH),
            captum("IntegratedGradients", n_steps=steps, internal_batch_size=max(BATCH, count)),
            lambda: bare(model, images, classes, steps),
            True,
        ),
        "Grad-CAM": (
            lambda: grad_cam(model, images, classes, layer=layer, resize=False),
            captums_grad_cam,
            lambda: bare_to_layer(model, layer, images, classes),
            True,
        ),
        "guided backpropagation": (
            lambda: guided_backprop(model, images, classes),
            captum("GuidedBackprop"),
            lambda: bare(model, images, classes),
            name != "efficientnet_lite0",  # captum does not guide its ReLU6
        ),
    }


def captum_attr() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of captum's import
        from captum import attr
    return attr


def disagreement(one: Tensor, other: Tensor) -> float:
    """The largest difference within an image, of the middle one of all images.

    In single images rounding decides which of two equal maxima a gradient goes to, or on which side of 0 a unit is.
    """
    return (one - other).abs().flatten(1).amax(1).median().item()


def section(name: str, options: Options) -> Iterator[Race]:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        for method, (ours, theirs, passes, equal) in contenders(name, options).items():
            lanes = {"bare passes": passes, "labkit": ours, "captum": theirs}
            same = ("labkit", "captum") if equal else ()
            title = f"{method}, {name}"
            yield race(title, lanes, options.rounds, equal=same, difference=disagreement, wanted=WANTED)


SECTIONS = {name: partial(section, name) for name in CASES}

if __name__ == "__main__":
    run(__doc__, SECTIONS, rounds=7)
