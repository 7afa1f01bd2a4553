"""The live lab in Chromium: it draws, computes what labkit computes, is fooled, and needs neither mouse nor network."""

import pytest
import torch
from playwright.sync_api import expect

from labkit import data, models
from labkit.attacks.fgsm import fgsm
from labkit.attacks.minimum_norm import minimum_norm
from labkit.attacks.pgd import pgd
from labkit.attribution.occlusion import occlusion
from labkit.certification.interval_bounds import interval_bounds
from labkit.core import input_gradient
from labkit.features.receptive_field import receptive_field
from tests.book.browsing import AXE, BOOK, IN_DARK, OVERFLOW, served
from tests.book.lab_page import (
    BENCH,
    NETWORKS,
    PAGE,
    SEVEN,
    VIEWS,
    ask,
    digit,
    draw,
    eventually,
    open_view,
    opened,
    pick_first_seven,
    press_until,
    verdict,
)
from tools.website.fetch_assets import VENDOR

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live lab")]  # one page for most of them
expect.set_options(timeout=60_000)  # for machines that are busy

# How many times the page had a turn while something was computed.
TURNS = """async (work) => {
    let turns = 0;
    const beat = setInterval(() => turns++, 4);
    await eval(work);
    clearInterval(beat);
    return turns;
}"""


@pytest.fixture(scope="module")
def running(browser):
    with opened(browser) as tab:
        yield tab


@pytest.fixture
def lab(running):
    """The started lab with a test 7 in it and its first view open."""
    running.emulate_media(color_scheme="light")
    open_view(running, "activations")
    pick_first_seven(running)
    return running


# It computes what labkit computes.


@pytest.mark.parametrize("network", NETWORKS)
def test_logits_and_gradients_of_100_digits_equal_pytorchs(lab, network):
    model, (images, _) = models.load(network), data.examples("mnist", 100)
    weights = torch.randn(100, 10, generator=torch.Generator().manual_seed(0))
    logits, gradient = run(lab, network, images, weights)
    torch.testing.assert_close(logits, model(images).detach(), atol=1e-5, rtol=0)
    # Evenly white strokes make equal maxima, and rounding then decides which of them the gradient goes to: the digits
    # in which that happens are those in which PyTorch does not agree with itself. A little noise leaves none.
    expected = weighted_gradient(model, images, weights)
    exact = weighted_gradient(models.load(network).double(), images.double(), weights.double()).float()
    assert (close(gradient, expected) | ~close(exact, expected)).all()
    noise = 0.02 * torch.rand(images.shape, generator=torch.Generator().manual_seed(1))
    images = (0.98 * images + noise).contiguous()
    _, gradient = run(lab, network, images, weights)
    assert close(gradient, weighted_gradient(model, images, weights)).sum() >= 99


def run(tab, network, images, weights):
    """The page's logits, and its gradients of the logits weighted so."""
    found = tab.evaluate(
        """async ([network, images, weights]) => {
            const values = { images: Float32Array.from(images), weights: Float32Array.from(weights) };
            const { logits, gradient } = await liveLab.engine.ask("run", network, values);
            return { logits: [...logits], gradient: [...gradient] };
        }""",
        [network, images.flatten().tolist(), weights.flatten().tolist()],
    )
    return torch.tensor(found["logits"]).view(len(images), 10), torch.tensor(found["gradient"]).view_as(images)


def weighted_gradient(model, images, weights):
    images = images.clone().requires_grad_()
    return torch.autograd.grad((model(images) * weights).sum(), images)[0]


def close(found, expected):
    """Which images' gradients differ nowhere by more than 1e-5."""
    return (found - expected).abs().amax((1, 2, 3)) <= 1e-5


