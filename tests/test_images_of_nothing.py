import json

import pytest
import torch

from labkit import data, images_of_nothing, models
from labkit.images_of_nothing import nearest_distances


@pytest.fixture(scope="module")
def network():
    return models.load("mnist")


@pytest.fixture(scope="module")
def reference():
    return data.sample("mnist", "train").subset(slice(200))


def test_distances_are_those_of_a_loop_over_all_pairs(network, reference):
    images, classes = data.examples("mnist", 12)
    found = nearest_distances(network, images, classes, reference=reference, batch_size=3)
    assert list(found) == ["input", "pool1", "pool2", "fc1"]
    for name, distances in found.items():
        part = network if name == "input" else network[: list(dict(network.named_children())).index(name) + 1]
        for image, label, distance in zip(images, classes, distances, strict=True):
            ours, others = image[None], reference.images[reference.labels == label]
            with torch.no_grad():
                ours, others = (ours, others) if name == "input" else (part(ours), part(others))
            expected = min((ours[0] - other).square().mean().sqrt() for other in others)
            assert torch.isclose(distance, expected, rtol=1e-3), name


def test_an_image_of_the_reference_is_at_no_distance_from_it(network, reference):
    found = nearest_distances(network, reference.images[:5], reference.labels[:5], reference=reference)
    assert all(distances.max() < 2e-3 for distances in found.values())  # cdist rounds differences of squares
    other = nearest_distances(network, reference.images[:5], (reference.labels[:5] + 1) % 10, reference=reference)
    assert all(distances.min() > 0.1 for distances in other.values())


def test_a_class_without_a_reference_image_is_refused(network, reference):
    zeros = reference.subset(reference.labels == 0)
    with pytest.raises(ValueError, match="reference holds no image of class 3"):
        nearest_distances(network, reference.images[:1], torch.tensor([3]), reference=zeros)


def test_a_small_run_writes_what_the_chapter_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(images_of_nothing, "GENERATIONS", {"direct": 2, "smooth": 2})
    path = tmp_path / "sub" / "found.json"
    small = ["--each", "2", "--bred", "1", "--steps", "2", "--tests", "30", "--sample"]
    images_of_nothing.main(["--to", str(path), *small])
    found = json.loads(path.read_text())
    assert found["command"].startswith("python -m labkit.images_of_nothing --to")
    assert found["reference"] == 2_000
    check(found)


def test_what_is_shipped_belongs_to_the_shipped_network_and_the_whole_training_set():
    found = images_of_nothing.results()
    assert (found["reference"], found["tests"], found["each"], found["bred"]) == (60_000, 1_000, 8, 5)
    assert found["generations"] == images_of_nothing.GENERATIONS
    check(found)
    logits = torch.tensor(found["worst"]["logits"])
    pixels = torch.tensor(found["worst"]["pixels"]).view(-1, 1, 28, 28) / 255
    with torch.no_grad():
        again = models.load("mnist")(pixels)
    assert torch.allclose(logits, again, atol=2e-2)


def check(found: dict) -> None:
    assert found["sha256"] == models.card("mnist")["sha256"]
    counts = dict.fromkeys((*images_of_nothing.SEARCHES, "noise"), 10 * found["each"])
    counts |= dict.fromkeys(images_of_nothing.GENERATIONS, 10 * found["bred"]) | {"test digits": found["tests"]}
    assert {name: len(each["confidence"]) for name, each in found["sets"].items()} == counts
    for name, each in found["sets"].items():
        assert list(each["distances"]) == list(images_of_nothing.LAYERS)
        assert all(len(values) == counts[name] and min(values) > 0 for values in each["distances"].values())
        assert 0 <= min(each["confidence"]) <= max(each["confidence"]) <= 1
    for name in images_of_nothing.SEARCHES:
        run = found["sets"][name]
        assert max(run["steps"]) <= found["steps"]
        assert run["change"] == 0 or name != "as shown"
    worst = found["worst"]
    own = torch.tensor(worst["logits"]).softmax(1).gather(1, torch.tensor(worst["labels"])[:, None])[:, 0]
    assert own.tolist() == sorted(own.tolist())
    assert len(worst["indices"]) == len(worst["pixels"]) == 8
