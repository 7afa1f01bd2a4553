"""`labkit report`: networks and images from the command line."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from urllib.error import URLError

import pytest
import torch
from PIL import Image

from labkit.cli import main
from tests.report.conftest import small

MINE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()

def training():
    return network().train()

def words():
    return "none"
"""

STOPS = """
import signal
from pathlib import Path

class Stops(nn.Module):
    def __init__(self):
        super().__init__()
        self.network, self.passes = network(), 0

    def forward(self, images):
        self.passes += 1
        if self.passes == 200 and Path("stop").exists():
            signal.raise_signal(signal.SIGINT)
        return self.network(images)

def stops():
    return Stops().eval()
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    for label, color in (("red", (200, 30, 30)), ("green", (30, 200, 30))):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (20, 16), color).save(tmp_path / "photos" / label / f"{label}{index}.png")
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    return tmp_path


PLAIN = ["--mean", "0", "--std", "1"]


def test_a_function_of_ones_own_and_folders_as_labels(folder, capsys):
    command = ["report", "mine.py:network", "photos", *PLAIN, "--labels", "folders", "--classes", "names.txt"]
    assert main([*command, "-o", "out.html"]) == 0
    printed = capsys.readouterr().out
    assert "of 4 images correctly" in printed
    page = (folder / "out.html").read_text("utf-8")
    assert "mine.py:network under the microscope" in page
    assert "red0.png" in page
    assert not list((folder / "cache").rglob("*.safetensors"))  # nothing is kept of what is complete


def test_labels_from_a_file(folder, capsys):
    lines = [f"{label}{index}.png,{label}" for label in ("red", "green") for index in range(2)]
    (folder / "labels.csv").write_text("\n".join(lines))
    command = ["report", "mine.py:network", "photos", *PLAIN, "--labels", "labels.csv", "--classes", "names.txt"]
    assert main([*command, "--methods", "saliency"]) == 0
    assert "of 4 images correctly" in capsys.readouterr().out
    assert (folder / "report.html").exists()


def test_where_nobody_knows_the_normalisation_both_predictions_are_printed_and_it_asks(folder, capsys):
    assert main(["report", "mine.py:network", "photos"]) == 1
    printed = capsys.readouterr()
    assert "1) with --mean 0 --std 1: class " in printed.out
    assert "2) with --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225: class " in printed.out
    assert "say how mine.py:network wants its pixels" in printed.err
    assert not (folder / "report.html").exists()


def test_a_program_that_was_exported(folder):
    images = torch.zeros(2, 3, 16, 16)
    program = torch.export.export(small(), (images,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, folder / "net.pt2")
    assert main(["report", "net.pt2", "photos", *PLAIN, "--methods", "saliency"]) == 0
    assert "net.pt2 under the microscope" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["nonsense", "photos"], "unknown network 'nonsense': give a shipped name (mnist,"),
        (["mine.py:nothing", "photos"], "mine.py has no function 'nothing'; it defines network, training, words"),
        (["mine.py:words", "photos"], "must return a torch.nn.Module, got str"),
        (["mine.py:training", "photos", *PLAIN], "the model must be in eval mode"),
        (["other.py:network", "photos"], "there is no file other.py"),
        (["net.pt2", "photos"], "there is no file net.pt2"),
        (["torchvision:resnet19", "photos"], "torchvision has no classifier 'resnet19'; did you mean resnet18"),
        (["timm:vit_tinny", "photos"], "timm has no network 'vit_tinny'"),
        (["mnist", "photos", "--untrained"], "--untrained is for torchvision:NAME and timm:NAME"),
        (["mnist", "photos", *PLAIN], "mnist normalises its images itself: leave out --mean and --std"),
        (["mine.py:network", "photos", "--mean", "0"], "--mean and --std go together"),
        (["mine.py:network", "nowhere"], "there is no file or folder nowhere, and no sample of that name"),
        (["mine.py:network", "empty"], "there is no image in the folder empty"),
        (["mine.py:network", "mine.py", *PLAIN], "mine.py is not an image that can be read"),
        (["mine.py:network", "photos", *PLAIN, "--classes", "two.txt"], "the network has 3 classes, got 2 names"),
        (["mine.py:network", "photos", "--labels", "folders", "--classes", "two.txt"], "unknown class 'green'"),
        (["mine.py:network", "photos", "--labels", "folders"], "unknown class 'green': give the names"),
        (["mine.py:network", "photos", "--labels", "two.txt"], "two.txt has no line 'green0.png,CLASS'"),
        (["mine.py:network", "photos", "large.png", *PLAIN], "the images have several sizes (20 x 16, 40 x 30)"),
    ],
)
def test_mistakes_end_with_one_sentence(folder, capsys, command, words):
    (folder / "empty").mkdir()
    (folder / "two.txt").write_text("red\nblue\n")
    Image.new("RGB", (40, 30)).save(folder / "large.png")
    assert main(["report", *command]) == 1
    error = capsys.readouterr().err.strip()
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (folder / "report.html").exists()


def test_a_budget_that_is_too_short_says_how_to_go_on(folder, capsys):
    command = ["report", "mine.py:network", "photos", *PLAIN]
    assert main([*command, "--budget", "0.001s"]) == 0
    printed = capsys.readouterr().out
    assert "go on with: labkit report mine.py:network photos --mean 0 --std 1" in printed
    assert "The budget was spent" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--budget", "soon"),
        ("--budget", "0s"),
        ("--size", "big"),
        ("--size", "0"),
        ("--size", "224x00"),
        ("--methods", "lime"),
    ],
)
def test_options_that_make_no_sense_are_refused(folder, capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        main(["report", "mine.py:network", "photos", option, value])
    assert ended.value.code == 2
    assert value in capsys.readouterr().err


def test_stopped_by_ctrl_c_it_says_how_to_go_on_and_does(folder, capsys):
    (folder / "stops.py").write_text(MINE + STOPS)
    command = ["report", "stops.py:stops", "photos", *PLAIN, "--methods", "saliency"]
    (folder / "stop").touch()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest's processes ignore it
    assert main(command) == 130
    signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith("labkit report: stopped; the same command goes on from where it was\n")
    assert not (folder / "report.html").exists()
    assert list((folder / "cache").rglob("*.safetensors"))  # what it had done
    (folder / "stop").unlink()
    assert main(command) == 0


def test_it_goes_on_with_what_is_answered(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _words: "1")
    assert main(["report", "mine.py:network", "photos", "--methods", "saliency"]) == 0
    assert "1) with --mean 0 --std 1" in capsys.readouterr().out
    assert (folder / "report.html").exists()


def test_in_a_terminal_a_bar_shows_the_time_that_remains_and_leaves_a_clean_line(folder):
    pty = pytest.importorskip("pty")  # Windows has none
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "labkit.cli", "report", "mine.py:network", "photos", *PLAIN]
    streams = {"stdin": subprocess.DEVNULL, "stdout": follower, "stderr": follower}
    with subprocess.Popen([*command, "--methods", "saliency"], cwd=folder, **streams) as process:
        os.close(follower)
        seen = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while some := os.read(leader, 4096):
                seen += some
    os.close(leader)
    assert process.returncode == 0, seen
    bars, *lines = seen.decode().removesuffix("\r\n").split("\r\n")
    assert re.search(r"^\rreport: +0%.*\[00:00<", bars)
    assert re.search(r"\rreport: 100%.*\[[\d:]+<00:00, +[\d.]+ ?passes/s\] *$", bars)
    assert lines[-1].startswith("report.html  ")
    assert not any("\r" in line or "passes/s" in line for line in lines)


def unreachable(*_arguments, **_options):
    raise URLError("no network here")


def test_weights_that_cannot_be_downloaded_are_named_with_what_to_do(folder, monkeypatch, capsys):
    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(folder / "hub"))
    assert main(["report", "torchvision:resnet18", "photos"]) == 1
    error = capsys.readouterr().err
    assert "cannot download https://download.pytorch.org/models/resnet18" in error
    assert str(folder / "hub") in error
    assert "take random weights with --untrained" in error


def test_neither_can_those_of_a_hub_and_nobody_waits_for_them(folder, monkeypatch, capsys):
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    assert main(["report", "timm:vit_tiny_patch16_224", "photos"]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cannot get the weights of timm:vit_tiny_patch16_224" in error
    assert "take random weights with --untrained" in error
