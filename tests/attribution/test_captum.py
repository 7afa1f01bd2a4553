"""Every map equals captum's.

To 1e-5 of the map's largest magnitude (or of 1, if that is less): gradients reach hundreds of logits per unit, where
float32 has no fifth decimal. Integrated gradients are compared in float64: of hundreds of points some lie so close to a
kink, of a ReLU or a pooling, that rounding decides in which of two directions the gradient points.
"""

import copy
import warnings

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.guided_backprop import guided_backprop
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.attribution.saliency import saliency
from labkit.attribution.smoothgrad import smoothgrad

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of captum's import
    from captum import attr

pytestmark = pytest.mark.slow

# name of the network -> a late layer and an early one
LAYERS = {
    "mnist": ("pool2", "conv1"),
    "mnist-bn": ("pool2", "relu1"),
    "cifar10": ("drop3", "conv4"),
    "efficientnet_lite0": ("bn2", "block3"),
    "vgg16": ("avgpool", "conv4_3"),
    "resnet50": ("layer4", "layer2"),
}
LARGE = {"efficientnet_lite0", "vgg16", "resnet50"}


class Capped(nn.ReLU):
    """ReLU6 as a ReLU, since captum's guided backpropagation guides no other module."""

    def forward(self, images):
        return images.clamp(0, 6)


@pytest.fixture(scope="module", params=list(LAYERS))
def case(request) -> tuple[str, nn.Sequential, torch.Tensor, torch.Tensor]:
    """A network's name, the network, and pictures with their classes."""
    name = request.param
    if name in ("vgg16", "resnet50"):  # untrained: their weights are not to be had everywhere
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return name, getattr(models, name)().eval(), *photos(64)
    if name == "efficientnet_lite0":
        return name, models.load(name), *photos(224)
    return name, models.load(name), *data.examples(name.partition("-")[0], 10)


def photos(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    photos = torch.cat([data.photo("chelsea"), data.photo("coffee")])
    return nn.functional.interpolate(photos, size, mode="area"), torch.tensor([285, 967])


def assert_equal(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    theirs = theirs.detach()
    assert ours.shape == theirs.shape
    assert theirs.abs().max() > 1e-6  # there is something to compare
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max().clamp(min=1)


def test_saliency(case):
    _, model, images, classes = case
    theirs = attr.Saliency(model).attribute(images.clone().requires_grad_(), target=classes, abs=False)
    assert_equal(saliency(model, images, classes), theirs)


def test_integrated_gradients(case):
    name, model, images, classes = case
    images, classes, steps = (images[:1], classes[:1], 4) if name in LARGE else (images[:2], classes[:2], 50)
    model, images = copy.deepcopy(model).double(), images.double()
    options = {"baselines": 0.5, "n_steps": steps, "internal_batch_size": 25}
    theirs = attr.IntegratedGradients(model).attribute(images, target=classes, **options)
    assert_equal(integrated_gradients(model, images, classes, baseline=0.5, steps=steps), theirs)


def test_guided_backprop(case):
    name, model, images, classes = case
    if name == "resnet50":
        pytest.skip("captum allows no ReLU that is used twice, as those of torchvision's blocks are")
    theirs = copy.deepcopy(model)
    for module in list(theirs.modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU6):
                setattr(module, child_name, Capped())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        expected = attr.GuidedBackprop(theirs).attribute(images.clone().requires_grad_(), target=classes)
    assert_equal(guided_backprop(model, images, classes), expected)


def test_grad_cam(case):
    name, model, images, classes = case
    for layer in LAYERS[name]:
        method = attr.LayerGradCam(model, model.get_submodule(layer))
        theirs = method.attribute(images, target=classes, relu_attributions=True)
        assert_equal(grad_cam(model, images, classes, layer=layer, resize=False), theirs[:, 0])
        large = attr.LayerAttribution.interpolate(theirs, tuple(images.shape[2:]), "bilinear")
        assert_equal(grad_cam(model, images, classes, layer=layer), large[:, 0])
    last = LAYERS[name][0]
    assert torch.equal(grad_cam(model, images, classes), grad_cam(model, images, classes, layer=last))


def test_smoothgrad_of_the_same_noise(case):
    """Captum draws its own noise, so it gets ours: its Saliency of the very copies, averaged."""
    _, model, images, classes = case
    rng = torch.Generator().manual_seed(0)
    spread = 0.15 * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    copies = [images + spread * torch.randn(images.shape, generator=rng) for _ in range(3)]
    method = attr.Saliency(model)
    theirs = [method.attribute(noisy.requires_grad_(), target=classes, abs=False) for noisy in copies]
    assert_equal(smoothgrad(model, images, classes, samples=3), sum(theirs) / 3)
