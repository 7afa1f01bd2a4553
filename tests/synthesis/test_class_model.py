import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.images import total_variation
from labkit.synthesis._parametrization import COLORS, Fourier, Pixels
from labkit.synthesis.class_model import class_model, class_model_steps
from labkit.training import predict

BARE = {"jitter": 0.0, "scale": 0.0, "tv_weight": 0.0}
TEN = torch.arange(10)


@pytest.fixture
def linear():
    """Two classes, each the scalar product of a 1 x 6 x 6 image with its own weights."""
    normalize = models.Normalize((0.0,), (1.0,), image_shape=(1, 6, 6))
    network = nn.Sequential(normalize, nn.Flatten(), nn.Linear(36, 2)).eval()
    with torch.no_grad():
        network[-1].weight.copy_(torch.randn(2, 36, generator=torch.Generator().manual_seed(0)))
    return network


def confidences(network, images, classes=TEN):
    return predict(network, images).softmax(1).gather(1, classes[:, None])[:, 0]


# A linear model's class model is known


@pytest.mark.slow
@pytest.mark.parametrize("parametrization", ["pixels", "fourier"])
def test_a_linear_models_class_model_is_its_weight_image(linear, parametrization):
    """w . x - l2 * mean((x - mean)^2) is largest at mean + n w / (2 l2)."""
    options = BARE | {"l2_weight": 20.0, "clip": False, "parametrization": parametrization}
    options |= {"steps": 1000, "step_size": 0.01}
    found = class_model(linear, torch.tensor([0, 1]), **options)
    wanted = 0.5 + 36 * linear[-1].weight.detach().view(2, 1, 6, 6) / (2 * 20)
    assert torch.allclose(found, wanted, atol=2e-3)


def test_clipped_it_is_black_and_white_by_the_sign_of_the_weight(linear):
    found = class_model(linear, torch.tensor([0, 1]), **BARE, parametrization="pixels")
    assert torch.equal(found, (linear[-1].weight > 0).float().view(2, 1, 6, 6))


def test_cross_entropy_also_lowers_the_other_class(linear):
    found = class_model(linear, torch.tensor([0]), **BARE, parametrization="pixels", objective="cross_entropy")
    difference = linear[-1].weight[0] - linear[-1].weight[1]
    large = difference.abs() > 0.3
    assert torch.equal((found.flatten() > 0.5)[large], (difference > 0)[large])


def test_its_first_step_goes_along_the_sign_of_the_gradient(linear):
    (first,) = class_model_steps(linear, torch.tensor([0]), **BARE, parametrization="pixels", steps=1, step_size=0.1)
    assert torch.allclose(first, 0.5 + 0.1 * linear[-1].weight[0].sign().view(1, 1, 6, 6), atol=1e-5)


# Options


@pytest.mark.slow
def test_total_variation_and_blur_make_images_smoother():
    network = models.load("mnist")
    options = BARE | {"parametrization": "pixels", "start": "noise", "steps": 40, "step_size": 0.05}
    rough = total_variation(class_model(network, TEN, **options))
    for smoothing in ({"tv_weight": 50.0}, {"blur": 1.0, "blur_every": 4}):
        assert (total_variation(class_model(network, TEN, **options | smoothing)) < 0.75 * rough).all()


@pytest.mark.slow
def test_l2_keeps_an_image_near_the_data_mean():
    network = models.load("mnist")
    far, near = (class_model(network, TEN, l2_weight=l2, steps=40) - 0.1307 for l2 in (0.0, 1000.0))
    assert near.square().mean() < 0.25 * far.square().mean()


def test_starts():
    network = models.load("cifar10")
    begin = {"steps": 1, "step_size": 1e-6, "parametrization": "pixels"}
    cat = torch.tensor([3, 3])
    first = {name: class_model(network, cat, start=name, **begin) for name in ("zeros", "mean", "noise", "uniform")}
    assert first["zeros"].max() < 1e-5
    assert torch.allclose(first["mean"][0].mean((1, 2)), torch.tensor([0.4914, 0.4822, 0.4465]), atol=1e-4)
    assert first["noise"].mean().item() == pytest.approx(0.5, abs=0.01)
    assert first["noise"].std().item() == pytest.approx(0.1, abs=0.01)
    assert first["uniform"].std().item() == pytest.approx(12**-0.5, abs=0.01)
    assert not torch.equal(first["uniform"][0], first["uniform"][1])
    photo = data.examples("cifar10", 1)[0]
    assert torch.allclose(class_model(network, cat, start=photo[0], **begin), photo.expand(2, -1, -1, -1), atol=1e-5)
    assert torch.allclose(class_model(network, cat, start=photo, **begin | {"parametrization": "fourier"})[0],
                          photo[0].clamp(0.02, 0.98), atol=1e-4)  # fmt: skip


