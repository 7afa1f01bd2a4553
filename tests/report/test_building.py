"""The report itself: what is in it, that it resumes and keeps to its budget, and what it refuses."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from labkit.attribution.saliency import saliency
from labkit.core import importance
from labkit.evaluation.deletion import deletion
from labkit.report import report
from labkit.report.part import Part
from labkit.report.sections import CHAPTERS, Words
from tests.report.conftest import small

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
LABELS = torch.tensor([0, 1, 2, 3, 0])


def named(found):
    return {section.name: section for section in found.sections}


def test_maps_and_their_scores_are_those_of_the_public_functions(network, images):
    found = report(network, images).found["attribution-saliency"]
    classes = network(images).argmax(1)
    maps = importance(saliency(network, images, classes), images)
    torch.testing.assert_close(found.figures["maps"], maps)
    areas = deletion(network, images, classes, maps, steps=10, fill=images.mean().item()).area
    torch.testing.assert_close(found.figures["deletion"], areas.detach())


def test_the_page_is_one_file_that_asks_for_nothing(network, images, tmp_path):
    page = report(network, images, LABELS, name="<mine>").save(tmp_path / "report.html").read_text("utf-8")
    assert "&lt;mine&gt; under the microscope" in page
    assert "<mine>" not in page
    addresses = re.findall(r"""(?:src|href)="([^"]*)"|url\(([^)]*)\)""", page)
    assert {(one or other)[:5] for one, other in addresses if not one.startswith("#")} == {"data:"}


def test_every_statement_has_its_figure_and_a_chapter_that_is_there(network, images):
    found = report(network, images, LABELS)
    page = found.html  # written anew at each look
    statements = [each for section in found.sections for each in section.statements]
    assert len(statements) >= 4
    for each in statements:
        part, _, _ = CHAPTERS[each.chapter]
        assert list((ROOT / "book" / part).glob(f"{each.chapter}.*"))
        assert each.figure
        assert f'href="#chapter-{each.chapter}"' in page
    linked = replace(found, book="https://example.org/book/").html
    assert 'href="https://example.org/book/attribution/11_which_map_to_trust.html"' in linked


@pytest.mark.parametrize(("slug", "part", "title"), [(slug, *rest[:2]) for slug, rest in CHAPTERS.items()])
def test_chapters_are_called_what_the_book_calls_them(slug, part, title):
    (path,) = (ROOT / "book" / part).glob(f"{slug}.*")
    assert re.search(rf'# (The )?{title}(\\n)?"?,?$', path.read_text("utf-8"), re.MULTILINE)


def test_a_report_that_was_killed_goes_on_where_it_was(network, images, tmp_path):
    def killed(passes):
        for each in passes:
            if each > 600:
                raise KeyboardInterrupt
            yield each

    with pytest.raises(KeyboardInterrupt):
        report(network, images, folder=tmp_path, progress=killed)
    kept = set(tmp_path.rglob("*.safetensors"))
    resumed = report(network, images, folder=tmp_path)
    whole = report(network, images)
    assert kept
    assert 0 < resumed.passes < whole.passes
    for name, each in whole.found.items():
        torch.testing.assert_close(resumed.found[name].figures, each.figures, equal_nan=True)


def test_another_network_does_not_get_what_was_kept(network, images, tmp_path):
    first = report(network, images, folder=tmp_path)
    with torch.no_grad():
        network[0].weight.mul_(1.5)
    second = report(network, images, folder=tmp_path)
    assert second.passes == first.passes


def test_a_budget_leaves_out_what_is_less_telling_and_says_so(network, images):
    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            time.sleep(0.005)
            return self.network(images)

    found = report(Slow().eval(), images, budget=0.5)
    assert not found.complete
    assert found.seconds < 2.5
    assert named(found)["predictions"].statements  # what costs nothing is there
    words = " ".join(problem for section in found.sections for problem in section.problems)
    assert "The budget was spent before all of this was measured; left out: " in words
    assert "images grown for units" in words


