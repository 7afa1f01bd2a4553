"""The bench for photographs in Chromium: it sees what labkit sees, takes what a reader gives it, and sends nothing."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from torch import nn

from labkit import data, models
from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.attribution.occlusion import occlusion
from labkit.core import input_gradient
from labkit.evaluation.deletion import deletion
from labkit.export.photographs import HALVED, PHOTOS
from tests.book.browsing import AXE, IN_DARK, OVERFLOW
from tests.book.lab_page import PAGE, opened
from tools.website.chromium import ARGUMENTS, find_chromium
from tools.website.fetch_assets import VENDOR
from tools.website.pack_photographs import NETWORK

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("photographs")]  # one page for most of them
expect.set_options(timeout=60_000)

BENCH = "liveLab.whole.photographs"
STEPS = 8


def start(tab):
    """Two clicks: one loads the lab, one the network for photographs."""
    tab.locator(".lab-load").click()
    load = tab.get_by_role("button", name="Open the network for photographs")
    load.click(timeout=120_000)
    for room in ("Draw and look", "Photographs"):  # a reader leaves, comes back, and finds it being loaded
        tab.get_by_role("button", name=room, exact=True).click()
    assert load.count() == 0 or load.is_disabled()
    expect(top(tab)).not_to_have_text("", timeout=300_000)
    assert len(tab.workers) == 2


def top(tab):
    return tab.locator(".lab-classes th").first


@pytest.fixture(scope="module")
def running(browser):
    with opened(browser, f"{PAGE.as_uri()}#photographs&view=see&photo=cat", start=False) as tab:
        start(tab)
        yield tab


@pytest.fixture
def bench(running):
    """The bench with the cat, its first view open."""
    running.evaluate(f"{BENCH}.take({{ pairs: {{ view: 'see', photo: 'cat' }} }})")
    expect(top(running)).to_have_text("tiger cat")
    return running


@pytest.fixture(scope="module")
def network():
    """EfficientNet-Lite0 with the weights that the page has: batch norms folded into the convolutions, then rounded."""
    found = models.load(NETWORK)
    convolution = None
    with torch.no_grad():
        for module in found.modules():
            if isinstance(module, nn.BatchNorm2d):
                scale = module.weight / (module.running_var + module.eps).sqrt()
                shift = module.bias - module.running_mean * scale
                convolution.weight.copy_(rounded(convolution.weight * scale[:, None, None, None]))
                module.weight.fill_(1)
                module.running_var.fill_(1 - module.eps)
                module.running_mean.fill_(0)
                module.bias.copy_(shift)
            elif isinstance(module, nn.Conv2d):
                convolution = module
        found.fc.weight.copy_(rounded(found.fc.weight))
    return found


def rounded(weight):
    return weight.half().float() if weight.numel() >= HALVED else weight


def ask(tab, task, image, **values):
    """What the worker answers about a photo."""
    return tab.evaluate(
        f"""async ([task, pixels, values]) => {{
            const plain = (value) => ArrayBuffer.isView(value) || Array.isArray(value) ? [...value]
                : value && typeof value === "object"
                ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)])) : value;
            for (const [name, map] of Object.entries(values.maps ?? {{}})) values.maps[name] = Float32Array.from(map);
            if (values.weights) values.weights = Float32Array.from(values.weights);
            const image = Float32Array.from(pixels);
            return plain(await {BENCH}.engine.ask(task, "{NETWORK}", {{ image, images: image, ...values }}));
        }}""",
        [task, image.flatten().tolist(), values],
    )


def assert_near(found, expected, of=1e-2):
    """Within a hundredth of the largest value."""
    expected = expected.detach()
    assert (torch.tensor(found).view_as(expected) - expected).abs().max() <= of * expected.abs().max()


def assert_alike(found, expected):
    """A gradient, within a hundredth of its largest value, but for one number in a thousand at most.

    Where a unit is at the very edge of its range, rounding decides whether it lets the gradient through, and some
    pixels hang on that: PyTorch in single and in double precision differ by as much.
    """
    found = torch.tensor(found).view_as(expected)
    apart = (found - expected).abs() > 1e-2 * expected.abs().max()
    assert apart.float().mean() < 1e-3
    assert torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.9999


# It computes what labkit computes.


def test_photos_are_cut_and_resized_as_labkit_does_it(bench):
    for name, (source, _) in PHOTOS.items():
        bench.evaluate(f"name => {BENCH}.take({{ pairs: {{ view: 'digit', photo: name }} }})", name)
        bench.wait_for_function(f"name => {BENCH}.chooser.name === name", arg=name)
        apart = torch.tensor(bench.evaluate(f"[...{BENCH}.image]")) - data.photo(source).flatten()
        assert apart.abs().max() < 1.01 / 255, "a half may be rounded up or down"
        assert (apart.abs() > 1e-6).float().mean() < 0.01


def test_logits_maps_and_curves_are_labkits(bench, network):
    photo = data.photo("chelsea")
    logits = network(photo).detach()
    label = logits.argmax(1)
    values = {"label": label.item()}
    found = ask(bench, "predict", photo)["logits"]
    assert_near(found, logits, of=1e-3)
    assert (torch.tensor(found) - models.load(NETWORK)(photo)[0]).abs().max() < 1e-2, "weights before rounding"
    plain = ask(bench, "run", photo, weights=nn.functional.one_hot(label, 1000)[0].tolist())["gradient"]
    assert_alike(plain, input_gradient(network, photo, label))
    for stage in ("block5", "bn2"):
        cam = ask(bench, "gradCam", photo, stage=stage, **values)["map"]
        assert_near(cam, grad_cam(network, photo, label, layer=stage, resize=False))
    shares = ask(bench, "integrated", photo, steps=STEPS, **values)["map"]
    assert_alike(shares, integrated_gradients(network, photo, label, steps=STEPS))
    same = ask(bench, "smooth", photo, noise=0, samples=3, **values)["map"]
    assert_alike(same, input_gradient(network, photo, label))
    covered = ask(bench, "cover", photo, window=96, stride=64)
    expected = occlusion(network, photo, label, window=96, stride=64)
    assert covered["count"] == 3
    assert_near(covered["logits"], expected.logits)
    order = torch.arange(224 * 224.0).view(1, 224, 224)
    curve = ask(bench, "deletion", photo, steps=4, maps={"order": order.flatten().tolist()}, **values)["curves"][
        "order"
    ]
    assert_near(curve, deletion(network, photo, label, order, steps=4).probabilities)


def test_what_drives_a_unit_is_its_gradient(bench, network):
    photo = data.photo("coffee")
    found = ask(bench, "drive", photo, stage="block3", channel=5, place=[10, 12])["gradient"]
    x = photo.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network[:6](x)[0, 5, 10, 12], x)
    assert [name for name, _ in network.named_children()][5] == "block3"
    assert_alike(found, expected)


# Choosing a photo.


def picture(mode="RGB", size=(80, 60), kind="png", **options):
    """A file with a red left half and a blue right half."""
    image = Image.new("RGB", size, (200, 30, 30))
    image.paste((30, 30, 200), (size[0] // 2, 0, *size))
    if mode == "RGBA":
        image.putalpha(0)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def give(tab, name, content, kind="image/png"):
    before = tab.evaluate(f"{BENCH}.chooser.picture")
    tab.locator("input[type=file]").set_input_files({"name": name, "mimeType": kind, "buffer": content})
    return before


def note(tab):
    return tab.locator(".lab-photographs .lab-left .lab-label[role=status]")


def shown(tab):
    """Width and height of the reader's picture, and the colours of its corners: upper left, upper right, lower left."""
    return tab.evaluate(
        f"""() => {{
            const {{ width, height, data }} = {BENCH}.chooser.picture;
            const at = (row, column) => [...data.slice(4 * (row * width + column), 4 * (row * width + column) + 3)];
            return [width, height, at(0, 0), at(0, width - 1), at(height - 1, 0)];
        }}"""
    )


