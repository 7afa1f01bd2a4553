import pytest
import torch

from labkit import data, models
from labkit.evaluation.nearest_distances import nearest_distances
from tests.shapes import unchecked

LAYERS = ("input", "pool1", "pool2", "fc1")


@pytest.fixture(scope="module")
def network():
    return models.load("mnist")


@pytest.fixture(scope="module")
def reference():
    return data.sample("mnist", "train").subset(slice(200))


def test_distances_are_those_of_a_loop_over_all_pairs(network, reference):
    images, classes = data.examples("mnist", 12)
    found = nearest_distances(network, images, classes, reference=reference, layers=LAYERS, batch_size=3)
    assert list(found) == list(LAYERS)
    for name, distances in found.items():
        part = network if name == "input" else network[: list(dict(network.named_children())).index(name) + 1]
        for image, label, distance in zip(images, classes, distances, strict=True):
            ours, others = image[None], reference.images[reference.labels == label]
            with torch.no_grad():
                ours, others = (ours, others) if name == "input" else (part(ours), part(others))
            expected = min((ours[0] - other).square().mean().sqrt() for other in others)
            assert torch.isclose(distance, expected, rtol=1e-3), name


def test_an_image_of_the_reference_is_at_no_distance_from_it(network):
    reference = data.sample("mnist", "train").subset(slice(400))  # so many of a class that cdist multiplies matrices
    found = nearest_distances(network, reference.images[:5], reference.labels[:5], reference=reference, layers=LAYERS)
    assert not found["input"].any()
    assert all(distances.max() < 1e-5 for distances in found.values())  # a pass rounds otherwise in another batch
    other = nearest_distances(
        network, reference.images[:5], (reference.labels[:5] + 1) % 10, reference=reference, layers=LAYERS
    )
    assert all(distances.min() > 0.1 for distances in other.values())


def test_a_class_without_a_reference_image_is_refused(network, reference):
    zeros = reference.subset(reference.labels == 0)
    with pytest.raises(ValueError, match="reference holds no image of class 3"):
        nearest_distances(network, reference.images[:1], torch.tensor([3]), reference=zeros, layers=LAYERS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": torch.tensor([0.0])}, r"classes must be int64 of shape \(1,\), got torch.float32"),
        ({"classes": torch.tensor([0, 1])}, r"of shape \(1,\), got torch.int64 of shape \(2,\)"),
        ({"model": models.mnist_bn()}, "the model must be in eval mode"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 up, got 0"),
        ({"layers": ["fc9"]}, "unknown layer 'fc9'"),
    ],
)
def test_bad_input_is_refused(network, reference, change, message):
    good = {"model": network, "images": reference.images[:1], "classes": reference.labels[:1], "layers": LAYERS}
    with unchecked(), pytest.raises(ValueError, match=message):
        nearest_distances(**good | change, reference=reference)
