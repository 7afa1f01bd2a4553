import pytest
import torch

from labkit import data, models
from labkit.studies import retraining
from labkit.studies.retraining import STUDY, describe, other_digits, pictures, results

KINDS = ("fooling", "fooling confidence", "ideal", "ideal confidence")
ARMS = ("baseline", "fooling 80", "control", "fooling 1,000", "fooling 5,000")


@pytest.mark.slow
def test_other_peoples_digits_look_like_digits():
    images, labels = other_digits()
    assert images.shape == (1797, 1, 28, 28)
    assert 0 <= images.min() <= images.max() <= 1
    assert images[:, :, :4].max() == 0
    assert images[:, :, 4:-4, 4:-4].mean() > 0.2
    accuracy = (models.load("mnist")(images).argmax(1) == labels).float().mean()
    assert accuracy > 0.5


@pytest.mark.slow
def test_what_is_measured_of_a_network():
    images, labels = data.examples("mnist", 200)
    digits = data.ImageSet(images, labels, data.CLASSES["mnist"], "examples")
    network = models.load("mnist")
    figures, found = describe(network, digits, digits)
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
    again, _ = describe(network, digits, digits)
    assert again == figures


@pytest.mark.slow
def test_a_tiny_study(tmp_path, monkeypatch):
    """One arm of two rounds: every network and every set of images is kept on the way, and nothing is made twice."""
    monkeypatch.setattr(retraining, "ROUNDS", {"fooling 1,000": [10, 10]})
    monkeypatch.setattr(retraining, "SEARCH", retraining.SEARCH | {"steps": 3})
    monkeypatch.setattr(retraining, "ANOTHER_SEARCH", retraining.ANOTHER_SEARCH | {"steps": 3})
    monkeypatch.setattr(retraining, "TRAINING_STEPS", 3)
    monkeypatch.setattr(retraining, "REFERENCE", 10)
    few = data.sample("mnist", "train").subset(slice(600)), data.sample("mnist").subset(slice(200))
    monkeypatch.setattr(retraining, "_sets", lambda images: few)
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "retraining.json"
    options = ["--images", "600", "--epochs", "1", "--seeds", "1", "--output", str(path)]
    STUDY.main(options)
    card = STUDY.card(path)
    assert card["command"] == "labkit study retraining --seeds 1 --images 600 --epochs 1"
    assert set(pictures(path)) == {f"{kind}, fooling 1,000" for kind in KINDS}
    kept = sorted(file.stem for file in tmp_path.glob("cache/studies/retraining/*/*"))
    rounds = ["fooling 1,000 round 1 0", "fooling 1,000 round 2 0"]
    assert kept == ["baseline 0", *rounds, "found fooling 1,000 0 1", "found fooling 1,000 0 2"]
    path.unlink()
    monkeypatch.setattr(retraining, "fit", None)  # what is kept is not trained again
    STUDY.main(options)
    assert STUDY.found(path) == {name: part["found"] for name, part in card["parts"].items()}


def test_the_published_study_is_whole():
    found = results()
    assert tuple(found) == ARMS
    for arm, figures in found.items():
        assert len(figures["test_accuracy"]) >= 5
        assert all(0.98 < accuracy < 1 for accuracy in figures["test_accuracy"])
        assert all(0 <= share <= 1 for name in ("fooled", "confidence") for share in figures[name])
        differences = figures["versus baseline"]["test_accuracy"]
        wanted = [a - b for a, b in zip(figures["test_accuracy"], found["baseline"]["test_accuracy"], strict=True)]
        assert differences == wanted, arm
    shown = pictures()
    assert set(shown) == {f"{kind}, {arm}" for kind in KINDS for arm in ARMS}
    for name, values in shown.items():
        assert values.shape == ((10,) if "confidence" in name else (10, 1, 28, 28))
        assert 0 <= values.min() <= values.max() <= 1