def test_what_fails_says_why_and_leaves_the_rest(images):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 4, stride=4)
            self.blocks = nn.Sequential(*[nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(3)])
            self.head = nn.Linear(8, 4)

        def forward(self, images):
            return self.head(self.blocks(self.patches(images).flatten(2).mT).mean(1))

    torch.manual_seed(0)
    found = report(Tokens().eval(), images)
    assert any("Grad-CAM does not apply" in each and "tokens" in each for each in named(found)["attribution"].problems)
    assert any("no ReLU" in each or "guided" in each for each in named(found)["attribution"].problems)
    assert len(found.found["attribution-smoothgrad"].chosen) == len(images)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": torch.zeros(0, 3, 16, 16)}, "shape (N, C, H, W), got torch.float32 of shape (0, 3, 16, 16)"),
        ({"images": 255 * torch.ones(2, 3, 16, 16)}, "pixels must lie in [0, 1], got values from 255 to 255"),
        ({"images": torch.ones(2, 3, 9, 9)}, "the network cannot take images of shape (3, 9, 9)"),
        ({"labels": torch.tensor([0, 1, 2, 3, 4])}, "the network has 4 classes, got the label 4"),
        ({"classes": ["a", "b"]}, "the network has 4 classes, got 2 names of classes"),
        ({"layer": "conv9"}, "unknown layer 'conv9'; the network has 0, 1, 2"),
        ({"methods": ["lime"]}, "methods must be one of"),
        ({"budget": 0}, "budget must be a number above 0, got 0"),
        ({"examples": 0}, "examples must be a whole number from 1 up, got 0"),
        ({"model": small().train()}, "must be in eval mode"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(768, 1)).eval()}, "at least 2 classes, got (5, 1)"),
    ],
)
def test_bad_input_gets_one_sentence(network, images, change, words):
    given = {"model": network, "images": images} | change
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        report(given.pop("model"), given.pop("images"), **given)
    assert "\n" not in str(error.value)


def test_weights_that_are_not_finite_are_named(network, images):
    with torch.no_grad():
        network[3].bias[2] = torch.nan
    with pytest.raises(ValueError, match=r"must be finite, got 1 numbers in '3\.bias' that are not"):
        report(network, images)


@pytest.mark.parametrize(
    ("shape", "classes", "dtype"),
    [((1, 16, 16), 10, "float32"), ((3, 12, 20), 2, "float32"), ((3, 16, 16), 4, "float64")],
)
def test_other_images_and_networks(shape, classes, dtype):
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))
    network = nn.Sequential(nn.Conv2d(shape[0], 8, 3), nn.ReLU(), head).to(getattr(torch, dtype)).eval()
    found = report(network, torch.rand(12, *shape), examples=3)
    assert [problem for section in found.sections for problem in section.problems if "--labels" not in problem] == []
    assert found.found["attribution-occlusion"].figures["maps"].shape == (3, *shape[1:])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use")
def test_a_network_that_lives_on_a_gpu_gives_the_same_report(network, images):
    alone = report(network, images, LABELS)
    found = report(network.double().cuda(), images, LABELS)
    assert [section.problems for section in found.sections] == [section.problems for section in alone.sections]
    for name in ("attribution-occlusion", "attribution-saliency"):
        maps = found.found[name].figures["maps"].float()
        torch.testing.assert_close(maps, alone.found[name].figures["maps"], rtol=1e-3, atol=1e-4)
    assert found.html.count("<figure") == alone.html.count("<figure")


def test_a_part_that_cannot_be_shown_keeps_its_heading_and_what_it_had(network, images):
    def show(section, subject, found):
        section.blocks.append(Words("so far"))
        raise RuntimeError("no more")

    part = Part("mine", "Mine", show)
    section = part.section(report(network, images, methods=["saliency"]).subject, {})
    assert (section.title, section.blocks, section.problems) == ("Mine", [Words("so far")], ["RuntimeError: no more"])


def test_sections_that_say_nothing_come_last_and_five_images_form_no_clusters(network, images):
    sections = report(network, images, methods=["saliency"]).sections
    empty = [not (section.statements or section.blocks) for section in sections]
    assert empty == sorted(empty)
    assert {section.name for section in sections[empty.index(True) :]} == {
        "shortcuts",
        "calibration",
        "failures",
        "occlusion",
    }
    (units,) = [section for section in sections if section.name == "units"]
    assert units.problems == ["So few images (5) form no clusters that tell something; 12 or more may."]


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(network, images):
    shown = report(network, images, methods=["saliency"])._repr_html_()
    assert shown.startswith("<iframe")
    assert "&lt;!doctype html&gt;" in shown
