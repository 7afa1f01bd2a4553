import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks._norms import NORMS
from labkit.attacks.fgsm import fgsm
from labkit.attacks.minimum_norm import minimum_norm


@pytest.mark.slow
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("attack", "norm"), [("pgd", "linf"), ("pgd", "l2"), ("fgsm", "linf")])
def test_it_finds_the_closest_point_of_a_linear_model(linear, attack, norm, targeted):
    model, images, classes, closest = linear
    wanted = 1 - classes if targeted else classes
    found = minimum_norm(model, images, wanted, attack=attack, norm=norm, targeted=targeted, tolerance=0.002)
    assert (model(found.images).argmax(1) != classes).all()
    assert torch.allclose(found.distances, closest[norm], rtol=0.01)
    assert (found.distances > 0.999999 * closest[norm]).all()  # nothing nearer exists


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_eps_is_the_distance_of_the_image_it_returns(norm):
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    found = minimum_norm(model, images, classes, norm=norm, steps=10)
    distance = (found.images - images).flatten(1).norm(dim=1, p=torch.inf if norm == "linf" else 2)
    assert torch.allclose(distance, found.distances, atol=1e-5)
    assert (model(found.images).argmax(1) != classes).all()
    assert (found.distances > 0).all()


def test_a_little_less_is_not_enough():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 20)
    found = minimum_norm(model, images, classes, attack="fgsm", largest=0.3)
    reached = found.distances.isfinite()
    assert reached.sum() > 5
    for image, label, eps in zip(images[reached], classes[reached], found.distances[reached].tolist(), strict=True):
        less = fgsm(model, image[None], label[None], eps=0.985 * eps)
        assert model(less).argmax(1) == label


def test_nothing_to_do_and_nothing_to_be_done():
    model, (images, classes) = models.load("mnist"), data.examples("mnist", 4)
    wrong = torch.tensor([0, 5, 2, 7])  # the second and the fourth are misclassified, if this is the truth
    found = minimum_norm(model, images, wrong, largest=1e-3, steps=2)
    assert found.distances.tolist() == [torch.inf, 0, torch.inf, 0]
    assert torch.equal(found.images, images)
    found = minimum_norm(model, images, classes, targeted=True)
    assert found.distances.tolist() == [0, 0, 0, 0]


def test_batches_make_no_difference(linear):
    model, images, classes, _ = linear
    whole, parts = (minimum_norm(model, images, classes, steps=5, batch_size=size) for size in (100, 3))
    assert torch.allclose(whole.distances, parts.distances)
    assert torch.allclose(whole.images, parts.images)


def test_an_image_on_the_border_ends_the_search():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0] * 4, [1.0] * 4]))
        model[1].bias.copy_(torch.tensor([1.0, 0.0]))
    found = minimum_norm(model, torch.full((1, 1, 2, 2), 0.25), torch.tensor([0]))
    assert 0 < found.distances.item() < 1e-5


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-8), (torch.float16, 1e-4), (torch.bfloat16, 0.001)]
)
def test_it_ends_where_no_number_lies_between_two_any_more(linear, dtype, tolerance):
    model, images, classes, closest = linear
    found = minimum_norm(model.to(dtype), images.to(dtype), classes, steps=1, tolerance=tolerance)
    assert found.distances.dtype == dtype
    assert torch.allclose(found.distances.double(), closest["linf"], rtol=10 * torch.finfo(dtype).eps, atol=0.001)
    never = minimum_norm(model.to(dtype), images.to(dtype), classes, steps=1, tolerance=tolerance, largest=7e-5)
    assert never.distances.isinf().all()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("attack", "cw", r"attack must be one of \['fgsm', 'pgd'\], got 'cw'"),
        ("norm", "l1", r"norm must be one of \['linf', 'l2'\], got 'l1'"),
        ("steps", 0, "steps must be a whole number from 1 up, got 0"),
        ("batch_size", 0, "batch_size must be a whole number from 1 up, got 0"),
        ("largest", 0.0, "largest must be a number above 0, got 0.0"),
        ("tolerance", 0, r"tolerance must lie in \(0, 1\), got 0"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        minimum_norm(models.load("mnist"), images, classes, **{option: value})
