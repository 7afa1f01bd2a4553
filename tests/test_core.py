import inspect
import math
import re
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks._gradient import log_odds_gradient
from labkit.core import (
    check_batch,
    check_choice,
    check_counts,
    check_eps,
    check_image_shape,
    check_not_negative,
    check_positive,
    check_within,
    class_score,
    importance,
    input_gradient,
    last_of,
    log_odds,
    value_and_grad,
)
from labkit.training import predict


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


def test_the_gradient_is_there_inside_inference_mode_and_for_what_comes_from_it(linear):
    expected = input_gradient(linear, IMAGES, CLASSES)
    with torch.inference_mode():
        images, classes = IMAGES.clone(), CLASSES.clone()
        assert torch.equal(input_gradient(linear, images, classes), expected)
        assert torch.equal(log_odds_gradient(linear, images, classes)[0], log_odds(linear(IMAGES), CLASSES))
    assert torch.equal(input_gradient(linear, images, classes), expected)


class Viewing(nn.Module):
    """A convolution whose outputs are flattened by a view, which takes no order in memory but the usual one."""

    def __init__(self):
        super().__init__()
        self.convolution, self.dense = nn.Conv2d(2, 4, 2), nn.Linear(24, 5)

    def forward(self, images):
        return self.dense(self.convolution(images).view(len(images), -1))


def test_a_network_with_a_view_inside_works_like_one_without():
    viewing = Viewing().eval()
    flattening = nn.Sequential(viewing.convolution, nn.Flatten(), viewing.dense).eval()
    for compute in (input_gradient, log_odds_gradient):
        for found, expected in zip(
            compute(viewing, IMAGES, CLASSES), compute(flattening, IMAGES, CLASSES), strict=True
        ):
            torch.testing.assert_close(found, expected)
    torch.testing.assert_close(predict(viewing, IMAGES), predict(flattening, IMAGES))


def test_one_channel_in_either_order_has_the_same_gradient():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    pixels = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(class_score(model, pixels, classes).sum(), pixels)
    found = input_gradient(model, images, classes)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert found.stride() == images.stride()


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


def test_the_gradient_of_any_loss_and_its_values():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    values, gradient = value_and_grad(lambda x: x.square().sum(1), x)
    assert torch.equal(values, torch.tensor([5.0, 25.0]))
    assert torch.equal(gradient, 2 * x)
    assert not any(each.requires_grad for each in (values, gradient, x))
    with torch.no_grad():
        (values, rest), gradient = value_and_grad(lambda x: (x.sum(), "rest"), x, has_aux=True)
    assert (values.item(), rest) == (10, "rest")
    assert torch.equal(gradient, torch.ones(2, 2))


def test_the_log_odds_are_those_of_the_softmax_and_their_gradient_survives_certainty():
    logits, classes = torch.randn(5, 4, dtype=torch.double), torch.tensor([0, 1, 2, 3, 0])
    p = logits.softmax(1).gather(1, classes[:, None])[:, 0]
    assert torch.allclose(log_odds(logits, classes), (p / (1 - p)).log())
    certain = torch.tensor([[1000.0, 0.0]])
    found, gradient = value_and_grad(lambda logits: log_odds(logits, torch.tensor([0])), certain)
    assert found.item() == 1000
    assert gradient.tolist() == [[1, -1]]
    with pytest.raises(ValueError, match=r"at least 2 classes, got \(5, 1\)"):
        log_odds(logits[:, :1], torch.zeros(5, dtype=torch.int64))


@pytest.mark.parametrize(
    ("check", "good", "bad", "said"),
    [
        (check_counts, (1, 7, np.int64(3)), (0, -1, 2.5, 1.0, True, "3", None, math.nan), "a whole number from 1 up"),
        (partial(check_counts, least=0, most=3), (0, 3), (-1, 4), "a whole number from 0 to 3"),
        (check_positive, (1, 0.5, np.float32(2)), (0, -1.0, math.inf, math.nan, True, "1"), "a number above 0"),
        (check_not_negative, (0, 0.5), (-1e-9, math.inf, math.nan, False), "a number from 0 up"),
        (check_eps, (0, 0.5), (-0.1, math.inf, math.nan, "0.1", None), "a number from 0 up"),
        (partial(check_within, 0, 1), (0, 0.5, 1), (-0.1, 1.1, math.nan, True, "0"), r"lie in \[0, 1\]"),
        (partial(check_within, 0, 1, ends="[)"), (0, 0.5), (1, math.nan), r"lie in \[0, 1\)"),
        (partial(check_within, 0, 0.5, ends="()"), (0.1,), (0, 0.5), r"lie in \(0, 0.5\)"),
        (partial(check_choice, ("linf", "l2")), ("linf", "l2"), ("l1", None, 2), r"one of \['linf', 'l2'\]"),
    ],
)
def test_one_wording_for_each_kind_of_check(check, good, bad, said):
    for value in good:
        check(eps=value)
    for value in bad:
        with pytest.raises(ValueError, match=f"^eps must .*{said}, got {re.escape(repr(value))}$"):
            check(eps=value)


@pytest.mark.parametrize("shape", [(28, 28), (1, 0, 28), (1, 28, -1), (1, 28.0, 28), (True, 28, 28)])
def test_the_shape_of_an_image_is_three_positive_integers(shape):
    check_image_shape((1, np.int64(28), 28))
    with pytest.raises(ValueError, match=re.escape(f"three positive integers, got {shape!r}")):
        check_image_shape(shape)


def count_steps(start: int, *, steps: int = 3) -> Iterator[int]:
    """Count.

    Args:
        steps: how far.

    Yields:
        Where it is.
    """
    yield from range(start, start + steps)


def test_the_last_of_a_generator_has_its_options_and_words():
    count = last_of(count_steps)
    assert count(5) == 7
    assert count(5, steps=1) == 5
    assert count.__name__ == "count"
    assert str(inspect.signature(count)) == "(start: int, *, steps: int = 3) -> int"
    assert count.__annotations__ == {"start": int, "steps": int, "return": int}
    assert inspect.getdoc(count).endswith("Returns:\n    The last of what `count_steps` yields:\n    Where it is.")
