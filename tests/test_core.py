import re

import pytest
import torch
from torch import nn

from labkit.core import check_batch, class_score, importance, input_gradient


@pytest.fixture
def linear():
    """Logits are weighted sums of the pixels: every gradient is a row of weights."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 4, 5)).eval()


IMAGES, CLASSES = torch.linspace(0, 1, 2 * 24).view(2, 2, 3, 4), torch.tensor([4, 0])


def test_the_score_is_the_logit_of_the_class(linear):
    assert torch.equal(class_score(linear, IMAGES, CLASSES), linear(IMAGES)[[0, 1], [4, 0]])


def test_the_gradient_of_a_linear_model_is_its_weights(linear):
    gradient = input_gradient(linear, IMAGES, CLASSES)
    assert torch.equal(gradient, linear[1].weight[[4, 0]].view(2, 2, 3, 4))
    assert not gradient.requires_grad
    assert linear[1].weight.grad is None
    assert not IMAGES.requires_grad


def test_the_gradient_is_there_inside_no_grad_too(linear):
    with torch.no_grad():
        assert input_gradient(linear, IMAGES, CLASSES).abs().sum() > 0


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (IMAGES[0], "(N, C, H, W), got torch.float32 of shape (2, 3, 4)"),
        (IMAGES[:0], "of shape (0, 2, 3, 4)"),
        (IMAGES.long(), "got torch.int64"),
        (IMAGES * 255, "from 0 to 255"),
        (IMAGES - 1, "from -1 to 0"),
        (IMAGES.clone().index_fill_(0, torch.tensor([0]), torch.nan), "got values from nan"),
        ("cat.png", "got 'cat.png'"),
    ],
)
def test_images_that_are_none_are_refused(linear, images, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check_batch(linear, images)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (CLASSES.int(), "int64 of shape (2,), got torch.int32"),
        (CLASSES[:1], "got torch.int64 of shape (1,)"),
        (CLASSES - 1, "must not be negative, got -1"),
        (3, "got 3"),
    ],
)
def test_classes_that_are_none_are_refused(linear, classes, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check_batch(linear, IMAGES, classes)


def test_a_class_that_the_model_does_not_have_is_refused(linear):
    check_batch(linear, IMAGES, CLASSES + 1)  # only the logits tell
    with pytest.raises(ValueError, match=r"0\.\.4, got 5"):
        class_score(linear, IMAGES, CLASSES + 1)


def test_a_model_in_training_mode_is_refused_even_if_only_a_part_of_it_is(linear):
    linear[1].training = True
    with pytest.raises(ValueError, match="'1' is in training mode"):
        check_batch(linear, IMAGES)


def test_a_model_that_returns_no_table_of_logits_is_refused():
    with pytest.raises(ValueError, match=r"logits \(N, K\) for 2 images, got \(2, 2, 3, 4\)"):
        class_score(nn.ReLU(), IMAGES, CLASSES)


def test_importance_of_signed_channels():
    images = torch.rand(1, 3, 1, 2)
    maps = torch.tensor([[1.0, -5.0], [-3.0, 2.0], [2.0, 0.0]]).view(1, 3, 1, 2)
    assert importance(maps, images).tolist() == [[[3, 5]]]
    assert importance(-maps[:, 0], images).tolist() == [[[-1, 5]]]
    with pytest.raises(ValueError, match=r"\(1, 1, 2\) or \(1, 3, 1, 2\).* got \(1, 2, 1, 2\)"):
        importance(maps[:, :2], images)
    maps[0, 1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="1 numbers that are not"):
        importance(maps, images)
