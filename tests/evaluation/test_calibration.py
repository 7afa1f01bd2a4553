"""Calibration: what the bins hold, and that the figures are those of its definition."""

import pytest
import torch

from labkit.evaluation.calibration import calibration


def logits_of(confidences):
    """Two classes, of which the first gets these confidences."""
    p = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([p.log(), (1 - p).log()], dim=1).float()


def test_bins_hold_what_falls_into_them():
    found = calibration(logits_of([0.95, 0.95, 0.65, 0.65]), torch.tensor([0, 0, 0, 1]), bins=10)
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    torch.testing.assert_close(found.confidence[[6, 9]], torch.tensor([0.65, 0.95]))
    torch.testing.assert_close(found.accuracy[[6, 9]], torch.tensor([0.5, 1.0]))
    assert found.confidence[0].isnan()
    assert found.low[6] < 0.5 < found.high[6]
    assert found.error == pytest.approx((0.15 + 0.05) / 2, abs=1e-6)
    assert found.excess == pytest.approx(0.8 - 0.75, abs=1e-6)


def test_a_network_that_is_right_as_often_as_it_is_sure_has_no_error():
    rng = torch.Generator().manual_seed(0)
    sure = torch.linspace(0.55, 0.95, 5).repeat(400)
    labels = (torch.rand(2000, generator=rng) > sure).long()
    found = calibration(logits_of(sure.tolist()), labels, bins=5)
    low, high = found.excess_interval
    assert low < 0 < high
    assert found.error < 0.04


def test_one_that_is_too_sure_is_found_out_and_the_interval_is_the_seeds():
    logits, labels = logits_of([0.99] * 50), torch.tensor([0, 1] * 25)
    found = calibration(logits, labels)
    assert found.excess_interval[0] > 0.3
    assert found.excess_interval == calibration(logits, labels).excess_interval
    assert found.excess_interval != calibration(logits, labels, seed=1).excess_interval


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (torch.tensor([0, 2]), {}, r"classes must lie in 0\.\.1, got 2"),
        (torch.tensor([0]), {}, "2 images|for 1 images"),
        (torch.tensor([0, 1]), {"bins": 0}, "bins must be a whole number from 1 up, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(labels, options, words):
    with pytest.raises(ValueError, match=words):
        calibration(logits_of([0.9, 0.8]), labels, **options)