def near(colour, wanted):
    return np.abs(np.subtract(colour, wanted)).max() < 12


RED, BLUE, WHITE = (200, 30, 30), (30, 30, 200), (255, 255, 255)


def test_files_of_all_kinds(bench):
    give(bench, "plain.png", picture())
    expect(note(bench)).to_have_text("Your photo, 80 × 60 pixels.")
    width, height, left, right, below = shown(bench)
    assert (width, height) == (80, 60)
    assert [near(left, RED), near(below, RED), near(right, BLUE)] == [True] * 3
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    give(bench, "turned.jpg", picture(kind="jpeg", exif=exif), "image/jpeg")
    expect(note(bench)).to_have_text("Your photo, 60 × 80 pixels.")
    width, height, left, right, below = shown(bench)
    assert (width, height) == (60, 80)
    assert [near(left, RED), near(right, RED), near(below, BLUE)] == [True] * 3
    give(bench, "clear.png", picture("RGBA", (50, 50)))
    expect(note(bench)).to_have_text("Your photo, 50 × 50 pixels.")
    assert all(near(colour, WHITE) for colour in shown(bench)[2:])
    frames = io.BytesIO()
    first, second = Image.new("RGB", (40, 30), RED), Image.new("RGB", (40, 30), BLUE)
    first.save(frames, "gif", save_all=True, append_images=[second], duration=10)
    give(bench, "moving.gif", frames.getvalue(), "image/gif")
    expect(note(bench)).to_have_text("Your photo, 40 × 30 pixels.")
    assert near(shown(bench)[2], RED), "the first frame"
    give(bench, "tiny.png", picture(size=(2, 1)))
    expect(note(bench)).to_have_text("Your photo, 2 × 1 pixels.")
    assert bench.evaluate(f"{BENCH}.image.every(Number.isFinite)")
    assert "photo=yours" in bench.evaluate(f"{BENCH}.address()")


