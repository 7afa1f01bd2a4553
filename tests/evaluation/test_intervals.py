import pytest
import torch

from labkit.evaluation.intervals import difference_interval, mean_interval, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)]
)
def test_wilson_intervals_are_the_published_ones(successes, trials, low, high):
    found = wilson_interval(torch.tensor([successes]), torch.tensor([trials]))
    assert [end.item() for end in found] == pytest.approx([low, high], abs=1e-4)


def test_where_nothing_was_tried_nothing_is_known():
    low, high = wilson_interval(torch.tensor([0]), torch.tensor([0]))
    assert low.isnan()
    assert high.isnan()


@pytest.mark.parametrize(
    ("counts", "low", "high"), [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090)]
)
def test_intervals_of_a_difference_are_the_published_ones(counts, low, high):
    found = difference_interval(*(torch.tensor([each]) for each in counts))  # Newcombe's table II, (a) and (b)
    assert [end.item() for end in found] == pytest.approx([low, high], abs=1e-4)


def test_an_interval_of_numbers_one_can_follow():
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2
    half = 4.302653 / 3**0.5  # Student's t for 2 degrees of freedom, and the standard error of a deviation of 1
    assert (low, high) == pytest.approx((2 - half, 2 + half), rel=1e-5)
    with pytest.raises(ValueError, match=r"got \[1.0\]"):
        mean_interval([1.0])
