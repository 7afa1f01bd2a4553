import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution._incremental import CleanRun
from labkit.attribution.occlusion import average_over_windows, occlusion


@torch.no_grad()
def plain_loop(model, image, window, stride, fill):
    """Occlude, look, and go on to the next place: logits (rows, columns, K) of one image (1, C, H, W)."""
    (height, width), rows = image.shape[2:], []
    for y in range(0, height - window[0] + 1, stride[0]):
        occluded = []
        for x in range(0, width - window[1] + 1, stride[1]):
            copy = image.clone()
            copy[:, :, y : y + window[0], x : x + window[1]] = fill
            occluded.append(copy)
        rows.append(model(torch.cat(occluded)))
    return torch.stack(rows)


def assert_equals_plain_loop(model, images, classes, window, stride, fill=0.5, batch_size=128):
    found = occlusion(model, images, classes, window=window, stride=stride, fill=fill, batch_size=batch_size)
    for index, image in enumerate(images):
        logits = plain_loop(model, image[None], window, stride, fill)
        probabilities = logits.softmax(-1)
        scale = max(1.0, logits.abs().max().item())
        torch.testing.assert_close(found.logits[index], logits, rtol=0, atol=1e-5 * scale)
        torch.testing.assert_close(found.probability[index], probabilities[..., classes[index]], rtol=0, atol=1e-5)
        sure = probabilities.topk(2).values.diff(dim=-1)[..., 0].abs() > 1e-4
        assert torch.equal(found.predicted[index][sure], probabilities.argmax(-1)[sure])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "mnist-bn", "cifar10"])
@pytest.mark.parametrize(
    ("window", "stride"), [((6, 6), (1, 1)), ((14, 14), (7, 7)), ((1, 3), (5, 2)), ((5, 9), (2, 3)), ((28, 28), (1, 1))]
)
def test_equals_the_plain_loop(name, window, stride):
    images, classes = data.examples(name.partition("-")[0], 2)
    assert_equals_plain_loop(models.load(name), images, classes, window, stride, batch_size=50)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0", "vgg16", "resnet50"])
@pytest.mark.parametrize(("window", "stride"), [((7, 7), (16, 19)), ((16, 12), (8, 20))])
def test_equals_the_plain_loop_on_networks_for_photos(name, window, stride):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.load(name) if name == "efficientnet_lite0" else getattr(models, name)().eval()
    image = data.photo("chelsea")[:, :, 60:164, 60:140]  # 104 x 80: not a multiple of the strides, and quickly done
    with torch.no_grad():
        assert CleanRun(model, image).worthwhile(window, 128)[0] > 2, "nothing would be saved"
    assert_equals_plain_loop(model, image, torch.tensor([285]), window, stride)


class Unusual(nn.Module):
    def forward(self, x):
        return x + x.mean((2, 3), keepdim=True)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 3, 3, stride=2, padding=2, dilation=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)],
        [nn.Conv2d(1, 4, (3, 5), padding=(0, 2)), nn.AvgPool2d(2), nn.Conv2d(4, 4, 1, stride=3, groups=2)],
        [nn.MaxPool2d((2, 3), stride=1), nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")],
        [nn.Conv2d(1, 2, 3, padding="same"), nn.Tanh(), nn.MaxPool2d(2, ceil_mode=True)],
        [nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU()), Unusual(), nn.MaxPool2d(4)],
    ],
    ids=["dilated", "average", "reflect", "same", "global"],
)
def test_equals_the_plain_loop_whatever_the_layers(layers):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(*layers)
        features = body(torch.zeros(1, 1, 28, 28)).numel()
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 5)).eval()
    images, classes = data.examples("mnist", 2)
    assert_equals_plain_loop(model, images, classes % 5, (4, 3), (3, 2), fill=0.0)


def test_a_layer_that_stands_at_two_places_is_run_at_both():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        relu = nn.ReLU()
        block = nn.Sequential(nn.Conv2d(1, 4, 3), relu, nn.Conv2d(4, 4, 3), relu)
        model = nn.Sequential(block, nn.Flatten(), nn.Linear(4 * 24 * 24, 3)).eval()
    images, _ = data.examples("mnist", 1)
    assert_equals_plain_loop(model, images, torch.tensor([0]), (4, 4), (8, 8))


@pytest.mark.parametrize("place", ["", "0", "0.1"])
def test_hooks_take_part(place):
    def clear_a_corner(_module, _inputs, output):
        output = output.clone()
        output[..., :8, :8] = 0
        return output

    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
        model = nn.Sequential(block, nn.AdaptiveAvgPool2d(9), nn.Flatten(), nn.Linear(4 * 81, 3)).eval()
    hooked = model.get_submodule(place)
    hooked.register_forward_hook(clear_a_corner if place else lambda _module, _inputs, output: 2 * output)
    images, _ = data.examples("mnist", 1)
    assert_equals_plain_loop(model, images, torch.tensor([0]), (4, 4), (8, 8))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 6, 0), (5, 9, 1)])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_window_may_fall_into_the_gaps_that_a_stride_leaves(kernel, stride, padding, window):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolution = nn.Conv2d(1, 4, kernel, stride, padding)
        features = convolution(torch.zeros(1, 1, 30, 30)).numel()
        model = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(features, 3)).eval()
        images = torch.rand(1, 1, 30, 30)
    assert_equals_plain_loop(model, images, torch.tensor([0]), (window, window), (1, 1))


