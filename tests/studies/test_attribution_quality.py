import pytest
import torch

from labkit import data
from labkit.studies import attribution_quality
from labkit.studies.attribution_quality import AT_ONCE, STUDY, areas, methods, results


@pytest.mark.parametrize("title", methods("mnist"))
def test_the_committed_areas_can_be_measured_again(title):
    card, written = STUDY.card(), results()["mnist"][title]
    images, classes = data.examples("mnist", AT_ONCE)
    for test, found in areas("mnist", title, images, classes, steps=card["settings"]["steps"]).items():
        assert len(written[test]) == card["settings"]["images"] == 200
        difference = (found - torch.tensor(written[test][:AT_ONCE])).abs()
        assert difference.max() < 0.02, test
        assert difference.mean() < 0.002, test


def test_both_data_sets_were_measured_with_every_method():
    assert {name: list(found) for name, found in results().items()} == {
        name: list(methods(name)) for name in ("mnist", "cifar10")
    }


def test_a_small_run(tmp_path, monkeypatch):
    monkeypatch.setattr(attribution_quality, "FILLS", {"mnist": 0.0})
    path = tmp_path / "areas.json"
    STUDY.main(["--images", "2", "--steps", "2", "--output", str(path)])
    assert STUDY.card(path)["command"].endswith("--images 2 --steps 2")
    found = results(path)
    assert list(found) == ["mnist"]
    assert [len(each) for both in found["mnist"].values() for each in both.values()] == [2] * 20
