"""`labkit lab` in Chromium: a page for each kind of file that it takes, opened from disk."""

import pytest
import torch
from playwright.sync_api import expect
from safetensors.torch import save_file

from labkit import data
from labkit.export.lab_page import write_lab, write_photograph_lab
from labkit.lab_network import lab_network, trained_tensors
from labkit.report.networks import load_network
from tests.book.lab_page import ask, begin, open_view, opened, verdict

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("lab page")]

UNSEEN = "“Look inside” is left out: the file does not say which pixels a unit sees."


@pytest.fixture(scope="module")
def network():
    """Four filters after thirty steps: it reads some digits, and has its own weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = lab_network(filters=4, convolutions=1, batch_norm=True)
    digits = data.sample("mnist", "train")
    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    for step in range(30):
        some = slice(50 * step, 50 * step + 50)
        loss = torch.nn.functional.cross_entropy(made(digits.images[some]), digits.labels[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return made.eval()


def written(network, kind, path):
    """The network as a file of this kind."""
    images, batch = torch.zeros(2, 1, 28, 28), torch.export.Dim("batch", min=1)
    if kind == "safetensors":
        save_file({name: network.state_dict()[name] for name in trained_tensors(network)}, path)
    elif kind == "onnx":
        torch.onnx.export(
            network,
            (images,),
            str(path),
            dynamo=False,
            opset_version=17,
            dynamic_axes={"0": {0: "n"}},
            input_names=["0"],
        )
    else:
        torch.export.save(torch.export.export(network, (images,), dynamic_shapes=({0: batch},)), path)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of its older exporter
@pytest.mark.parametrize("kind", ["safetensors", "onnx", "pt2"])
def test_a_page_with_ones_own_network_opens_and_says_what_it_lacks(browser, network, kind, tmp_path):
    page = write_lab(written(network, kind, tmp_path / f"mine.{kind}"), tmp_path / "lab.html")
    seven = data.examples("mnist", 10)[0][7:8]
    with opened(browser, page.as_uri(), start=False) as tab:
        begin(tab)
        with torch.no_grad():
            expected = network(seven)
        expect(verdict(tab, "ordinary")).to_have_text(str(expected.argmax().item()))
        found = ask(tab, "predict", "network", image=seven)["logits"]
        torch.testing.assert_close(torch.tensor(found), expected[0], atol=1e-4, rtol=0)
        note = tab.locator(".lab-note").first
        expect(note).to_contain_text("Training, challenges and proofs are in the book's live lab.")
        assert (UNSEEN in note.inner_text()) == (kind != "safetensors")
        views = ["saliency", "occlusion", "attack", "ideal", "kernel"]
        for view in ["activations", *views] if kind == "safetensors" else views:
            panel = open_view(tab, view)
            expect(panel.locator("canvas").first).to_be_visible()
        assert tab.locator(".lab-tab-activations").count() == (kind == "safetensors")
        assert tab.locator(".lab-tab-certify").count() == 0
        expect(open_view(tab, "attack").locator("output.lab-words").first).to_contain_text("ooled")


@pytest.mark.parametrize("name", ["cifar10", "torchvision:mobilenet_v3_small"])
def test_a_page_for_photographs_with_another_network_opens(browser, name, tmp_path):
    found = load_network(name, untrained=":" in name)
    page = write_photograph_lab(found.model, tmp_path / "photos.html", label=name, names=found.classes)
    _, height, width = found.image_shape
    with opened(browser, page.as_uri(), start=False) as tab:
        expect(tab.locator(".lab-load")).to_have_text("Start the live lab")
        tab.locator(".lab-load").click()
        expect(tab.locator(".lab-classes th").first).not_to_have_text("", timeout=120_000)
        caption = f"{name}: its likeliest of {len(found.classes):,} classes"
        assert tab.locator(".lab-classes caption").all_inner_texts() == [caption], "and no network beside it"
        logits = torch.tensor(tab.evaluate("[...liveLab.photographs[0].logits]"))
        image = torch.tensor(tab.evaluate("[...liveLab.photographs[0].image]")).view(1, 3, height, width)
        torch.testing.assert_close(logits, found.model(image)[0].detach(), atol=2e-2, rtol=0)
        expect(tab.locator(".lab-panel-see output.lab-words")).not_to_have_text("", timeout=120_000)
        tab.get_by_role("tab", name="Where").click()
        expect(tab.locator(".lab-panel-where output.lab-words").first).not_to_have_text("", timeout=120_000)
        tab.get_by_role("tab", name="Break").click()
        expect(tab.locator(".lab-cures tbody tr")).to_have_count(3, timeout=120_000)
        assert tab.get_by_role("tab", name="As a digit").count() == 0
        assert tab.evaluate("location.hash").startswith("#photographs&view=break")
