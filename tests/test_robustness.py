import json
from functools import partial

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.fgsm import fgsm
from labkit.attacks.pgd import pgd
from labkit.robustness import Robustness, auto_attack, main, measurements, results, robustness


def test_counts_what_was_wrong_before_apart_from_what_was_fooled():
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2)).eval()  # says 1 above 0.5, else 0
    model[1].weight.data, model[1].bias.data = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.5, -0.5])
    images, labels = torch.tensor([0.1, 0.45, 0.55, 0.9]).view(4, 1, 1, 1), torch.tensor([0, 0, 1, 0])
    found = robustness(model, images, labels, partial(fgsm, eps=0.1), batch_size=2)
    assert found == Robustness(images=4, already_wrong=1, fooled=2)
    assert found.accuracy == 0.25
    low, high = found.interval
    assert low == pytest.approx(0.0456, abs=1e-4)  # Wilson's interval for 1 of 4
    assert high == pytest.approx(0.6994, abs=1e-4)


def test_images_made_on_one_network_are_shown_to_another():
    images, labels = data.examples("mnist", 40)
    one, other = models.load("mnist"), models.load("mnist-robust")
    attack = partial(pgd, eps=0.2, steps=10)
    itself, moved = robustness(one, images, labels, attack), robustness(other, images, labels, attack, source=one)
    assert itself.accuracy < 0.2
    assert moved.accuracy > 0.9


def test_an_attack_that_leaves_the_box_is_refused():
    images, labels = data.examples("mnist", 2)
    with pytest.raises(ValueError, match="pixels must lie in"):
        robustness(models.load("mnist"), images, labels, lambda model, images, labels: images + 1)
    with pytest.raises(ValueError, match="the attack must return images"):
        robustness(models.load("mnist"), images, labels, lambda model, images, labels: images[:, :, 1:])


@pytest.mark.slow
def test_auto_attack_finds_what_pgd_finds_and_leaves_the_global_generator_alone():
    images, labels = data.examples("mnist", 10)
    model, before = models.load("mnist"), torch.get_rng_state()
    found = robustness(model, images, labels, partial(auto_attack, eps=0.2))
    assert found.accuracy <= robustness(model, images, labels, partial(pgd, eps=0.2)).accuracy
    assert torch.equal(before, torch.get_rng_state())


def test_a_run_that_was_killed_goes_on_and_measures_nothing_twice(tmp_path, capsys):
    path = tmp_path / "robustness.json"
    main(["--output", str(path), "--only", "cifar10 fgsm 8/255"])
    first = json.loads(path.read_text())
    assert list(first["measurements"]) == ["cifar10 fgsm 8/255"]
    main(["--output", str(path), "--only", "cifar10 fgsm 8/255"])
    assert json.loads(path.read_text()) == first  # seconds and all
    first["weights"]["cifar10"] = "other weights"
    path.write_text(json.dumps(first))
    main(["--output", str(path), "--only", "nothing is called so"])
    assert json.loads(path.read_text()) == first  # nothing was measured, nothing was written
    assert capsys.readouterr().out.count("cifar10 fgsm 8/255") == 2


# What robustness.json and the README say.


def test_everything_was_measured_on_the_shipped_weights():
    found = results()
    assert set(found) == set(measurements())
    for name, settings in measurements().items():
        assert all(found[name][key] == value for key, value in settings.items()), name
        counted = Robustness(found[name]["images"], found[name]["already_wrong"], found[name]["fooled"])
        assert found[name]["accuracy"] == pytest.approx(counted.accuracy, abs=1e-5)
        assert found[name]["interval"] == pytest.approx(counted.interval, abs=1e-5)
    from labkit.robustness import RESULTS

    for name, digest in json.loads(RESULTS.read_text())["weights"].items():
        assert digest == models.card(name)["sha256"]


def test_the_robust_network_reaches_what_it_should():
    found = results()
    assert found["mnist-robust pgd-100 x 20"]["accuracy"] >= 0.9
    assert 1 - found["mnist-robust fgsm 0.25"]["accuracy"] < 0.179
    assert models.card("mnist-robust")["test_accuracy"] >= 0.99


def test_a_measurement_comes_out_again():
    images, labels = data.examples("mnist", 200)
    network = models.load("mnist-robust")
    found = robustness(network, images, labels, partial(pgd, eps=0.3, steps=40, step_size=0.01))
    low, high = results()["mnist-robust to mnist-robust"]["interval"]
    ends = found.interval
    assert ends[0] <= high
    assert low <= ends[1]