@pytest.mark.parametrize("network", NETWORKS)
def test_its_maps_and_attacks_are_labkits(lab, network):
    model, (images, classes) = models.load(network), data.examples("mnist", 20)
    image, label = images[7:8], classes[7:8]
    saliency = input_gradient(model, image, label)
    plain = ask(lab, "saliency", network, image=image, digit=7)["gradient"]
    torch.testing.assert_close(torch.tensor(plain), saliency.flatten(), atol=1e-5, rtol=0)
    smooth = ask(lab, "smoothgrad", network, image=image, digit=7, noise=0, samples=5)["gradient"]
    torch.testing.assert_close(torch.tensor(smooth), saliency.flatten(), atol=1e-5, rtol=0)
    covered = ask(lab, "occlusion", network, image=image, window=6)
    expected = occlusion(model, image, label, window=6).logits
    assert covered["across"] == 23
    torch.testing.assert_close(torch.tensor(covered["logits"]), expected.flatten(), atol=1e-4, rtol=0)
    pushed = torch.tensor(ask(lab, "attack", network, image=image, eps=0.2, target=None, steps=1)["image"])
    same = (pushed - fgsm(model, image, label, eps=0.2).flatten()).abs() < 1e-6
    assert same.float().mean() > 0.995  # where the gradient is all but 0, rounding may decide its sign
    towards = ask(lab, "attack", network, image=image, eps=0.3, target=3, steps=20)
    ours = pgd(model, image, torch.tensor([3]), eps=0.3, steps=20, targeted=True, random_start=False)
    assert (torch.tensor(towards["image"]) - image.flatten()).abs().max() <= 0.3 + 1e-6
    assert torch.tensor(towards["logits"]).argmax() == model(ours).argmax()


def test_smoothgrad_with_noise_is_near_labkits(lab):
    """Other noise, so the same map only in the mean."""
    from labkit.attribution.smoothgrad import smoothgrad

    model, (images, classes) = models.load("mnist"), data.examples("mnist", 10)
    found = ask(lab, "smoothgrad", "mnist", image=images[7], digit=7, noise=0.15, samples=200)["gradient"]
    expected = smoothgrad(model, images[7:8], classes[7:8], samples=200).flatten()
    assert torch.cosine_similarity(torch.tensor(found), expected, dim=0) > 0.97


def test_ideal_digits_grow_in_both_networks(lab):
    panel = open_view(lab, "ideal")
    panel.get_by_role("button", name="grow the ideal 3").click()
    expect(panel.locator("output").first).to_have_text("80")
    for caption in panel.locator("figcaption").all():
        expect(caption).to_contain_text("3, > 99.9%")
    slider = panel.get_by_role("slider")
    slider.press("Home")
    expect(panel.locator("figcaption").first).not_to_contain_text("> 99.9%")  # noise, to begin with


# A reader draws.


def test_a_drawn_seven_is_a_seven_wherever_and_however_large(lab):
    for scale, corner in ((1, (0, 0)), (0.4, (0.55, 0.55)), (0.3, (0.05, 0.6))):
        lab.get_by_role("button", name="Clear").click()
        draw(lab, SEVEN, scale=scale, corner=corner)
        for network in ("ordinary", "robust"):
            expect(verdict(lab, network)).to_have_text("7")
        image = torch.tensor(digit(lab)).view(28, 28)
        mass = image.sum()
        places = torch.arange(28) + 0.5
        assert abs((image.sum(0) * places).sum() / mass - 14) < 0.1
        assert abs((image.sum(1) * places).sum() / mass - 14) < 0.1
        tall = (image > 0.05).any(1).nonzero()
        assert 19 <= tall[-1] - tall[0] + 1 <= 22


def test_undo_takes_back_a_stroke_and_clear_everything(lab):
    lab.get_by_role("button", name="Clear").click()
    draw(lab, SEVEN)
    expect(verdict(lab, "ordinary")).to_have_text("7")
    before = digit(lab)
    draw(lab, [(0.1, 0.9), (0.9, 0.9)])
    eventually(lambda: digit(lab) != before)
    lab.get_by_role("button", name="Undo").click()
    assert digit(lab) == before
    lab.get_by_role("button", name="Clear").click()
    assert max(digit(lab)) == 0
    lab.locator(".lab-pad").hover()
    lab.mouse.down()
    lab.keyboard.press("Escape")
    lab.mouse.move(0, 0, steps=3)  # the stroke is over
    lab.mouse.up()
    assert lab.evaluate(f"{BENCH}.pad.pairs()") == {"digit": "blank"}


