import argparse

import pytest
import torch

from labkit import data, models
from labkit.attacks.pgd import pgd
from labkit.certification.interval_bounds import interval_bounds
from labkit.evaluation.intervals import wilson_interval
from labkit.studies import sandwich
from labkit.studies._study import Part, Run
from labkit.studies.sandwich import STUDY, plan, results
from labkit.training import predict


def test_one_measurement(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(sandwich, "test_images", lambda kind, count: data.examples(kind, 200))
    path = tmp_path / "sandwich.json"
    STUDY.main(["--output", str(path), "--only", "mnist-certified proved"])
    found = results(path)["mnist-certified"]["proved"]
    images, labels = data.examples("mnist", 200)
    bounds = interval_bounds(models.load("mnist-certified"), images, labels, eps=0.3)
    assert found["count"] == (bounds > 0).all(1).sum()
    assert "mnist-certified proved" in capsys.readouterr().out


@pytest.mark.slow
def test_images_that_are_proved_are_not_attacked_and_a_killed_run_goes_on(tmp_path, monkeypatch):
    """Two attacks in turn: the second sees what the first left; no batch is attacked twice."""
    images, labels = data.examples("mnist", 500)
    network = models.load("mnist-certified")
    proved = (interval_bounds(network, images, labels, eps=0.3) > 0).all(1)
    right = predict(network, images).argmax(1) == labels
    attacked, most = [], 2

    def attack(model, some, classes, **options):
        if len(attacked) == most:
            raise KeyboardInterrupt
        attacked.append(len(some))
        return pgd(model, some, classes, **options)

    settings = {"eps": 0.3, "attacks": [["pgd", {"steps": 5}], ["pgd", {"steps": 20, "seed": 1}]]}
    run = Run("a", Part(settings), {}, argparse.Namespace(), tmp_path / "a.json", tmp_path)
    monkeypatch.setattr(sandwich, "BATCH", {"cpu": 2, "cuda": 2})
    monkeypatch.setitem(sandwich.ATTACKS, "pgd", attack)
    with pytest.raises(KeyboardInterrupt):
        sandwich._left(run, network, images, labels, right, proved, settings)
    assert len(attacked) == 2
    most = 1_000
    left = sandwich._left(run, network, images, labels, right, proved, settings)
    first = pgd(network, images, labels, eps=0.3, steps=5)
    open_at_first = int((right & ~proved).sum())
    open_then = int((right & ~proved & (predict(network, first).argmax(1) == labels)).sum())
    assert sum(attacked) == pytest.approx(open_at_first + open_then, abs=2)  # each batch starts from its own noise
    assert left[proved].all()
    assert not left[~right].any()
    assert int(left.sum()) <= int(proved.sum()) + open_then


@pytest.mark.slow
def test_no_attack_fools_an_image_that_is_proved():
    images, labels = data.examples("mnist", 200)
    network = models.load("mnist-certified")
    proved = (interval_bounds(network, images, labels, eps=0.3) > 0).all(1)
    assert proved.float().mean() > 0.85
    found = pgd(network, images[proved], labels[proved], eps=0.3, steps=20)
    assert (predict(network, found).argmax(1) == labels[proved]).all()


# What sandwich.json and the README say.


def test_everything_was_measured():
    found, wanted = STUDY.found(), plan(argparse.Namespace()).parts
    assert list(found) == list(wanted)
    for each in found.values():
        assert each["accuracy"] == pytest.approx(each["count"] / each["images"], abs=1e-5)
        low, high = wilson_interval(torch.tensor(each["count"]), torch.tensor(each["images"]))
        assert each["interval"] == pytest.approx([low.item(), high.item()], abs=1e-5)


def test_every_shipped_network_was_measured():
    assert list(results()) == list(models.SHIPPED)


def test_proved_is_at_most_attacked_is_at_most_clean():
    for network, found in results().items():
        assert found["proved"]["accuracy"] <= found["autoattack"]["interval"][1], network
        assert found["autoattack"]["accuracy"] <= found["pgd"]["interval"][1], network
        assert found["pgd"]["accuracy"] <= found["clean"]["accuracy"], network
        assert found["clean"]["accuracy"] == pytest.approx(models.card(network)["test_accuracy"], abs=2e-4)


def test_the_robust_network_of_photographs_withstands_what_the_ordinary_one_does_not():
    if "cifar10-robust" not in models.SHIPPED:
        pytest.skip("no weights of cifar10-robust come with labkit yet")
    robust, ordinary = (results()[network]["autoattack"] for network in ("cifar10-robust", "cifar10"))
    assert robust["eps"] == ordinary["eps"] == 8 / 255
    assert robust["images"] >= 2_000
    assert ordinary["interval"][1] < 0.01
    assert robust["accuracy"] >= 0.36


def test_the_network_trained_with_attacks_and_bounds_reaches_what_it_should():
    """Nine of ten digits, under AutoAttack with its authors' settings."""
    found = results()["mnist-robust-best"]
    assert (found["autoattack"]["images"], found["autoattack"]["attacks"]) == (10_000, [["auto", {"steps": 100}]])
    assert found["autoattack"]["interval"][0] > 0.90
    assert found["proved"]["accuracy"] >= 0.88
    assert found["clean"]["accuracy"] >= 0.975


def test_the_certified_network_reaches_what_it_should():
    found = results()["mnist-certified"]
    assert found["proved"]["accuracy"] >= 0.88
    assert found["clean"]["accuracy"] >= 0.97
