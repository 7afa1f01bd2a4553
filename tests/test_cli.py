"""`labkit COMMAND`, called as a user would call it, on small networks and on pictures of ours."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from labkit import data, models
from labkit.cli import COMMANDS, METHODS, main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def ship(tmp_path):
    """A photograph file of a ship, larger than the network's images and not square."""
    images, classes = data.examples("cifar10", 9)
    assert data.CLASSES["cifar10"][int(classes[8])] == "ship"
    pixels = (images[8].movedim(0, -1).numpy() * 255).astype(np.uint8)
    path = tmp_path / "ship.png"
    Image.fromarray(pixels).resize((320, 320)).save(path)
    return path


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = "import sys; from labkit.cli import main; main([]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    try:
        code = main([command, "--help"])
    except SystemExit as end:
        code = end.code
    assert code == 0
    assert "labkit" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_explain_shows_where_the_network_looks(method, ship, tmp_path, capsys):
    figure = tmp_path / "maps" / "map.png"
    assert main(["explain", str(ship), "--network", "cifar10", "--method", method, "-o", str(figure)]) == 0
    assert f"{method} for 'ship'" in capsys.readouterr().out
    with Image.open(figure) as drawn:
        assert drawn.width > 300


def test_explain_another_class_by_name_or_number(ship, tmp_path, capsys):
    for wanted in ("Truck", "9"):
        words = ["explain", str(ship), "--network", "cifar10", "--method", "saliency", "--class", wanted]
        assert main([*words, "-o", str(tmp_path / "map.png")]) == 0
        assert "saliency for 'truck'" in capsys.readouterr().out


@pytest.mark.slow
def test_attack_writes_a_picture_that_is_seen_as_the_wanted_class(ship, tmp_path, capsys):
    attacked, figure = tmp_path / "attacked.png", tmp_path / "figure.png"
    words = ["attack", str(ship), "--network", "cifar10", "--to", "truck", "--eps", "8"]
    assert main([*words, "-o", str(attacked), "--figure", str(figure)]) == 0
    before, after = data.picture(ship, image_shape=(3, 32, 32)), data.picture(attacked, image_shape=(3, 32, 32))
    assert (after - before).abs().max() <= 8.5 / 255  # the file keeps whole numbers of 255
    with torch.inference_mode():
        logits = models.load("cifar10")(torch.cat([before, after]))
    assert [data.CLASSES["cifar10"][index] for index in logits.argmax(1).tolist()] == ["ship", "truck"]
    assert figure.stat().st_size > 10_000
    assert "after" in capsys.readouterr().out


@pytest.mark.parametrize("eps", [0.6, 2.5])
def test_the_picture_keeps_to_the_bound_that_is_printed(eps, ship, tmp_path, capsys):
    attacked = tmp_path / "attacked.PNG"
    words = ["attack", str(ship), "--network", "cifar10", "--eps", str(eps), "--steps", "2"]
    main([*words, "-o", str(attacked)])
    assert f"no pixel changed by more than {eps} of 255" in capsys.readouterr().out
    before, after = data.picture(ship, image_shape=(3, 32, 32)), data.picture(attacked, image_shape=(3, 32, 32))
    assert round(float(255 * (after - before).abs().max())) == int(eps)


def test_an_attack_that_fails_says_so_and_ends_with_1(ship, tmp_path, capsys):
    words = ["attack", str(ship), "--network", "cifar10", "--to", "frog", "--eps", "0.1", "--steps", "1"]
    assert main([*words, "-o", str(tmp_path / "attacked.png")]) == 1
    assert "still sees 'ship'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["explain", "nowhere.jpg"], "there is no file nowhere.jpg"),
        (["explain", str(Path(__file__))], "is not an image that can be read"),
        (["explain", "SHIP", "--network", "alexnet"], "unknown network 'alexnet'"),
        (["explain", "SHIP", "--network", "cifar10", "--class", "sh"], "unknown class 'sh': did you mean ship?"),
        (["attack", "SHIP", "--network", "cifar10", "--to", "10"], "a number from 0 to 9"),
        (["attack", "SHIP", "--network", "cifar10", "--eps", "-1"], "eps"),
        (["attack", "SHIP", "--network", "cifar10", "--eps", "inf"], "eps"),
        (["attack", "SHIP", "--network", "cifar10", "--steps", "0"], "steps"),
        (["attack", "SHIP", "--network", "cifar10", "-o", "a.jpg"], "--output must end in .png, the format"),
    ],
)
def test_mistakes_are_one_sentence(words, message, ship, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([str(ship) if word == "SHIP" else word for word in words]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"labkit {words[0]}: ")
    assert message in said


@pytest.mark.parametrize("option", ["--seed", "--images", "--epochs"])
def test_another_training_does_not_replace_the_shipped_weights(option, capsys):
    assert main(["train", "mnist", option, "1"]) == 1
    assert f"with {option} this is another network" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"labkit {version('labkit')}\n"


def test_a_wrong_command_or_study_lists_the_right_ones(capsys):
    for words, known in ((["explode"], "explain"), (["study", "nothing"], "robustness")):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2
        assert known in capsys.readouterr().err


def test_pictures_are_turned_upright_squared_and_laid_on_white(tmp_path):
    wide = np.zeros((40, 60, 3), np.uint8)
    wide[:, :30, 0] = 255  # red on the left
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: left is up
    Image.fromarray(wide).save(tmp_path / "wide.jpg", exif=turned, quality=95)
    found = data.picture(tmp_path / "wide.jpg", image_shape=(3, 20, 20))[0]
    assert found[0, :8].mean() > 0.9
    assert found[0, 12:].mean() < 0.1
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert data.picture(tmp_path / "clear.png", image_shape=(1, 28, 28)).min() == 1
    Image.new("L", (1000, 3), 128).save(tmp_path / "strip.png")
    assert data.picture(tmp_path / "strip.png").shape == (1, 3, 224, 224)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        data.picture(tmp_path / "strip.png", image_shape=(4, 8, 8))