def test_a_key_of_the_browser_is_not_the_labs(lab):
    before = digit(lab)
    lab.locator(".lab-pad").press("Control+Backspace")
    assert digit(lab) == before
    lab.locator(".lab-tab-activations").press("Alt+ArrowRight")
    expect(lab.locator(".lab-panel-activations")).to_be_visible()


def test_a_file_that_is_dropped_anywhere_does_not_take_the_pages_place(lab):
    drop = """kind => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["1"], "photo.png", { type: "image/png" }));
        return !document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    }"""
    assert [lab.evaluate(drop, kind) for kind in ("dragover", "drop")] == [True, True]


def test_what_training_needs_is_loaded_once(lab):
    """A reader leaves the bench while it is loaded, and comes back."""
    visits = """async () => {
        const { whole } = liveLab;
        const first = whole.show("train");
        whole.show("digits");
        const second = whole.show("train");
        await first;
        const { train } = whole;
        await second;
        await whole.show("digits");
        return train !== null && train === whole.train;
    }"""
    assert lab.evaluate(visits)


def test_eps_flips_the_ordinary_network_and_not_the_robust_one(lab):
    panel = open_view(lab, "attack")
    slider, words = panel.get_by_role("slider", name="eps"), panel.locator("output.lab-words")
    slider.press("Home")
    expect(words.nth(0)).to_contain_text("Not fooled: it still sees a 7")
    for _ in range(50):
        slider.press("ArrowRight")
        eps = f"change, at most {float(slider.input_value()):.2f}"
        expect(panel.locator("figcaption", has_text=eps)).to_have_count(2)
        if "Fooled" in words.nth(0).inner_text():
            break
    expect(words.nth(0)).to_contain_text("Fooled: it now sees a")
    assert 0.05 < float(slider.input_value()) < 0.25
    expect(words.nth(1)).to_contain_text("Not fooled: it still sees a 7")
    panel.get_by_label("push").select_option("2")
    slider.press("End")
    expect(words.nth(0)).to_contain_text("Fooled: it now sees a 2. Smallest eps so far that did it")
    lab.evaluate("liveLab.engine.addEventListener('measured', ({ detail }) => (liveLab.measured = detail))")
    panel.get_by_label("push").select_option("7")
    expect(words.nth(1)).to_have_text("It sees a 7 already: choose another digit to push it to.")
    assert lab.evaluate("[liveLab.measured.what, liveLab.measured.fooled]") == ["attack", False]
    assert panel.locator(".lab-fooled").count() == 0
    panel.get_by_label("push").select_option("away")


def test_pointing_at_a_unit_marks_what_it_sees(lab):
    panel = open_view(lab, "activations")
    sheet, mark = panel.locator(".lab-sheet").nth(1), panel.locator(".lab-side .lab-box")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    cell = box["width"] / 119  # 8 maps of 14 units and 7 gaps between them
    lab.mouse.move(box["x"] + (2 * 15 + 4.5) * cell, box["y"] + (15 + 6.5) * cell)  # map 10, row 6, column 4
    expect(panel.locator("output.lab-words")).to_contain_text("relu2, map 10, row 6, column 4: ")
    top, left, height, width = receptive_field(models.load("mnist"), "relu2", unit=(6, 4), image_size=(28, 28)).tolist()
    found = mark.evaluate("box => [box.style.top, box.style.left, box.style.height, box.style.width].map(parseFloat)")
    assert found == pytest.approx([100 * each / 28 for each in (top, left, height, width)], abs=1e-3)
    value = float(panel.locator("output.lab-words").inner_text().split("column 4: ")[1].split(". ")[0])
    image = torch.tensor(digit(lab)).view(1, 1, 28, 28)
    with torch.no_grad():
        assert value == pytest.approx(models.load("mnist")[:6](image)[0, 10, 6, 4].item(), abs=0.006)


