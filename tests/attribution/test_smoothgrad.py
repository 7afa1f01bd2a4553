import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution.saliency import saliency
from labkit.attribution.smoothgrad import smoothgrad


class SumOfSquares(nn.Module):
    """Two logits: the sum of x^2, whose gradient is 2x, and its negative."""

    def forward(self, images):
        total = images.square().sum((1, 2, 3))
        return torch.stack([total, -total], 1)


def test_without_noise_it_is_the_gradient():
    model = models.load("mnist")
    images, classes = data.examples("mnist", 4)
    plain = saliency(model, images, classes)
    assert torch.allclose(smoothgrad(model, images, classes, noise=0, samples=3), plain, atol=1e-5)
    assert torch.allclose(smoothgrad(model, images, classes, noise=0, samples=3, squared=True), plain**2, atol=1e-4)


def test_a_linear_model_returns_its_weights_whatever_the_noise():
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).eval()
    images, classes = data.examples("mnist", 3)
    weights = model[1].weight[classes].detach().view(3, 1, 28, 28)
    assert torch.allclose(smoothgrad(model, images, classes, noise=0.5), weights, atol=1e-6)


@pytest.mark.parametrize("samples", [25, 400])
def test_on_a_sum_of_squares_it_lies_within_5_standard_errors_of_the_mean(samples):
    # The gradient at x + e is 2 (x + e), e normal: its mean is 2x, the mean of its square is 4 (x^2 + sigma^2).
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    sigma = 0.2 * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    options = {"noise": 0.2, "samples": samples, "seed": 4}
    found = smoothgrad(SumOfSquares().eval(), images, torch.tensor([0, 0]), **options)
    error = 2 * sigma / samples**0.5
    assert ((found - 2 * images).abs() < 5 * error).all()
    spread = ((found - 2 * images) / error).std().item()
    assert 0.9 < spread < 1.1  # noise of the size that was asked for, and no less
    squares = smoothgrad(SumOfSquares().eval(), images, torch.tensor([1, 1]), squared=True, **options)
    variance = 16 * (4 * images**2 * sigma**2 + 2 * sigma**4)  # of 4 (x + e)^2
    assert ((squares - 4 * (images**2 + sigma**2)).abs() < 7 * (variance / samples).sqrt()).all()


def test_the_result_does_not_depend_on_the_batch_size():
    model = models.load("mnist")
    images, classes = data.examples("mnist", 5)
    maps = [smoothgrad(model, images, classes, samples=4, batch_size=size) for size in (1, 3, 5, 7, 100)]
    assert all(torch.allclose(maps[0], other, atol=1e-4) for other in maps[1:])
    assert not torch.allclose(maps[0], smoothgrad(model, images, classes, samples=4, seed=1), atol=1e-1)


def test_no_more_copies_are_in_memory_than_asked_for():
    sizes = []

    class Watch(nn.Module):
        def forward(self, images):
            sizes.append(len(images))
            return images.flatten(1)

    images = torch.rand(3, 1, 2, 2)
    for batch_size in (1, 3, 7, 25):
        smoothgrad(Watch().eval(), images, torch.tensor([0, 1, 2]), samples=10, batch_size=batch_size)
        assert max(sizes) <= batch_size
        assert sum(sizes) == 30
        sizes.clear()


def test_progress_sees_every_sample():
    seen = []
    images, classes = data.examples("mnist", 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).eval()
    smoothgrad(model, images, classes, samples=7, progress=lambda steps: (seen.append(step) or step for step in steps))
    assert seen == list(range(7))


@pytest.mark.parametrize("options", [{"noise": -0.1}, {"noise": float("nan")}, {"samples": 0}, {"batch_size": 0}])
def test_bad_options(options):
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ValueError, match=rf"{next(iter(options))} must .* got"):
        smoothgrad(models.load("mnist"), images, classes, **options)
