"""What each section finds, on networks of which it is known."""

import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.minimum_norm import minimum_norm
from labkit.report.measuring import Measured, measure_all
from labkit.report.parts import attribution, calibration, failures, fooling, occlusion, predictions, shortcuts, units
from labkit.report.sections import Chart, Section
from labkit.report.subject import METHODS, subject_of
from tests.report.conftest import small

pytestmark = pytest.mark.slow


class Corner(nn.Module):
    """Says class 1 where the upper left corner is bright, and looks at nothing else."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 4, stride=4)
        self.head = nn.Linear(16, 2)
        with torch.no_grad():
            self.conv.weight.fill_(1 / 16)
            self.conv.bias.zero_()
            self.head.weight.zero_()
            self.head.weight[1, 0], self.head.bias[1] = 40.0, -32.0
            self.head.bias[0] = 0.0

    def forward(self, images):
        return self.head(self.conv(images).flatten(1))


def under(model, images, labels=None, **options):
    settings = {"layer": None, "methods": METHODS, "examples": 8, "batch_size": 32, "seed": 0}
    fixed = {"name": "it", "classes": (), "files": ()}
    return subject_of(model, images, labels, **fixed, **(settings | options))


def shown(part, subject, *others):
    tasks = [task for each in (part, *others) for task in each.PART.tasks(subject)]
    return part.PART.section(subject, measure_all(subject, tasks)[0])


def corners(count):
    """Noise, of which every second image has a bright corner: those of class 1."""
    images = 0.4 * torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    images[1::2, :, :4, :4] = 0.9
    return images, torch.arange(count) % 2


def test_the_map_that_shows_the_corner_is_the_one_to_trust():
    subject = under(Corner().eval(), corners(16)[0][1::2], methods=("occlusion", "saliency"))
    section = shown(attribution, subject)
    assert section.statements[0].words.startswith("Trust ")
    (frames,) = [block for block in section.blocks if hasattr(block, "galleries")]
    assert len(frames.galleries) == 8
    assert all(len(gallery.tiles) == 3 for gallery in frames.galleries)  # the image and two maps


def test_a_map_of_a_network_that_says_nothing_is_not_trusted():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(256, 2)
            nn.init.zeros_(self.head.weight)

        def forward(self, images):
            return self.head(images.flatten(1))

    section = shown(attribution, under(Constant().eval(), corners(8)[0], methods=("saliency",)))
    assert section.statements[0].words.startswith("No map can be trusted here")
    assert section.statements[0].alarm


def test_the_planted_corner_is_the_first_finding():
    section = shown(shortcuts, under(Corner().eval(), *corners(60)))
    assert section.statements[0].words.startswith("Shortcut: The region of rows 0 to 3 and columns 0 to 3")
    assert section.statements[0].alarm
    assert section.statements[0].headline


def test_hiding_the_corner_changes_what_it_says():
    subject = under(Corner().eval(), corners(16)[0][1::2])
    section = shown(occlusion, subject, attribution)
    assert "in 8 of 8 images, 100%" in section.statements[0].words


def test_distances_are_those_of_minimum_norm():
    images, labels = corners(8)
    model = Corner().eval()
    figures = fooling.smallest(under(model, images, labels), torch.tensor([1, 3]))
    found = minimum_norm(model, images[[1, 3]], labels[[1, 3]], steps=10, tolerance=0.1)
    torch.testing.assert_close(figures["distances"], found.distances)
    section = shown(fooling, under(model, images, labels))
    assert "half of the images that it classifies correctly" in section.statements[0].words
    assert any("signs of masked gradients" in each.words for each in section.statements)


def test_the_curve_ends_soon_after_the_largest_change_that_was_needed():
    tiny = {"distances": torch.tensor([0.0, 0.1, 0.2]) / 255, "images": torch.zeros(3, 1, 16, 16)}
    measured = Measured(torch.arange(3), tiny | {"said": torch.tensor([0, 1, 0])})
    section = Section("fooling", "What fools it")
    fooling._add_distances(section, under(Corner().eval(), *corners(8)), measured)
    (chart,) = [block for block in section.blocks if isinstance(block, Chart)]
    _, right = chart.figure.axes[0].get_xlim()
    assert 0.2 < right < 0.3


def test_accuracy_and_mistakes_are_counted():
    images, labels = corners(40)
    wrong = labels.clone()
    wrong[1] = wrong[3] = 0
    subject = under(Corner().eval(), images, wrong)
    assert "38 of 40 images correctly" in shown(predictions, subject).statements[0].words
    section = shown(failures, subject)
    assert section.statements[0].words == "The most frequent mistake: class 0 taken for class 1, 2 of 2."
    assert section.blocks[0].title == "class 0 taken for class 1: 2"


def test_what_failures_have_in_common_is_named():
    images, labels = corners(80)
    labels[1::2][:20] = 0  # half of the images with a bright corner are now called mistakes
    images[1::2][:20] = (images[1::2][:20] + 0.1).clamp(max=1)
    words = [each.words for each in shown(failures, under(Corner().eval(), images, labels)).statements]
    assert any("wrong are brighter than the others" in each for each in words)


def test_a_network_that_is_too_sure_is_told():
    images, labels = corners(60)
    labels = torch.where(torch.arange(60) % 3 == 0, 1 - labels, labels)
    section = shown(calibration, under(Corner().eval(), images, labels))
    assert section.statements[0].words.startswith("It is too sure of itself")
    assert [calibration._points(each) for each in (-0.004, 0.0, 0.004, -0.006)] == ["0", "0", "0", "-1"]


def test_without_labels_what_needs_them_says_so():
    subject = under(Corner().eval(), corners(8)[0])
    for part in (shortcuts, calibration, failures):
        (problem,) = shown(part, subject).problems
        assert "without labels" in problem


def test_units_of_a_layer_and_ideal_images():
    images, labels = data.examples("mnist", 40)
    subject = under(models.load("mnist"), images, labels, layer="pool2")
    section = shown(units, subject)
    titles = [block.title for block in section.blocks if hasattr(block, "title")]
    assert sum("what excites it most" in title for title in titles) == 4
    assert sum(title.startswith("Cluster ") for title in titles) == 6
    assert any(title.startswith("Grown to excite units of 'pool2'") for title in titles)
    (made,) = [block for block in section.blocks if getattr(block, "title", "").endswith("names most often")]
    assert all(tile.caption.endswith("99%") for tile in made.tiles)
    assert section.problems == []


def test_ideal_images_of_units_are_not_empty():
    subject = under(small(), torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    made = units.unit_images(subject, torch.tensor([0]))["images"]
    assert made.std() > 0.02


def test_units_that_say_nothing_of_grey_begin_with_a_blurred_image():
    model = small()
    with torch.no_grad():  # units that answer to edges only
        model[0].weight -= model[0].weight.mean((2, 3), keepdim=True)
        model[0].bias.fill_(-0.3)
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    subject = under(model, images, layer="1")
    found = units.unit_images(subject, torch.tensor([0, 1]))
    assert found["blurred"].tolist() == [True, True]
    with torch.no_grad():
        excited = model[:2](found["images"]).mean((2, 3)), model[:2](images).mean((2, 3)).amax(0)
    for place, unit in enumerate(subject.units[:2]):
        assert excited[0][place, unit] > excited[1][unit], "more than by any image"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_part_fails_in_either_precision(dtype):
    images, labels = data.examples("mnist", 20)
    model = models.load("mnist").to(dtype)
    subject = under(model, images, labels, methods=("saliency", "grad_cam"))
    for part in (units, fooling):
        assert shown(part, subject).problems == []


def test_too_few_images_give_no_verdict():
    section = shown(attribution, under(Corner().eval(), corners(8)[0][1::2], methods=("occlusion", "saliency")))
    assert section.statements[0].words.startswith("So few images (4) do not tell which map to trust")


@pytest.mark.parametrize(
    ("gain", "start", "alarm"), [(0.0, "No map can be trusted", True), (0.3, "These 6 images", False)]
)
def test_a_lead_that_the_images_do_not_settle_is_no_alarm(gain, start, alarm):
    scores = torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]) + gain
    own = {"deletion": torch.zeros(6), "insertion": scores, "similarity": torch.zeros(6) + 0.01 * scores}
    base = {"deletion": torch.zeros(6), "insertion": torch.zeros(6)}
    subject = under(Corner().eval(), corners(12)[0][1::2])
    verdict = attribution.Verdict(*(Measured(torch.arange(6), each) for each in (own, base)), 6)
    (said,) = attribution._statements(subject, {"saliency": verdict}, {"saliency": "saliency"}, 6)
    assert said.words.startswith(start)
    assert said.alarm == alarm