def test_an_edited_kernel_slides(lab):
    panel = open_view(lab, "kernel")
    cells = panel.locator(".lab-nine input")
    for at, weight in enumerate((0, 0, 0, 0, 2, 0, 0, 0, 0.5)):
        cells.nth(at).fill(str(weight))
    slider = panel.get_by_role("slider", name="position")
    slider.fill(str(10 * 28 + 14))
    image = torch.tensor(digit(lab)).view(28, 28)
    expected = 2 * image[10, 14] + 0.5 * image[11, 15]
    expect(panel.locator("output.lab-words").first).to_contain_text(f"row 10, column 14: {expected:.2f}")
    cells.nth(4).fill("-2")
    panel.get_by_label("cut off below zero").check()
    cut = f"row 10, column 14: {expected - 4 * image[10, 14]:.2f}; the output, cut off below zero: 0.00"
    expect(panel.locator("output.lab-words").first).to_contain_text(cut)
    panel.get_by_label("cut off below zero").uncheck()
    panel.get_by_role("button", name="Slide").click()
    eventually(lambda: float(slider.input_value()) > 10 * 28 + 16)
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_label("filter of a network").select_option("mnist.4")
    panel.get_by_role("button", name="Show its weights").click()
    weights = models.load("mnist").conv1.weight[4, 0].flatten().tolist()
    assert [float(cell.input_value()) for cell in cells.all()] == pytest.approx(weights, abs=0.006)


def test_a_kernel_can_be_put_into_a_network_and_taken_out_again(lab):
    model, (images, _) = models.load("mnist"), data.examples("mnist", 20)
    weights = torch.randn(20, 10, generator=torch.Generator().manual_seed(0))
    panel = open_view(lab, "kernel")
    panel.get_by_role("combobox", name="kernel", exact=True).select_option("horizontal edges")
    panel.get_by_label("filter of a network").select_option("mnist.5")
    panel.get_by_role("button", name="Put this kernel into it").click()
    expect(panel.get_by_text("Your kernel is now filter 5 of the ordinary network")).to_be_visible()
    expect(lab.locator(".lab-verdict.lab-ordinary .lab-name")).to_have_text("ordinary, changed by you")
    with torch.no_grad():
        model.conv1.weight[5, 0] = torch.tensor([[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]])
        expected = model(images)
    torch.testing.assert_close(run(lab, "mnist", images, weights)[0], expected, atol=1e-4, rtol=0)
    panel.get_by_role("button", name="Restore its own weights").click()
    expect(lab.locator(".lab-verdict.lab-ordinary .lab-name")).to_have_text("ordinary")
    expected = models.load("mnist")(images).detach()
    torch.testing.assert_close(run(lab, "mnist", images, weights)[0], expected, atol=1e-5, rtol=0)


def test_the_smallest_change_is_about_labkits(lab):
    image, label = (each[7:8] for each in data.examples("mnist", 10))
    for network in NETWORKS:
        found = ask(lab, "minimumNorm", network, image=image, target=None, steps=20, tolerance=0.02)
        ours = minimum_norm(models.load(network), image, label, steps=20, tolerance=0.02).distances.item()
        assert found["eps"] == pytest.approx(ours, rel=0.1)
    panel = open_view(lab, "attack")
    panel.get_by_label("how far").select_option("least")
    expect(panel.locator("output.lab-words").nth(1)).to_contain_text("Fooled: it now sees a", timeout=60_000)
    expect(panel.get_by_role("slider", name="eps")).to_be_hidden()
    panel.get_by_label("how far").select_option("eps")


def certified(panel):
    """Load the certified network, if it is not there yet."""
    load = panel.get_by_role("button", name="Open the certified network")
    if load.is_visible():
        load.click()
    expect(panel.locator("output.lab-words").first).to_contain_text("roved", timeout=90_000)
    return panel.locator("output.lab-words")


def test_a_proof_is_labkits(lab):
    certified(open_view(lab, "certify"))
    image, label = (each[7:8] for each in data.examples("mnist", 10))
    for eps in (0.1, 0.3):
        found = ask(lab, "certify", "mnist-certified", image=image, eps=eps)
        expected = interval_bounds(models.load("mnist-certified"), image, label, eps=eps)[0]
        kept = expected.isfinite()
        torch.testing.assert_close(torch.tensor(found["margins"], dtype=torch.float64)[kept], expected[kept])
        assert (found["most"] > eps) == bool((expected > 0).all())


