import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.evaluation.worst_examples import worst_examples


@pytest.fixture(scope="module")
def network():
    return models.load("mnist")


@pytest.fixture(scope="module")
def examples():
    return data.examples("mnist", 200)


@pytest.mark.parametrize("batch_size", [7, 500])
def test_the_lowest_probabilities_of_the_own_class_come_first(network, examples, batch_size):
    images, labels = examples
    with torch.no_grad():
        logits = network(images)
    own = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    found = worst_examples(network, images, labels, k=12, batch_size=batch_size)
    expected = own.sort()
    assert torch.equal(found.indices, expected.indices[:12])
    assert torch.allclose(found.probabilities, expected.values[:12], atol=1e-5)
    assert torch.allclose(found.logits, logits[found.indices], atol=1e-4)


def test_mislabelled_images_are_found(network, examples):
    images, labels = examples
    labels = labels.clone()
    labels[[17, 99, 150]] = (labels[[17, 99, 150]] + 5) % 10
    assert sorted(worst_examples(network, images, labels, k=3).indices.tolist()) == [17, 99, 150]


def test_probabilities_that_are_rounded_to_nothing_are_still_in_order():
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).eval()
    network[1].weight = nn.Parameter(torch.tensor([[1000.0], [0.0]]))
    images = torch.tensor([0.5, 0.9, 0.7, 0.9, 0.0]).view(5, 1, 1, 1)
    found = worst_examples(network, images, torch.ones(5, dtype=torch.int64), k=5, batch_size=2)
    assert found.indices.tolist() == [1, 3, 2, 0, 4]
    assert found.probabilities.tolist() == [0, 0, 0, 0, 0.5]


def test_everything_is_left_as_it_was(network, examples):
    images, labels = (each.clone() for each in examples)
    worst_examples(network, images, labels)
    assert torch.equal(images, examples[0])
    assert torch.equal(labels, examples[1])
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must be a whole number from 1 to 200, got 0"),
        ({"k": 201}, "got 201"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 up, got 0"),
        ({"labels": torch.full((200,), 10)}, r"classes must lie in 0\.\.9, got 10"),
        ({"labels": torch.zeros(199, dtype=torch.int64)}, r"classes must be int64 of shape \(200,\)"),
        ({"images": torch.full((200, 1, 28, 28), 255.0)}, r"pixels must lie in \[0, 1\]"),
    ],
)
def test_bad_arguments_are_refused(network, examples, change, message):
    good = {"model": network, "images": examples[0], "labels": examples[1]}
    with pytest.raises(ValueError, match=message):
        worst_examples(**good | change)


def test_a_model_in_training_mode_is_refused(examples):
    network = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(784, 10)).train()
    with pytest.raises(ValueError, match="must be in eval mode"):
        worst_examples(network, *examples)
