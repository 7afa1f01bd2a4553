import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.core import class_score


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "mnist-bn", "cifar10"])
@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_the_shares_sum_to_the_difference_of_the_logits(name, baseline):
    model = models.load(name)
    images, classes = data.examples(name.partition("-")[0], 2)
    found = integrated_gradients(model, images, classes, baseline=baseline, steps=100).sum((1, 2, 3))
    with torch.no_grad():
        empty = class_score(model, torch.full_like(images, baseline), classes)
        difference = class_score(model, images, classes) - empty
    assert torch.allclose(found, difference, rtol=0.05, atol=0.2)  # networks of ReLUs have kinks on the way


def test_on_smooth_models_few_steps_are_exact():
    class Powers(nn.Module):
        def forward(self, images):
            return torch.stack([images.pow(5).sum((1, 2, 3)), images.prod(3).sum((1, 2))], 1)

    images = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    model, classes = Powers().eval(), torch.tensor([0, 1])
    found = integrated_gradients(model, images, classes, steps=3)  # exact up to x^5, and so for gradients up to x^4
    assert torch.allclose(found[0], images[0].pow(5))
    assert torch.allclose(found[1], images[1].prod(2, keepdim=True).expand(1, 3, 4) / 4)  # equal shares of a product


def test_a_linear_model_returns_weights_times_pixels():
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).eval()
    images, classes = data.examples("mnist", 3)
    weights = model[1].weight[classes].detach().view(3, 1, 28, 28)
    assert torch.allclose(integrated_gradients(model, images, classes, steps=2), weights * images, atol=1e-6)
    away = images - images.mean(0)
    found = integrated_gradients(model, images, classes, baseline=images.mean(0), steps=1)
    assert torch.allclose(found, weights * away, atol=1e-6)


def test_an_image_equal_to_its_baseline_explains_nothing():
    images, classes = data.examples("mnist", 2)
    assert not integrated_gradients(models.load("mnist"), images, classes, baseline=images, steps=2).any()


def test_the_result_does_not_depend_on_the_batch_size():
    model = models.load("mnist")
    images, classes = data.examples("mnist", 5)
    maps = [integrated_gradients(model, images, classes, steps=6, batch_size=size) for size in (1, 7, 100)]
    assert all(torch.allclose(maps[0], other, atol=1e-5) for other in maps[1:])


@pytest.mark.parametrize(
    "options",
    [{"baseline": 1.5}, {"baseline": torch.zeros(2, 5)}, {"baseline": float("nan")}, {"steps": 0}, {"batch_size": 0}],
)
def test_bad_options(options):
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ValueError, match=rf"{next(iter(options))} must .* got"):
        integrated_gradients(models.load("mnist"), images, classes, **options)


def test_the_map_holds_no_graph():
    images, classes = data.examples("mnist", 2)
    baseline = torch.zeros_like(images).requires_grad_()
    found = integrated_gradients(models.load("mnist"), images.requires_grad_(), classes, baseline=baseline, steps=2)
    assert not found.requires_grad
