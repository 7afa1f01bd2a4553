import argparse
import shutil

import pytest

from labkit import models
from labkit.studies import sandwich
from labkit.studies.seeds import MEASURED, STUDY, plan, results


@pytest.mark.slow
def test_a_tiny_study_trains_once_for_all_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    wanted = ["--seeds", "1", "--images", "400", "--epochs", "1", "--only", "mnist-bn", "--output"]
    STUDY.main([*wanted, str(tmp_path / "seeds.json")])
    found = results(tmp_path / "seeds.json")["mnist-bn"]
    assert [list(each) for each in found] == [["clean"]]
    assert 0.1 <= found[0]["clean"]["accuracy"] < 0.99
    assert f"mnist-bn, seed 1             clean {found[0]['clean']['accuracy']:.2%}" in capsys.readouterr().out
    [weights] = tmp_path.rglob("mnist-bn.safetensors")
    made = weights.stat().st_mtime_ns
    STUDY.main([*wanted, str(tmp_path / "again.json")])
    assert weights.stat().st_mtime_ns == made
    assert results(tmp_path / "again.json")["mnist-bn"] == found
    shutil.rmtree(weights.parent)
    with pytest.raises(SystemExit):  # a card of another number of epochs
        STUDY.main(["--output", str(tmp_path / "seeds.json")])


@pytest.mark.parametrize("option", ["seeds", "images", "epochs"])
def test_bad_options_are_refused_before_anything_is_trained(option, tmp_path, capsys):
    with pytest.raises(SystemExit):
        STUDY.main([f"--{option}", "0", "--output", str(tmp_path / "seeds.json")])
    assert f"{option} must be a whole number from 1 up, got 0" in capsys.readouterr().err
    assert not (tmp_path / "seeds.json").exists()


def test_everything_was_measured():
    assert list(STUDY.found()) == list(plan(argparse.Namespace(seeds=2, images=None, epochs=None)).parts)
    for network, others in results().items():
        assert [list(found) for found in others] == [list(MEASURED[network])] * 2


def test_other_seeds_come_to_nearly_the_same():
    """The shipped network is not the lucky one: no figure of another seed is a point away from its own."""
    for network, others in results().items():
        shipped = sandwich.results()[network]
        for found in others:
            for kind, figure in found.items():
                assert figure["images"] == shipped[kind]["images"] == 10_000
                assert figure["accuracy"] == pytest.approx(shipped[kind]["accuracy"], abs=0.01), (network, kind)


def test_the_shipped_networks_have_seed_0():
    assert [models.card(network)["seed"] for network in MEASURED] == [0] * len(MEASURED)
