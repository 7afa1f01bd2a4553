import pytest
import torch

from labkit import models
from labkit.studies import fooling_images
from labkit.studies.fooling_images import GENERATIONS, STUDY, results


@pytest.mark.slow
def test_a_small_run_writes_what_the_chapter_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(fooling_images, "GENERATIONS", {"direct": 2, "smooth": 2})
    path = tmp_path / "found.json"
    small = ["--each", "2", "--bred", "1", "--steps", "2", "--tests", "30", "--sample"]
    STUDY.main(["--output", str(path), *small])
    found = results(path)
    assert found["reference"] == 2_000
    check(found)


def test_what_is_shipped_knows_the_whole_training_set():
    found = results()
    assert (found["reference"], found["tests"], found["each"], found["bred"]) == (60_000, 1_000, 8, 5)
    assert found["generations"] == GENERATIONS
    check(found)
    logits = torch.tensor(found["worst"]["logits"])
    pixels = torch.tensor(found["worst"]["pixels"]).view(-1, 1, 28, 28) / 255
    with torch.no_grad():
        again = models.load("mnist")(pixels)
    assert torch.allclose(logits, again, atol=2e-2)


def check(found: dict) -> None:
    counts = dict.fromkeys((*fooling_images.SEARCHES, "noise"), 10 * found["each"])
    counts |= dict.fromkeys(fooling_images.GENERATIONS, 10 * found["bred"]) | {"test digits": found["tests"]}
    assert {name: len(each["confidence"]) for name, each in found["sets"].items()} == counts
    for name, each in found["sets"].items():
        assert list(each["distances"]) == list(fooling_images.LAYERS)
        assert all(len(values) == counts[name] and min(values) > 0 for values in each["distances"].values())
        assert 0 <= min(each["confidence"]) <= max(each["confidence"]) <= 1
    for name in fooling_images.SEARCHES:
        run = found["sets"][name]
        assert max(run["steps"]) <= found["steps"]
        assert run["change"] == 0 or name != "as shown"
    worst = found["worst"]
    own = torch.tensor(worst["logits"]).softmax(1).gather(1, torch.tensor(worst["labels"])[:, None])[:, 0]
    assert own.tolist() == sorted(own.tolist())
    assert len(worst["indices"]) == len(worst["pixels"]) == 8