def test_forty_megapixels(bench):
    give(bench, "large.jpg", picture(size=(7744, 5184), kind="jpeg", quality=30), "image/jpeg")
    expect(note(bench)).to_contain_text("Your photo, 7744 × 5184 pixels, made smaller to", timeout=120_000)
    width, height, left, right, _ = shown(bench)
    assert width * height <= 2_010_000
    assert [near(left, RED), near(right, BLUE)] == [True] * 2


def test_what_is_no_picture_is_said(bench):
    before = bench.evaluate(f"{BENCH}.chooser.name")
    for name, content, words in (
        (
            "notes.txt",
            b"no picture",
            "“notes.txt” is not a picture that this browser can read. It seems to be text/plain.",
        ),
        ("empty.png", b"", "“empty.png” is an empty file."),
        ("broken.jpg", picture(kind="jpeg")[:80], "“broken.jpg” is not a picture that this browser can read."),
    ):
        give(bench, name, content, "text/plain" if name.endswith("txt") else "image/png")
        expect(note(bench)).to_contain_text(words)
    assert bench.evaluate(f"{BENCH}.chooser.name") == before, "the photo before is still there"


TRANSFER = """([bytes, name, kind]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(bytes)], name, { type: kind }));
    return transfer;
}"""


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_dropping_and_pasting(bench, way):
    size = (33, 44) if way == "drop" else (44, 33)
    content = list(picture(size=size))
    transfer = bench.evaluate_handle(TRANSFER, [content, "photo.png", "image/png"])
    if way == "drop":
        bench.get_by_text("Or drop one here").dispatch_event("drop", {"dataTransfer": transfer})
    else:
        bench.evaluate(
            "transfer => document.body.dispatchEvent(new ClipboardEvent('paste', "
            "{ clipboardData: transfer, bubbles: true }))",
            transfer,
        )
    expect(note(bench)).to_have_text(f"Your photo, {size[0]} × {size[1]} pixels.")


STREAMS = """() => {
    globalThis.streams = [];
    const media = navigator.mediaDevices, open = media.getUserMedia.bind(media);
    media.getUserMedia = async (wanted) => (streams.push(await open(wanted)), streams.at(-1));
}"""
RUNNING = "streams.flatMap(each => each.getTracks()).filter(({ readyState }) => readyState === 'live').length"


def test_the_camera(browser):
    """Refused, it gives a sentence; allowed, a photo (of Chromium's own moving test picture)."""
    arguments = [*ARGUMENTS, "--use-fake-device-for-media-stream"]
    with (
        browser.browser_type.launch(executable_path=find_chromium(whole=True), args=arguments) as another,
        opened(another, f"{PAGE.as_uri()}#photographs&view=digit&photo=cat", start=False) as tab,
    ):
        start(tab)
        camera, stage = tab.get_by_role("button", name="Camera"), tab.locator(".lab-camera")
        camera.click()
        expect(note(tab)).to_have_text(
            "The camera gives no picture: the browser was not allowed to use it. Choose a file instead."
        )
        expect(stage).to_be_hidden()
        tab.context.grant_permissions(["camera"])
        tab.evaluate(STREAMS)
        camera.click()
        expect(stage).to_be_visible()
        tab.wait_for_function("document.querySelector('.lab-camera video').videoWidth > 0")
        expect(stage.get_by_role("button", name="Take it")).to_be_focused()
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")  # Cancel
        expect(stage).to_be_hidden()
        expect(camera).to_be_focused()
        camera.click()
        camera.click()  # once more
        expect(stage).to_be_visible()
        tab.wait_for_function("streams.length === 3 && document.querySelector('.lab-camera video').videoWidth > 0")
        assert tab.evaluate(RUNNING) == 1
        tab.get_by_role("button", name="Draw and look").click()
        assert tab.evaluate(RUNNING) == 0, "nobody films a reader who has gone elsewhere"
        tab.get_by_role("button", name="Photographs", exact=True).click()
        expect(stage).to_be_hidden()
        camera.click()
        tab.wait_for_function("streams.length === 4 && document.querySelector('.lab-camera video').videoWidth > 0")
        tab.locator("[data-photo=coffee]").click()
        expect(stage).to_be_hidden()
        tab.locator("[data-photo=cat]").click()
        tab.wait_for_function(f"{BENCH}.chooser.name === 'cat'")
        assert tab.evaluate(f"{BENCH}.chooser.name") == "cat"
        camera.click()
        tab.wait_for_function("document.querySelector('.lab-camera video').videoWidth > 0")
        stage.get_by_role("button", name="Take it").click()
        expect(note(tab)).to_have_text("Your photo, 640 × 480 pixels.")
        expect(stage).to_be_hidden()
        assert tab.evaluate(RUNNING) == 0, "the camera is off"