def test_an_empty_pad_says_what_it_means(lab):
    sentence = lab.get_by_text("Nothing is drawn, and still each network names a digit")
    expect(sentence).to_be_hidden()
    lab.get_by_role("button", name="Clear").click()
    expect(sentence).to_be_visible()
    blank = models.load("mnist")(torch.zeros(1, 1, 28, 28)).argmax().item()
    expect(verdict(lab, "ordinary")).to_have_text(str(blank))
    draw(lab, SEVEN)
    expect(sentence).to_be_hidden()


# Every state has an address.


def test_an_address_opens_a_view_with_its_digit_and_settings(browser):
    with opened(browser, f"{PAGE.as_uri()}#attack&digit=4.1&towards=9&eps=0.33") as tab:
        expect(verdict(tab, "ordinary")).to_have_text("4")
        panel = tab.locator(".lab-panel-attack")
        expect(panel).to_be_visible()
        assert panel.get_by_role("slider", name="eps").input_value() == "0.33"
        assert panel.get_by_label("push").input_value() == "9"
        images, classes = data.examples("mnist", 60)
        second = images[(classes == 4).nonzero()[1]]
        torch.testing.assert_close(torch.tensor(digit(tab)), second.flatten())
        panel.get_by_role("slider", name="eps").press("ArrowRight")
        eventually(lambda: tab.evaluate("location.hash") == "#attack&digit=4.1&towards=9&eps=0.34")
        tab.evaluate("location.hash = '#kernel&digit=blank&kernel=0,0,0,0,1,0,0,0,0&filter=mnist-robust.3'")
        panel = tab.locator(".lab-panel-kernel")
        expect(panel).to_be_visible()
        assert panel.get_by_role("combobox", name="kernel", exact=True).input_value() == "the image itself"
        assert panel.get_by_label("filter of a network").input_value() == "mnist-robust.3"
        eventually(lambda: max(digit(tab)) == 0)


def test_a_drawing_has_an_address_too(browser):
    with opened(browser) as tab:
        tab.get_by_role("button", name="Clear").click()
        draw(tab, SEVEN)
        eventually(lambda: tab.evaluate(f"/drawing=/.test(location.hash) && location.hash === {BENCH}.address()"))
        address, before = tab.url, torch.tensor(digit(tab))
    with opened(browser, address) as tab:
        expect(verdict(tab, "ordinary")).to_have_text("7")
        assert torch.cosine_similarity(torch.tensor(digit(tab)), before, dim=0) > 0.98


def test_what_an_address_cannot_mean_is_left_out(browser):
    with opened(browser, f"{PAGE.as_uri()}#attack&digit=12&eps=5&towards=x&colour=red%") as tab:
        expect(verdict(tab, "ordinary")).to_have_text("7")
        assert tab.locator(".lab-panel-attack").get_by_role("slider", name="eps").input_value() == "0.1"
        tab.evaluate("location.hash = '#attack&digit=4.-1'")
        expect(verdict(tab, "ordinary")).to_have_text("4")
        assert max(digit(tab)) > 0


def test_every_view_follows_the_digit(lab):
    pictures = "panel => [...panel.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join()"
    for name in VIEWS:
        pick_first_seven(lab)
        panel = open_view(lab, name)
        if name == "ideal":
            continue  # grown from noise, whatever the digit
        if name == "certify":
            certified(panel)
        lab.wait_for_timeout(300)
        before = panel.evaluate(pictures)
        lab.get_by_role("button", name="pick a test 4").click()
        eventually(lambda panel=panel, before=before: panel.evaluate(pictures) != before)


# Everybody can use it.


