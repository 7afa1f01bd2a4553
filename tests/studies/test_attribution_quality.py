import json

import torch

from labkit import data
from labkit.studies import attribution_quality
from labkit.studies.attribution_quality import AT_ONCE, RESULTS, measure


def test_the_committed_table_can_be_measured_again():
    card = json.loads(RESULTS.read_text())
    images, classes = data.examples("mnist", AT_ONCE)
    found = measure("mnist", images, classes, steps=card["steps"])
    assert set(found) == set(card["areas"]["mnist"]) == set(card["areas"]["cifar10"])
    for title, both in found.items():
        for test, areas in both.items():
            written = torch.tensor(card["areas"]["mnist"][title][test])
            assert len(written) == card["images"]
            assert (areas - written[:AT_ONCE]).abs().max() < 0.02, f"{title}, {test}"
            assert (areas - written[:AT_ONCE]).abs().mean() < 0.002


def test_the_command_writes_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(attribution_quality, "FILLS", {"mnist": 0.0})
    attribution_quality.main(["--images", "2", "--steps", "2", "--output", str(tmp_path / "new" / "table.json")])
    card = json.loads((tmp_path / "new" / "table.json").read_text())
    assert card["command"].endswith("--images 2 --steps 2")
    assert [len(areas) for both in card["areas"]["mnist"].values() for areas in both.values()] == [2] * 20
