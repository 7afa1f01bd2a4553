"""Other people's networks: those of torchvision and timm, with random weights, and what the page says of each."""

import gc
import statistics
import sys

import pytest
import torch
from torch import nn

from labkit.report.measuring import measure_all
from labkit.report.networks import inner, load_network
from labkit.report.parts import attribution, fooling, network, units
from labkit.report.sections import Section
from labkit.report.subject import subject_of
from tests.report.conftest import small

SIDE = 64
NO_RELU = "guided backpropagation does not apply"
# Name -> what the page says that it cannot do, the beginning of each sentence.
NETWORKS = {
    "torchvision:resnet18": [],
    "torchvision:densenet121": [],
    "torchvision:googlenet": [f"guided backpropagation: {NO_RELU}"],
    "torchvision:mobilenet_v3_small": [],
    "torchvision:vgg11": [],
    "torchvision:convnext_tiny": [f"guided backpropagation: {NO_RELU}"],
    "timm:efficientnet_lite0": [],
    "timm:vit_tiny_patch16_224": [
        "Grad-CAM: Grad-CAM does not apply: from 'patch_embed.proj' on, the network is a grid of tokens",
        f"guided backpropagation: {NO_RELU}",
    ],
}


def under(model, side, **options):
    images = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    settings = {
        "methods": ("saliency", "grad_cam", "guided_backprop"),
        "examples": 1,
        "batch_size": 3,
        "seed": 0,
        "layer": None,
    }
    fixed = {"name": "it", "classes": (), "files": ()}
    return subject_of(model, images, torch.tensor([0, 1, 2]), **fixed, **(settings | options))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_torchvision_and_timm(name):
    loaded = load_network(name, untrained=True)
    normalize, _ = inner(loaded.model)
    assert normalize is not None
    assert loaded.image_shape == (3, 224, 224)
    side = 224 if "vit" in name else SIDE
    subject = under(loaded.model, side)
    tasks = [task for part in (attribution, units) for task in part.tasks(subject)]
    tasks = [task for task in tasks if task.name.startswith(("attribution", "units-top"))]
    found = measure_all(subject, tasks)[0]
    problems = attribution.PART.section(subject, found).problems
    assert [problem.startswith(start) for problem, start in zip(problems, NETWORKS[name], strict=True)] == [
        True for _ in NETWORKS[name]
    ], problems
    table = network.PART.section(subject, found)
    assert f"{sum(each.numel() for each in loaded.model.parameters()):,} parameters" in table.statements[0].words
    section = Section("units", "What it looks for")
    units.PART.show(section, subject, found)
    assert "vit" not in name or "units to look into" in section.problems[0]
    del loaded, subject
    gc.collect()


@pytest.mark.slow
def test_21_000_classes_are_no_more_work_for_the_page():
    model = small(classes=21_000)
    subject = under(model, 16, methods=("occlusion", "saliency"))
    assert len(subject.classes) == 21_000
    tasks = [*attribution.tasks(subject), *fooling.tasks(subject)]
    found = measure_all(subject, tasks)[0]
    assert attribution.PART.section(subject, found).problems == []


def test_layers_of_a_wrapped_network_are_named_as_the_network_names_them():
    loaded = load_network("torchvision:mobilenet_v3_small", untrained=True)
    assert under(loaded.model, SIDE, layer="features.3").layer == "network.features.3"
    with pytest.raises(ValueError, match="unknown layer"):
        under(loaded.model, SIDE, layer="features.99")


def test_random_weights_are_the_same_each_time():
    first, second = (load_network("torchvision:mobilenet_v3_small", untrained=True).model for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not any(isinstance(each, nn.Dropout) and each.training for each in first.modules())


def test_a_file_that_cannot_be_imported_leaves_the_module_of_its_name(tmp_path):
    path = tmp_path / "statistics.py"
    path.write_text("half = True\nraise ImportError('not to the end')")
    with pytest.raises(ImportError, match="not to the end"):
        load_network(f"{path}:network")
    assert sys.modules["statistics"] is statistics
    path.rename(tmp_path / "nobody_has_this_name.py")
    with pytest.raises(ImportError, match="not to the end"):
        load_network(f"{tmp_path / 'nobody_has_this_name.py'}:network")
    assert "nobody_has_this_name" not in sys.modules
