import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit import data, models, recipes, scratch
from labkit.files import read_json, sha256


def start(command: list[str], **kwargs) -> subprocess.Popen:
    """A process of its own, on the bundled sample."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LABKIT_OFFLINE": "1"}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


def train(name: str, folder: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "labkit.recipes", name, "--images", "300", "--epochs", "2"]
    return start([*command, "--folder", str(folder), *options], cwd=folder.parent)


def finish(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """What a run of one process that nobody disturbs has written."""
    folder = tmp_path_factory.mktemp("trained") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_CACHE", str(folder.parent / "cache"))
        assert "2 epochs" in finish(train("mnist", folder))
    return folder


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(whole, tmp_path):
    name, killed = "mnist", tmp_path / "killed"
    process, checkpoint = train(name, killed), killed / f"{name}.checkpoint"
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / f"{name}.safetensors").exists()

    assert "2 epochs" in finish(train(name, killed))
    for folder in (killed, whole):
        assert sorted(path.name for path in folder.iterdir()) == [f"{name}.json", f"{name}.safetensors"]

    cards = [read_json(folder / f"{name}.json") for folder in (killed, whole)]
    for card, folder in zip(cards, (killed, whole), strict=True):
        assert card["sha256"] == sha256(folder / f"{name}.safetensors")
        assert card["bytes"] == (folder / f"{name}.safetensors").stat().st_size
        assert {len(values) for values in card["history"].values()} == {2}
        assert card["command"] == f"labkit train {name} --images 300 --epochs 2"  # and no path of this machine
        del card["history"]["seconds"]
    assert cards[0] == cards[1]
    assert models.load(name, folder=killed)(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


def test_the_network_in_numpy_comes_with_a_card_of_the_same_kind(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_OFFLINE", "1")
    monkeypatch.setattr(recipes, "_sets", lambda name, images: (few := data.sample(name).subset(slice(images)), few))
    card = recipes.train_shipped("cifar10-scratch", tmp_path, images=50, epochs=1)
    assert read_json(tmp_path / "cifar10-scratch.json") == card == scratch.card(tmp_path)
    assert list(card) == list(models.card("mnist")) == list(scratch.card())
    assert card["command"] == "labkit train cifar10-scratch --images 50 --epochs 1"
    network = scratch.load(tmp_path)
    assert network.forward(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 10)
    path = tmp_path / "cifar10-scratch.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated or altered"):
        scratch.load(tmp_path)


@pytest.mark.slow
def test_two_processes_train_as_one(whole, tmp_path):
    """Fabric splits each batch in two and averages the gradients: the same weights up to rounding."""
    two = tmp_path / "two"
    fabric, script = str(Path(sys.executable).parent / "fabric"), str(Path(recipes.__file__))
    arguments = ["mnist", "--images", "300", "--epochs", "2", "--folder", str(two)]
    command = [fabric, "run", "--accelerator", "cpu", "--strategy", "ddp", "--devices", "2", script, *arguments]
    finish(start(command, cwd=tmp_path))
    cards = [read_json(folder / "mnist.json") for folder in (whole, two)]
    assert [card["machine"][0] for card in cards] == ["1", "2"]
    losses = [card["history"]["train_loss"] for card in cards]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    first, second = (weights(models.load("mnist", folder=folder)) for folder in (whole, two))
    assert (first - second).norm() < 1e-3 * first.norm()


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


def test_whatever_has_a_recipe_can_be_loaded():
    assert set(models.TRAINED) == set(recipes.RECIPES)
    for name, recipe in recipes.RECIPES.items():
        assert getattr(recipe.build, "func", recipe.build) is models.TRAINED[name]


def test_every_shipped_network_has_a_recipe_and_a_card_that_names_its_command():
    for name in [*models.SHIPPED, recipes.SCRATCH]:
        card = scratch.card() if name == recipes.SCRATCH else models.card(name)
        assert card["command"].split()[:3] == ["labkit", "train", name]
        if name in recipes.RECIPES:
            recipe = recipes.RECIPES[name]
            assert {key: card["recipe"][key] for key in recipe.options} == recipe.options
            assert card["recipe"]["data"] == recipe.data


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"unknown network 'vgg'; networks with a recipe: mnist, .*, cifar10-scratch"):
        recipes.train_shipped("vgg", tmp_path)


@pytest.mark.parametrize("name", ["mnist", recipes.SCRATCH])
@pytest.mark.parametrize(("option", "value"), [("images", -5), ("images", 0), ("epochs", 0)])
def test_counts_below_1_are_refused(tmp_path, name, option, value):
    with pytest.raises(ValueError, match=f"{option} must be a whole number from 1 up, got {value}"):
        recipes.train_shipped(name, tmp_path, **{option: value})
