import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from labkit import data, models
from labkit.studies import retraining
from labkit.studies.retraining import measure, other_digits, results

KINDS = ("fooling", "fooling confidence", "ideal", "ideal confidence")
ARMS = ("baseline", "fooling 80", "control", "fooling 1,000", "fooling 5,000")


def test_other_peoples_digits_look_like_digits():
    images, labels = other_digits()
    assert images.shape == (1797, 1, 28, 28)
    assert 0 <= images.min() <= images.max() <= 1
    assert images[:, :, :4].max() == 0
    assert images[:, :, 4:-4, 4:-4].mean() > 0.2
    accuracy = (models.load("mnist")(images).argmax(1) == labels).float().mean()
    assert accuracy > 0.5


def test_what_is_measured_of_a_network():
    images, labels = data.examples("mnist", 200)
    digits = data.ImageSet(images, labels, data.CLASSES["mnist"], "examples")
    network = models.load("mnist")
    figures, found = measure(network, digits, digits)
    assert figures["test_accuracy"] == (network(images).argmax(1) == labels).float().mean().item()
    assert figures["fooled"] == 1
    assert 0 < figures["steps"] < 50
    assert 0.5 < figures["confidence"] <= 1
    assert figures["sure"]["black"] == pytest.approx(network(torch.zeros(1, 1, 28, 28)).softmax(1).amax().item())
    assert figures["ideal"] == 1
    assert 0.5 < figures["fgsm_accuracy"] < 1
    for kind in ("fooling", "ideal"):
        shares = network(found[kind]).softmax(1)
        assert torch.equal(shares.argmax(1), torch.arange(10))
        torch.testing.assert_close(found[f"{kind} confidence"], shares.diagonal(), atol=1e-4, rtol=0)
    again, _ = measure(network, digits, digits)
    assert again == figures


@pytest.mark.slow
def test_a_killed_study_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Two runs of a tiny study, one of them killed after its first line, end with the same figures."""
    script = tmp_path / "study.py"
    script.write_text(
        "import sys, torch; torch.set_num_threads(1)\n"
        "from labkit.studies import retraining\n"
        "retraining.ROUNDS = {'baseline': [], 'fooling 1,000': [10, 10]}\n"
        "retraining.SEARCH |= {'steps': 5}\n"
        "retraining.main(sys.argv[1:])\n"
    )

    def study(name: str) -> tuple[list[str], Path]:
        output = tmp_path / name / "study.json"
        options = ["--images", "600", "--epochs", "1", "--seeds", "1", "--output", str(output)]
        monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / name))
        monkeypatch.setenv("LABKIT_OFFLINE", "1")
        return [sys.executable, "-W", "ignore", str(script), *options], output

    command, whole = study("whole")
    subprocess.run(command, check=True, capture_output=True)
    command, broken = study("broken")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("seed 0"):
                process.kill()
                break
    assert len(json.loads(broken.read_text())["runs"]) == 1
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads(broken.read_text())["runs"] == json.loads(whole.read_text())["runs"]
    assert set(retraining.pictures(broken)) == {
        f"{kind}, {arm}" for kind in KINDS for arm in ("baseline", "fooling 1,000")
    }
    command[-1] = str(whole)
    other = subprocess.run([*command, "--epochs", "2"], capture_output=True, text=True)
    assert other.returncode == 2
    assert "made with other settings" in other.stderr


def test_the_published_study_is_whole():
    found = results()
    assert tuple(found) == ARMS
    card = json.loads(retraining.RESULTS.read_text())
    assert card["command"].startswith("labkit study retraining")
    assert re.fullmatch(r"\d+\.\d+.*", card["versions"]["torch"])
    for arm, figures in found.items():
        assert len(figures["test_accuracy"]) >= 5
        assert all(0.98 < accuracy < 1 for accuracy in figures["test_accuracy"])
        assert all(0 <= share <= 1 for name in ("fooled", "confidence") for share in figures[name])
        differences = figures["versus baseline"]["test_accuracy"]
        wanted = [a - b for a, b in zip(figures["test_accuracy"], found["baseline"]["test_accuracy"], strict=True)]
        assert differences == wanted, arm
    pictures = retraining.pictures()
    assert set(pictures) == {f"{kind}, {arm}" for kind in KINDS for arm in ARMS}
    for name, values in pictures.items():
        assert values.shape == ((10,) if "confidence" in name else (10, 1, 28, 28))
        assert 0 <= values.min() <= values.max() <= 1