def test_with_the_keyboard_alone_over_http(browser):
    with served(BOOK) as address, opened(browser, f"{address}/lab/live_lab.html", start=False) as tab:
        press_until(tab, "Tab", "document.activeElement.classList.contains('lab-load')")
        tab.keyboard.press("Enter")
        expect(verdict(tab, "ordinary")).to_have_text("7")
        eventually(lambda: tab.evaluate("document.activeElement.classList.contains('lab-pad')"))
        tab.keyboard.press("Escape")
        for keys in ("ArrowLeft " * 6, "Space", "ArrowRight " * 13, "ArrowDown ArrowDown ArrowLeft " * 8, "Space"):
            for key in keys.split():
                tab.keyboard.press(key)
        expect(verdict(tab, "ordinary")).to_have_text("7")
        expect(verdict(tab, "robust")).to_have_text("7")
        eventually(lambda: "sees 7" in tab.locator(".lab-left .lab-said").last.inner_text())
        press_until(tab, "Tab", "document.activeElement.getAttribute('role') === 'tab'")
        press_until(tab, "Tab", "document.activeElement.classList.contains('lab-sheet')")
        tab.keyboard.press("PageDown")
        tab.keyboard.press("ArrowRight")
        expect(tab.locator(".lab-panel-activations output.lab-words")).to_contain_text(
            "relu1, map 1, row 14, column 15"
        )
        press_until(tab, "Shift+Tab", "document.activeElement.getAttribute('role') === 'tab'")
        for name in VIEWS[1:]:
            tab.keyboard.press("ArrowRight")
            expect(tab.locator(f".lab-panel-{name}")).to_be_visible()
            assert tab.evaluate("document.activeElement.className") == f"lab-tab-{name}"
        for _ in range(3):
            tab.keyboard.press("ArrowLeft")
        press_until(tab, "Tab", "document.activeElement.type === 'range'")
        for _ in range(30):
            tab.keyboard.press("ArrowRight")
        expect(tab.locator(".lab-panel-attack output.lab-words").first).to_contain_text("Fooled")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(lab, scheme):
    lab.emulate_media(color_scheme=scheme)
    expect(lab.locator("html")).to_have_attribute("data-theme", scheme)
    if not lab.evaluate("typeof axe !== 'undefined'"):
        lab.add_script_tag(path=VENDOR / ".axe/axe.min.js")
    for name in VIEWS:
        open_view(lab, name)
        lab.wait_for_timeout(200)
        assert lab.evaluate(AXE, IN_DARK if scheme == "dark" else {}) == [], name


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}

# Controls that are too small for a finger: less than 24 pixels high or wide. Links within a sentence are exempt.
TOO_SMALL = """() => [...document.querySelectorAll(
    ".live-lab :is(button, select, input:not([type=checkbox]), summary, .lab-check)")]
    .filter(element => element.checkVisibility())
    .filter(element => {
        const { width, height } = element.getBoundingClientRect();
        return width < 24 || height < 24;
    }).map(element => element.outerHTML.slice(0, 120))"""


