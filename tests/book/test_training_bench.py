"""The bench that trains, in Chromium: its steps are PyTorch's, and a network is trained, saved, broken and hardened."""

import copy
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from labkit import data, models
from labkit.lab_network import lab_network, trained_tensors
from tests.book.browsing import AXE, BOOK, IN_DARK, OVERFLOW, served
from tests.book.lab_page import PAGE, eventually, opened, press_until, verdict
from tools.website.fetch_assets import VENDOR

WEIGHTS = Path(models.__file__).with_name("weights") / "mnist.safetensors"

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("training bench")]
expect.set_options(timeout=60_000)

PROVOKED = ("is not a network", "This page has no network", "it was silent", "enough of it")
PATIENCE = 300_000  # milliseconds, for machines that are busy
STEPS, BATCH, SEED = 100, 20, 1


@pytest.fixture(scope="module")
def bench(browser):
    with opened(browser, f"{PAGE.as_uri()}#train&filters=4&passes=1", start=False, allowed=PROVOKED) as tab:
        tab.locator(".lab-load").click()
        tab.locator(".lab-train").wait_for(timeout=PATIENCE)
        yield tab


def idle(tab):
    tab.wait_for_function("!liveLab.whole.train.running", timeout=PATIENCE)


def choose(tab, choices):
    """Open the bench that trains with these choices for network A."""
    tab.evaluate("choices => (location.hash = `#train&${choices}`)", choices)
    taken = """choices => liveLab.whole.shown === "train" && choices.split("&").map(each => each.split("="))
        .every(([name, value]) => liveLab.whole.train.settings.get(name) === value)"""
    tab.wait_for_function(taken, arg=choices, timeout=PATIENCE)


def uniform(seed):
    """The page's random numbers (mulberry32)."""
    state = seed
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        mixed = (state ^ state >> 15) * (1 | state) & 0xFFFFFFFF
        mixed = ((mixed + ((mixed ^ mixed >> 7) * (61 | mixed) & 0xFFFFFFFF)) & 0xFFFFFFFF) ^ mixed
        yield (mixed ^ mixed >> 14) / 2**32


def shuffled(count):
    """The order in which the page shows its digits in the first pass."""
    draw = uniform(1000 + SEED)
    for _ in range(count):
        next(draw)  # which labels are wrong: none
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int((last + 1) * next(draw))
        order[last], order[other] = order[other], order[last]
    return order


@pytest.mark.parametrize("batch_norm", [False, True])
def test_100_steps_from_the_same_start_are_pytorchs(bench, batch_norm):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = lab_network(filters=4, batch_norm=batch_norm)
    state = {name: network.state_dict()[name].flatten().tolist() for name in trained_tensors(network)}
    recipe = {"filters": 4, "convolutions": 2, "norm": batch_norm, "rate": 0.02, "batch": BATCH, "passes": 1}
    recipe |= {"shift": 0, "wrong": 0, "corner": False, "eps": 0, "attack": 0, "seed": SEED}
    found = bench.evaluate(
        """async ([recipe, state, steps]) => {
            for (const name of Object.keys(state)) state[name] = Float32Array.from(state[name]);
            await liveLab.engine.build("B", recipe, state);
            const report = await liveLab.engine.train("B", steps, () => {});
            const weights = Object.entries(report.state).map(([name, values]) => [name, [...values]]);
            return { total: report.total, weights: Object.fromEntries(weights) };
        }""",
        [recipe, state, STEPS],
    )
    count = found["total"] * BATCH  # the full 10,000, or the 2,000 of the bundled sample
    digits = data.load("mnist", "train") if count == 10_000 else data.sample("mnist", "train")
    order = shuffled(count)
    exact, single = (trained(copy.deepcopy(network).to(kind), digits, order, found["total"]) for kind in KINDS)
    page = {name: torch.tensor(values, dtype=torch.float64) for name, values in found["weights"].items()}
    away = max((page[name] - exact[name]).abs().max() for name in page)
    # A batch norm lets rounding grow: PyTorch itself, in single precision, then goes farther astray than the page.
    assert away < (max((single[name] - exact[name]).abs().max() for name in page) if batch_norm else 1e-3)


KINDS = (torch.float64, torch.float32)