def test_an_address_of_a_picture_is_not_loaded(bench):
    transfer = bench.evaluate_handle(
        """() => {
            const made = new DataTransfer();
            made.setData("text/uri-list", "https://example.org/a.png");
            return made;
        }"""
    )
    bench.locator(".lab-photographs .lab-surface").dispatch_event("drop", {"dataTransfer": transfer})
    expect(note(bench)).to_contain_text("this page loads nothing from elsewhere")


def test_cropping_by_keys_mouse_and_slider(bench):
    canvas = bench.locator(".lab-photo-whole")
    canvas.scroll_into_view_if_needed()
    box = json.loads(bench.evaluate(f"JSON.stringify({BENCH}.chooser.box)"))
    assert box == {"left": 75, "top": 0, "width": 300, "height": 300}
    for key in ("-", "-", "ArrowRight", "ArrowDown"):
        canvas.press(key)
    moved = bench.evaluate(f"{BENCH}.chooser.box")
    assert [moved["width"] < 300, moved["left"] > 75, moved["top"] > 0] == [True] * 3
    bench.wait_for_function("location.hash.includes('crop=')")
    address = bench.evaluate("location.hash")
    bounds = canvas.bounding_box()
    middle = bounds["x"] + bounds["width"] / 2, bounds["y"] + bounds["height"] / 2
    bench.mouse.move(*middle)
    bench.mouse.down()
    bench.mouse.move(middle[0] - 30, middle[1], steps=3)
    bench.mouse.up()
    assert bench.evaluate(f"{BENCH}.chooser.box.left") < moved["left"]
    slider = bench.get_by_role("slider", name="size of the crop")
    slider.press("Home")
    assert bench.evaluate(f"{BENCH}.chooser.box.width") == 30
    bench.wait_for_function("address => location.hash !== address", arg=address)
    bench.evaluate("address => { location.hash = address; }", address)
    bench.wait_for_function(f"width => {BENCH}.chooser.box.width === width", arg=moved["width"])
    canvas.press("Home")
    assert bench.evaluate(f"{BENCH}.chooser.box") == box


# Its views.


def test_see_shows_the_strongest_maps_and_what_drives_one(bench):
    panel = bench.locator(".lab-panel-see")
    words = panel.locator("output.lab-words")
    expect(words).to_contain_text("answers most in row")
    expect(bench.locator(".lab-classes caption").first).to_have_text(
        "EfficientNet-Lite0: its likeliest of 1,000 classes"
    )
    assert panel.locator(".lab-tiles button:visible").count() == 24
    panel.get_by_role("combobox", name="stage").select_option("bn1")
    expect(panel.locator(".lab-tiles button").first).to_be_visible()
    expect(words).to_contain_text("of bn1 answers most in row")
    tile = panel.locator(".lab-tiles button").nth(3)
    tile.click()
    expect(tile).to_have_attribute("aria-pressed", "true")
    expect(words).to_contain_text("the framed less than 1% of the picture")
    bench.wait_for_function("location.hash.includes('stage=bn1')")