def test_the_same_seed_gives_the_same_images():
    network = models.load("mnist")
    one, same, other = (class_model(network, TEN, start="noise", seed=seed, steps=5) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_generator_twin_ends_where_the_function_does_and_gives_copies():
    network = models.load("mnist")
    images = list(class_model_steps(network, TEN, steps=4, parametrization="pixels"))
    assert len(images) == 4
    assert torch.equal(images[-1], class_model(network, TEN, steps=4, parametrization="pixels"))
    assert not torch.equal(images[0], images[1])


def test_progress_wraps_the_loop():
    seen = []
    class_model(
        models.load("mnist"), TEN, steps=3, progress=lambda steps: (seen.append(step) or step for step in steps)
    )
    assert seen == [0, 1, 2]


def test_an_empty_graph_outside_matters_not():
    with torch.no_grad():
        found = class_model(models.load("mnist"), TEN, steps=2)
    assert not found.requires_grad


# What the networks imagine


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["logit", "cross_entropy"])
@pytest.mark.parametrize("start", ["mean", "noise", "uniform", "zeros"])
def test_every_digit_is_certain_from_any_start(start, objective):
    network = models.load("mnist")
    recipes = {"logit": {"l2_weight": 150.0}, "cross_entropy": {"parametrization": "pixels", "tv_weight": 1.0}}
    options = recipes[objective]
    assert (confidences(network, class_model(network, TEN, start=start, objective=objective, **options)) >= 0.99).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist-bn", "mnist-best"])
def test_every_digit_is_certain_to_the_other_digit_networks(name):
    network = models.load(name)
    assert (confidences(network, class_model(network, TEN)) >= 0.99).all()


@pytest.mark.slow
def test_every_class_of_cifar10_is_certain_and_stays_so_when_moved():
    network = models.load("cifar10")
    found = class_model(network, TEN)
    assert (confidences(network, found) >= 0.99).all()
    shifted = torch.stack([confidences(network, found.roll((down, 0), (2, 3))) for down in (-2, 2)])
    assert (shifted >= 0.99).all()


# The Fourier parametrisation


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 32, 32), (1, 3, 9, 14), (1, 2, 5, 5)])
def test_a_parametrisation_gives_back_the_images_that_were_written(shape, clip):
    images = 0.1 + 0.8 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    for parametrization in (Fourier(images, clip=clip), Pixels(images, clip=clip)):
        assert torch.allclose(parametrization.read(parametrization.write(images)), images, atol=1e-5)


def test_the_colours_are_those_of_cifar10():
    """Mixed like that, uncorrelated numbers vary as the pixels of photographs do; here, of 2,000 of them."""
    pixels = data.sample("cifar10", "train").images.permute(1, 0, 2, 3).flatten(1)
    covariance, colors = torch.cov(pixels), torch.tensor(COLORS)
    ours = colors @ colors.T
    assert torch.allclose(ours / ours.trace(), covariance / covariance.trace(), atol=0.01)
    assert torch.allclose(colors.T @ colors, torch.diag(colors.square().sum(0)), atol=1e-3)


# What is refused


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 up, got 0"),
        ({"blur_every": 0}, "blur_every .* got 0"),
        ({"step_size": 0}, "step_size must be a number above 0, got 0"),
        ({"objective": "probability"}, r"objective must be one of \['logit', 'cross_entropy'\], got 'probability'"),
        ({"parametrization": "wavelets"}, "parametrization must be one of .* got 'wavelets'"),
        ({"start": "ones"}, "start must be a tensor or one of .* got 'ones'"),
        ({"start": torch.zeros(3, 28, 28)}, r"start must fit images of shape \(10, 1, 28, 28\), got \(3, 28, 28\)"),
        ({"start": torch.full((1, 28, 28), 2.0)}, r"pixels must lie in \[0, 1\]"),
        ({"tv_weight": -1}, "tv_weight must be a number from 0 up, got -1"),
        ({"l2_weight": float("nan")}, "l2_weight .* got nan"),
        ({"noise": -0.1}, "noise .* got -0.1"),
        ({"jitter": 0.6}, r"jitter must lie in \[0, 0.5\].* got 0.6"),
        ({"scale": 1}, r"scale must lie in \[0, 1\), got 1"),
        ({"image_shape": (28, 28)}, r"got \(28, 28\)"),
        ({"image_shape": (3, 28, 28)}, "cannot take images of shape"),
    ],
)
def test_bad_options_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        class_model(models.load("mnist"), TEN, **wrong)


@pytest.mark.parametrize("classes", [torch.tensor([10]), torch.tensor([]), torch.tensor(3), 3, torch.tensor([-1])])
def test_unknown_classes_are_refused(classes):
    with pytest.raises(ValueError, match="class"):
        class_model(models.load("mnist"), classes)


def test_a_model_whose_input_size_is_unknown_needs_it():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    with pytest.raises(ValueError, match="unknown: give image_shape"):
        class_model(network, torch.tensor([0]))
    assert class_model(network, torch.tensor([0]), image_shape=(3, 12, 10), steps=2).shape == (1, 3, 12, 10)