def test_a_sequence_may_have_a_constructor_of_its_own():
    class Small(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 26 * 26, 3))

    images, _ = data.examples("mnist", 1)
    assert_equals_plain_loop(Small().eval(), images, torch.tensor([0]), (4, 4), (8, 8))


def test_a_model_that_is_no_sequence_is_asked_about_every_image():
    network = models.load("mnist")

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            return self.network(images)

    images, classes = data.examples("mnist", 1)
    one = occlusion(network, images, classes, window=6, stride=4)
    other = occlusion(Wrapped().eval(), images, classes, window=6, stride=4)
    torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-5)


def test_the_clean_image_is_what_a_window_of_its_own_grey_leaves():
    images = torch.full((1, 1, 28, 28), 0.5)
    found = occlusion(models.load("mnist"), images, torch.tensor([3]), window=6, fill=0.5)
    assert found.probability.shape == found.predicted.shape == (1, 23, 23)
    torch.testing.assert_close(found.probability, found.clean[:, None, None].expand(1, 23, 23), rtol=0, atol=1e-6)


def test_a_linear_model_loses_what_was_below_the_window():
    weights = torch.linspace(-1, 1, 64).view(1, 8, 8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False)).eval()
    model[1].weight.data = torch.stack([weights.flatten(), torch.zeros(64)])
    image = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    found = occlusion(model, image, torch.tensor([0]), window=3, stride=2, fill=0.25)
    lost = (weights * (image[0] - 0.25)).unfold(1, 3, 2).unfold(2, 3, 2).sum((0, 3, 4))
    torch.testing.assert_close(model(image)[0, 0] - found.logits[0, :, :, 0], lost)


def test_a_model_that_looks_at_one_quadrant_does_not_mind_the_others():
    class Quadrant(nn.Module):
        def forward(self, images):
            score = images[:, :, :14, :14].sum((1, 2, 3))
            return torch.stack([score, -score], 1)

    images, _ = data.examples("mnist", 1)
    found = occlusion(Quadrant().eval(), images, torch.tensor([0]), window=7, stride=7)
    assert torch.equal(found.logits[0, 2:], Quadrant()(images)[0].expand(2, 4, 2))
    assert not torch.equal(found.logits[0, 0, 0], found.logits[0, 2, 2])


def test_each_pixel_gets_the_mean_of_the_windows_that_cover_it():
    values = torch.arange(9.0).view(1, 3, 3)
    pixels = average_over_windows(values, (7, 7), window=3, stride=2)
    assert pixels.shape == (1, 7, 7)
    assert pixels[0, 0, 0] == 0
    assert pixels[0, 2, 0] == 1.5  # between the windows 0 and 3
    assert pixels[0, 2, 2] == 2  # 0, 1, 3 and 4
    assert average_over_windows(values, (8, 7), window=3, stride=2)[0, 7].tolist() == [0.0] * 7  # where no window came
    with pytest.raises(ValueError, match=r"\(N, 4, 4\), got \(1, 3, 3\)"):
        average_over_windows(values, (9, 9), window=3, stride=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 29}, "28 x 28 pixels, got"),
        ({"window": 0}, "window must be a whole number from 1 up"),
        ({"window": 6, "stride": 0}, "stride must be a whole number from 1 up.*got 0"),
        ({"window": (6, 2.5)}, "window must be a whole number from 1 up, got 2.5"),
        ({"window": True}, "window must be a whole number from 1 up, got True"),
        ({"window": (6, 6, 6)}, "or two of them, got"),
        ({"window": 6, "fill": 1.5}, "fill must lie in .*got 1.5"),
        ({"window": 6, "batch_size": 0}, "batch_size must be a whole number from 1 up, got 0"),
    ],
)
def test_refuses_what_makes_no_sense(options, message):
    images, classes = data.examples("mnist", 1)
    with pytest.raises(ValueError, match=message):
        occlusion(models.load("mnist"), images, classes, **options)


@pytest.mark.parametrize(
    ("name", "window", "stride"),
    [
        ("mnist", 6, 1),
        ("mnist-bn", 14, 7),
        pytest.param("cifar10", 8, 4, marks=pytest.mark.slow),
        pytest.param("efficientnet_lite0", 96, 64, marks=pytest.mark.slow),
    ],
)
def test_equals_captum(name, window, stride):
    from captum.attr import Occlusion

    model = models.load(name)
    images, classes = (
        (data.photo("chelsea"), torch.tensor([285]))
        if name == "efficientnet_lite0"
        else data.examples(name.partition("-")[0], 1)
    )
    found = occlusion(model, images, classes, window=window, stride=stride)
    ours = average_over_windows(
        found.clean[:, None, None] - found.probability, images.shape[2:], window=window, stride=stride
    )
    theirs = Occlusion(lambda x: model(x).softmax(1)).attribute(
        images,
        (images.shape[1], window, window),
        strides=(images.shape[1], stride, stride),
        baselines=0.5,
        target=classes,
        perturbations_per_eval=32,
    )
    torch.testing.assert_close(ours, theirs[:, 0].to(ours.dtype), rtol=0, atol=1e-5)
