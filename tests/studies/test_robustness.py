import argparse
from functools import partial

import pytest
import torch

from labkit import data, models
from labkit.attacks.pgd import pgd
from labkit.evaluation.robust_accuracy import RobustAccuracy, robust_accuracy
from labkit.studies.robustness import STUDY, auto_attack, plan, results


@pytest.mark.slow
def test_auto_attack_finds_what_pgd_finds_and_leaves_the_global_generator_alone():
    images, labels = data.examples("mnist", 10)
    model, before = models.load("mnist"), torch.get_rng_state()
    found = robust_accuracy(model, images, labels, partial(auto_attack, eps=0.2))
    assert found.accuracy <= robust_accuracy(model, images, labels, partial(pgd, eps=0.2)).accuracy
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_one_measurement(tmp_path, capsys):
    path = tmp_path / "robustness.json"
    STUDY.main(["--output", str(path), "--only", "mnist fgsm 0.25"])
    (found,) = results(path).values()
    shipped = results()["mnist fgsm 0.25"]
    assert {key: found[key] for key in ("images", "attack", "options")} == {
        key: shipped[key] for key in ("images", "attack", "options")
    }
    assert found["accuracy"] == pytest.approx(shipped["accuracy"], abs=0.002)
    assert "mnist fgsm 0.25" in capsys.readouterr().out


# What robustness.json and the README say.


def test_everything_was_measured():
    found, wanted = results(), plan(argparse.Namespace()).parts
    assert list(found) == list(wanted)
    for name, part in wanted.items():
        assert all(found[name][key] == value for key, value in part.settings.items()), name
        counted = RobustAccuracy(found[name]["images"], found[name]["already_wrong"], found[name]["fooled"])
        assert found[name]["accuracy"] == pytest.approx(counted.accuracy, abs=1e-5)
        assert found[name]["interval"] == pytest.approx(counted.interval, abs=1e-5)


def test_the_robust_network_reaches_what_it_should():
    found = results()
    assert found["mnist-robust pgd-100 x 20"]["accuracy"] >= 0.9
    assert 1 - found["mnist-robust fgsm 0.25"]["accuracy"] < 0.179
    assert models.card("mnist-robust")["test_accuracy"] >= 0.99


@pytest.mark.slow
def test_a_measurement_comes_out_again():
    images, labels = data.examples("mnist", 200)
    network = models.load("mnist-robust")
    found = robust_accuracy(network, images, labels, partial(pgd, eps=0.3, steps=40, step_size=0.01))
    low, high = results()["mnist-robust to mnist-robust"]["interval"]
    ends = found.interval
    assert ends[0] <= high
    assert low <= ends[1]
