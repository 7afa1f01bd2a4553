import pytest
import torch

from labkit.studies import universality
from labkit.studies.universality import SETTINGS, STUDY, results


@pytest.mark.slow
def test_a_small_run_writes_counts_that_add_up(tmp_path, monkeypatch):
    monkeypatch.setattr(universality, "SETTINGS", {"mnist": {"steps": 3, "step_size": 0.1, "lengths": [1, 4]}})
    path = tmp_path / "found.json"
    STUDY.main(["--output", str(path), "--sources", "2", "--many", "10", "--tests", "50"])
    assert STUDY.card(path)["command"] == "labkit study universality --sources 2 --many 10 --tests 50"
    run = results(path)["mnist"]
    check_counts(run)
    assert run["few"] == 10
    assert torch.tensor(run["tables"]["many images"]["trials"]).sum() + 50 >= 500 - 50


def test_what_is_shipped_is_whole():
    found = results()
    assert list(found) == list(SETTINGS)
    for name, run in found.items():
        assert (run["sources"], run["many"], run["tests"]) == (10, 100, 1000)
        assert {key: run[key] for key in SETTINGS[name]} == SETTINGS[name]
        check_counts(run)


def check_counts(run: dict):
    for which, table in run["tables"].items():
        successes, trials, excluded = (torch.tensor(table[key]) for key in ("successes", "trials", "excluded"))
        sets, images = (1, run["tests"]) if which == "many images" else (run["sources"], run["few"])
        assert len(table["by_source"]) == sets
        assert (trials + excluded).sum() == 10 * sets * images
        assert (successes <= trials).all()
        assert not trials.diag().any()  # no image can become what it is
        rate = (successes.sum() / trials.sum()).item()
        assert min(table["by_source"]) - 1e-3 <= rate <= max(table["by_source"]) + 1e-3
        assert 0 <= table["own_images"] <= 1
    for counts in run["at_length"].values():
        assert len(counts["successes"]) == len(counts["trials"]) == len(run["lengths"])
        assert all(hits <= tried for hits, tried in zip(counts["successes"], counts["trials"], strict=True))