def test_where_explains_any_class_and_tells_which_map_knew_best(bench):
    bench.evaluate(f"{BENCH}.take({{ pairs: {{ view: 'where', photo: 'cat', samples: '2' }} }})")
    panel = bench.locator(".lab-panel-where")
    status = panel.locator("output.lab-words").first
    expect(status).to_contain_text("All four explain the same: the logit of tiger cat", timeout=120_000)
    words, begin = panel.locator("output.lab-words").nth(1), panel.get_by_role("button", name="Cover it, part by part")
    begin.click()
    expect(words).to_contain_text("of 169 parts, 13 × 13", timeout=120_000)
    panel.get_by_role("combobox", name="part").select_option("64")  # which ends what was begun
    expect(words).to_have_text("")
    begin.click()
    expect(panel.get_by_role("button", name="Cover it again")).to_be_visible(timeout=120_000)
    expect(words).to_contain_text("Covering the worst part leaves tiger cat")
    expect(words).to_contain_text("of 36 places")
    panel.get_by_role("button", name="Take away what they call important").click()
    rows = panel.locator(".lab-areas tr")
    expect(rows).to_have_count(6, timeout=120_000)
    areas = [float(text.strip("<> %")) for text in panel.locator(".lab-areas td").all_inner_texts()]
    assert areas == sorted(areas)
    expect(panel.locator("output.lab-words").nth(2)).to_contain_text("on another photo another map may win")
    field = panel.get_by_label("explain")
    field.fill("lynx")
    field.press("Enter")
    expect(status).to_contain_text("All four explain the same: the logit of lynx", timeout=120_000)
    assert "class=lynx" in bench.evaluate(f"{BENCH}.address()")
    field.fill("no such thing")
    field.press("Enter")
    expect(panel.locator(".lab-class [role=status]")).to_contain_text("None of the 1000 classes")


def test_what_runs_can_be_stopped_and_the_page_stays_awake(bench):
    bench.evaluate(f"{BENCH}.take({{ pairs: {{ view: 'where', photo: 'coffee', samples: '100' }} }})")
    panel = bench.locator(".lab-panel-where")
    status = panel.locator("output.lab-words").first
    expect(status).to_contain_text("of 100 noisy copies", timeout=120_000)
    turns = bench.evaluate(
        "new Promise(done => { let n = 0; const end = performance.now() + 1000;"
        "const beat = () => (n++, performance.now() < end ? setTimeout(beat, 4) : done(n)); beat(); })"
    )
    assert turns > 15, "the worker computes, not the page"
    panel.get_by_role("button", name="Cover it, part by part").click()
    panel.get_by_role("button", name="Stop covering").click()
    expect(panel.get_by_role("button", name="Cover it again")).to_be_visible()
    before = status.inner_text()
    expect(status).to_contain_text("of 100 noisy copies")
    expect(status).not_to_have_text(before)  # the other methods go on
    panel.get_by_role("button", name="Stop").click()
    expect(status).to_contain_text("Stopped.")
    answered = bench.evaluate(
        f"{BENCH}.engine.ask('predict', '{NETWORK}', {{ image: {BENCH}.image }}).then(() => true)"
    )
    assert answered


def test_a_photographed_digit_is_read(bench):
    seven = (255 - data.examples("mnist", 10)[0][7, 0] * 180).round().byte().numpy()
    page = np.full((300, 400), 250, np.uint8)
    page[60:200, 150:290] = np.array(Image.fromarray(seven).resize((140, 140)))
    file = io.BytesIO()
    Image.fromarray(page).save(file, "png")
    bench.get_by_role("tab", name="As a digit").click()
    give(bench, "seven.png", file.getvalue())
    panel = bench.locator(".lab-panel-digit")
    for network in ("ordinary", "robust"):
        expect(panel.locator(f".lab-verdict.lab-{network} .lab-verdict-digit")).to_have_text("7")
    assert panel.get_by_label("invert").is_checked()
    panel.get_by_label("invert").uncheck()
    bench.wait_for_function("location.hash.includes('invert=no')")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nobody_is_kept_out(bench, width, scheme):
    bench.set_viewport_size({"width": width, "height": 844})
    bench.emulate_media(color_scheme=scheme)
    if not bench.evaluate("typeof axe !== 'undefined'"):
        bench.add_script_tag(path=VENDOR / ".axe/axe.min.js")
    bench.evaluate(f"{BENCH}.take({{ pairs: {{ view: 'where', photo: 'cat', samples: '2' }} }})")  # soon done
    for view in ("see", "where", "digit"):
        bench.evaluate(f"name => {BENCH}.tabs.show(name)", view)
        bench.wait_for_timeout(300)
        assert bench.evaluate(AXE, IN_DARK if scheme == "dark" else {}) == [], view
        assert bench.evaluate(OVERFLOW) == [], view
    bench.set_viewport_size({"width": 1280, "height": 900})
    bench.emulate_media(color_scheme="light")