def places_of(box, x, y):
    return {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": 0}


def test_with_a_finger_on_a_dark_phone(browser):
    with opened(browser, **PHONE) as tab:
        tab.get_by_role("button", name="Clear").tap()
        pad = tab.locator(".lab-pad")
        pad.scroll_into_view_if_needed()
        box, touch = pad.bounding_box(), tab.context.new_cdp_session(tab)
        for kind, points in (("touchStart", SEVEN[:1]), *(("touchMove", [point]) for point in SEVEN), ("touchEnd", [])):
            places = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
        expect(verdict(tab, "ordinary")).to_have_text("7")
        assert pad.bounding_box()["y"] == box["y"], "the finger scrolled the page"
        second = {"x": box["x"] + 0.9 * box["width"], "y": box["y"] + 0.9 * box["height"], "id": 1}
        for kind, points in (
            ("touchStart", [places_of(box, 0.1, 0.5)]),
            ("touchStart", [places_of(box, 0.1, 0.5), second]),
            ("touchMove", [places_of(box, 0.2, 0.5), second | {"y": box["y"]}]),
            ("touchEnd", []),
        ):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        drawing = tab.evaluate(f"{BENCH}.pad.pairs().drawing")
        assert len(drawing.split(".")) == 2, "a second finger draws no stroke"
        for name in VIEWS:
            tab.get_by_role("combobox", name="view", exact=True).select_option(name)
            panel = tab.locator(f".lab-panel-{name}")
            expect(panel).to_be_visible()
            tab.wait_for_timeout(200)
            assert tab.evaluate(OVERFLOW) == [], name
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, name
            assert tab.evaluate(TOO_SMALL) == [], name
            if name == "activations":
                panel.locator(".lab-sheet").first.tap(position={"x": 20, "y": 20})
                expect(panel.locator("output.lab-words")).to_contain_text("relu1, map 0, row 12, column 12: ")
                panel.get_by_role("button", name="one unit to the right").first.tap()
                panel.get_by_role("button", name="next map").first.tap()
                expect(panel.locator("output.lab-words")).to_contain_text("relu1, map 1, row 12, column 13: ")
            if name == "certify":
                certified(panel)
            first = panel.locator("canvas").first
            pad.evaluate("pad => pad.scrollIntoView()")
            picture, drawing = first.bounding_box(), pad.bounding_box()
            assert picture["y"] + picture["height"] - drawing["y"] <= 844, f"{name}: pad and picture fit no screen"


def test_without_javascript_there_is_a_figure_and_a_sentence(browser):
    with opened(browser, start=False, java_script_enabled=False) as tab:
        expect(tab.get_by_text("Your browser runs no JavaScript here")).to_be_visible()
        expect(tab.locator('article img[alt*="handwritten seven"]')).to_be_visible()
        expect(tab.locator(".lab-view-attack")).to_be_visible()


def test_without_wasm_there_is_a_figure_and_a_sentence(browser):
    with opened(browser, start=False, script="delete globalThis.WebAssembly") as tab:
        expect(tab.get_by_text("This browser lacks WebAssembly")).to_be_visible()
        expect(tab.locator('article img[alt*="handwritten seven"]')).to_be_visible()
        assert tab.locator(".lab-load").count() == 0


def test_nothing_answers_the_question_before_it_is_asked(browser):
    """The figure, and the words that tell what it shows, come behind the question, the button and the views."""
    with opened(browser, start=False) as tab:
        order = ".lab-load, .lab-view-kernel, .course-recall, img[alt*='handwritten seven']"
        found = tab.evaluate("order => [...document.querySelectorAll(order)].map(each => each.className)", order)
        assert "lab-load" in found[0]
        assert "lab-view-kernel" in found[1]
        assert len(found) >= 4


def test_the_button_states_what_is_loaded(browser):
    folders = [BOOK / "_static" / name for name in ("vendor/onnxruntime", "lab/networks")]
    total = sum(path.stat().st_size for folder in folders for path in folder.glob("*.js"))
    with opened(browser, start=False) as tab:
        expect(tab.locator(".lab-load")).to_have_text(f"Start the live lab (loads {total / 1e6:.1f} MB)")
        assert tab.evaluate("typeof labFiles") == "undefined", "nothing is loaded before the click"


def test_reduced_motion_shows_only_the_grown_digit(browser):
    watch = """panel => {
        globalThis.steps = [];
        const output = panel.querySelector("output");
        new MutationObserver(() => steps.push(output.textContent)).observe(output, { childList: true });
    }"""

    def shown(panel, grown):
        tab.evaluate("steps.length = 0")
        panel.get_by_role("button", name=f"grow the ideal {grown}").click()
        eventually(lambda: tab.evaluate("steps.at(-1)") == "80")
        return tab.evaluate("steps")

    with opened(browser) as tab:
        tab.locator(".lab-panel-ideal").evaluate(watch)
        panel = open_view(tab, "ideal")
        eventually(lambda: tab.evaluate("steps.at(-1)") == "80")
        assert len(shown(panel, 5)) > 40, "every step"
        tab.emulate_media(reduced_motion="reduce")
        assert shown(panel, 8) == ["0", "80"]


def test_the_page_answers_while_the_worker_works(lab):
    work = """(async () => {
        const { engine, benches: [{ digit: image }] } = liveLab;
        await Promise.all(engine.names.map(network => engine.ask("occlusion", network, { image, window: 6 })));
    })()"""
    assert lab.evaluate(TURNS, work) > 5, "what is computed holds the page up"