def trained(network, digits, order, total):
    """The weights after the same steps by PyTorch, in the network's own precision."""
    optimizer = torch.optim.SGD(network.parameters(), 0.02, momentum=0.9)
    kind = network.fc2.weight.dtype
    network.train()
    for step in range(STEPS):
        some = order[step * BATCH : (step + 1) * BATCH]
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / total)
        loss = nn.functional.cross_entropy(network(digits.images[some].to(kind)), digits.labels[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: tensor.flatten().double() for name, tensor in network.state_dict().items()}


def test_a_network_is_trained_kept_found_out_and_hardened(bench, tmp_path):
    train = bench.get_by_role("button", name="Train", exact=True)
    status, room = bench.locator(".lab-status").first, bench.locator(".lab-train")
    choose(bench, "filters=4&passes=10")  # a training that is not over before it is paused
    train.click()
    bench.wait_for_function("liveLab.whole.train.lanes[0].losses.length > 0", timeout=PATIENCE)
    bench.get_by_role("button", name="Pause").click()
    idle(bench)
    bench.evaluate("liveLab.whole.train.pausing")
    paused = bench.evaluate("liveLab.engine.own.A.step")
    assert 0 < paused < 5000
    bench.get_by_role("button", name="One step").click()
    idle(bench)
    assert bench.evaluate("liveLab.engine.own.A.step") == paused + 1
    choose(bench, "filters=4&passes=1")
    train.click()
    idle(bench)
    expect(status).to_contain_text("of the test digits read correctly")
    accuracy = bench.evaluate("liveLab.whole.train.lanes[0].accuracy")
    assert accuracy > 0.9
    expect(room.locator(".lab-confusion").first.locator("td").nth(1)).not_to_be_empty()
    expect(room.get_by_text("of these 60 test digits are read correctly").first).to_be_visible()
    bench.wait_for_timeout(400)
    assert bench.evaluate("location.hash").startswith("#train"), "the address is that of the bench that is shown"
    # What is saved is what labkit loads.
    with bench.expect_download() as download:
        bench.get_by_role("button", name="Save", exact=True).click()
    path = tmp_path / "A.safetensors"
    download.value.save_as(path)
    network, digits = models.load(str(path)), data.sample("mnist")
    with torch.no_grad():
        assert (network(digits.images).argmax(1) == digits.labels).float().mean().item() == pytest.approx(
            accuracy, abs=1e-3
        )
    choose(bench, "filters=8&passes=2")
    alert = bench.locator(".lab-train .lab-alert")
    for name, said in ((path, ""), (WEIGHTS, "no network of 32 filters"), (__file__, "is not a network")):
        with bench.expect_file_chooser() as chooser:
            bench.get_by_role("button", name="Load a saved one").click()
        chooser.value.set_files(name)
        idle(bench)
        expect(alert).to_contain_text(said)
        assert alert.is_visible() == bool(said)
        settings = bench.evaluate("['filters', 'passes'].map(name => liveLab.whole.train.settings.get(name))")
        assert settings == ["4", "1"], "the menus say what the file says"
        expect(status).not_to_contain_text("You have changed its choices")
    # Every view acts on it, and an attack breaks it.
    bench.get_by_role("button", name="Draw for them, and attack them").click()
    expect(verdict(bench, "A")).to_have_text("7", timeout=PATIENCE)
    for view in ("saliency", "occlusion", "kernel", "ideal", "activations", "attack"):
        bench.evaluate("name => liveLab.benches[0].show(name)", view)
        expect(bench.locator(f".lab-panel-{view}")).to_be_visible()
    panel = bench.locator(".lab-panel-attack")
    panel.get_by_role("slider", name="eps").press("End")
    expect(panel.locator("output.lab-words").first).to_contain_text("Fooled: it now sees a", timeout=PATIENCE)
    # A hardened copy withstands more.
    bench.get_by_role("button", name="Train your own").click()
    words = room.get_by_text("Attacking network A with every eps")
    for begin in ("Measure again", "Harden a copy of A"):
        bench.get_by_role("button", name=begin).click()
        expect(words).to_be_visible()
        bench.get_by_role("button", name="Pause").click()
        idle(bench)
        expect(room.get_by_text("Paused before every eps was tried.")).to_be_visible()
    assert bench.evaluate("liveLab.engine.own.B.step") == 0
    bench.evaluate(
        "liveLab.engine.addEventListener('measured', ({ detail }) => (liveLab.tested ||= detail.what === 'test'))"
    )
    room.get_by_role("combobox", name="passes").last.select_option("1")
    bench.get_by_role("button", name="Harden a copy of A").click()
    idle(bench)
    assert not bench.evaluate("liveLab.tested"), "a copy does not show how soon a network learns"
    curves = bench.evaluate(
        "Object.fromEntries(['A', 'B'].map(name => [name, liveLab.whole.train.harden.curves[name]]))"
    )
    before, after = (dict(map(tuple, curves[name])) for name in ("A", "B"))
    assert after[0.2] > before[0.2] + 0.2
    expect(bench.locator(".lab-news")).to_contain_text("Challenge reached: ")
    bench.get_by_role("button", name="Challenges").click()
    expect(bench.get_by_text("yours: ").first).to_be_visible()
    assert bench.locator("li.lab-done").count() > 0


# What the worker does once it has reported its first steps.
DIE = {
    "throws": "setTimeout(() => { throw new Error('enough of it') })",
    "is gone without a word": "close()",
}
AFTER = """() => {
    const post = postMessage;
    globalThis.postMessage = answer => {
        post(answer);
        if (answer.part?.step > 20) DIE;
    };
}"""


@pytest.mark.parametrize("end", DIE)
def test_the_worker_dies_while_it_trains(bench, end):
    """A sentence says so, nothing that has been learnt is lost, and training goes on where it was."""
    choose(bench, "filters=4&passes=1&shift=0")
    eventually(lambda: bench.evaluate("1") and len(bench.workers) == 1)
    bench.workers[0].evaluate(AFTER.replace("DIE", DIE[end]))
    bench.evaluate("liveLab.engine.patience = 5000")
    bench.get_by_role("button", name="Train", exact=True).click()
    alert = bench.locator(".lab-train .lab-alert")
    expect(alert).to_contain_text("The networks stopped (", timeout=PATIENCE)
    expect(alert).to_contain_text("Nothing is lost, and they start anew. Press “Try again”")
    expect(alert).to_contain_text("What your networks have learnt is kept.")
    idle(bench)
    bench.evaluate("liveLab.engine.patience = 20000")
    kept = bench.evaluate("(({ step, seconds }) => ({ step, seconds }))(liveLab.engine.own.A)")
    assert 20 < kept["step"] < 500
    bench.evaluate(
        """() => liveLab.engine.addEventListener("measured", ({ detail }) => (liveLab.first ??= detail.seconds))"""
    )
    alert.get_by_role("button", name="Try again").click()
    idle(bench)
    expect(alert).to_be_hidden()
    assert bench.evaluate("liveLab.engine.own.A.step") == bench.evaluate("liveLab.engine.own.A.total")
    assert bench.evaluate("liveLab.first") > kept["seconds"], "the seconds begin anew"
    bench.evaluate("delete liveLab.first")
    assert bench.evaluate("liveLab.whole.train.lanes[0].accuracy") > 0.85


def test_too_high_a_rate_diverges_and_the_page_says_why(bench):
    choose(bench, "rate=10&filters=4&passes=1")
    bench.get_by_role("button", name="Start over").click()
    idle(bench)
    bench.get_by_role("button", name="Train", exact=True).click()
    idle(bench)
    expect(bench.locator(".lab-status").first).to_contain_text("Choose a smaller learning rate and press Start over.")


def on_button(text):
    return f"document.activeElement.textContent === {text!r} && !document.activeElement.disabled"


def test_with_the_keyboard_alone_over_http(browser):
    """A network is trained, broken and hardened."""
    with served(BOOK) as address, opened(browser, f"{address}/lab/live_lab.html#train", start=False) as tab:
        press_until(tab, "Tab", "document.activeElement.classList.contains('lab-load')")
        tab.keyboard.press("Enter")
        tab.locator(".lab-train").wait_for(timeout=PATIENCE)
        eventually(lambda: tab.evaluate("document.activeElement.textContent") == "Train your own")
        for choice in ("filters", "passes"):
            press_until(tab, "Tab", f"document.activeElement.labels?.[0]?.textContent.startsWith({choice!r})")
            tab.keyboard.press("Home")
        press_until(tab, "Tab", on_button("Train"))
        tab.keyboard.press("Enter")
        idle(tab)
        expect(tab.locator(".lab-status").first).to_contain_text("of the test digits read correctly")
        press_until(tab, "Tab", on_button("Draw for them, and attack them"))
        tab.keyboard.press("Enter")
        expect(verdict(tab, "A")).to_have_text("7", timeout=PATIENCE)
        press_until(tab, "Tab", "document.activeElement.getAttribute('role') === 'tab'")
        press_until(tab, "ArrowRight", "document.activeElement.textContent === 'Attack it'")
        press_until(tab, "Tab", "document.activeElement.ariaLabel === 'eps'")
        tab.keyboard.press("End")
        words = tab.locator(".lab-panel-attack output.lab-words").first
        expect(words).to_contain_text("Fooled: it now sees a", timeout=PATIENCE)
        press_until(tab, "Shift+Tab", on_button("Train your own"))
        tab.keyboard.press("Enter")
        press_until(
            tab, "Tab", "document.activeElement.closest('.lab-right .lab-menu')?.textContent.startsWith('passes')"
        )
        tab.keyboard.press("Home")
        press_until(tab, "Tab", on_button("Harden a copy of A"))
        tab.keyboard.press("Enter")
        idle(tab)
        expect(tab.get_by_text("Network B reads").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(bench, scheme):
    bench.emulate_media(color_scheme=scheme)
    bench.set_viewport_size({"width": 390, "height": 844})
    if not bench.evaluate("typeof axe !== 'undefined'"):
        bench.add_script_tag(path=VENDOR / ".axe/axe.min.js")
    for name in ("Train your own", "Challenges"):
        bench.get_by_role("button", name=name).click()
        bench.wait_for_timeout(200)
        assert bench.evaluate(AXE, IN_DARK if scheme == "dark" else {}) == [], name
        assert bench.evaluate(OVERFLOW) == [], name
