"""The bench for photographs in Chromium: what it makes of a photo, an attack and a class that is grown, is labkit's."""

import pytest
import torch
from playwright.sync_api import expect

from labkit import data, models
from labkit.attacks._gradient import log_odds_gradient
from labkit.attacks.pgd import pgd
from labkit.core import input_gradient
from labkit.images import moved
from labkit.synthesis.class_model import class_model
from tests.book.lab_page import PAGE, opened

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("photographs made")]
expect.set_options(timeout=30_000)

PATIENCE = 300_000  # milliseconds, for machines that are busy
FLAMINGO = 130
ROOM = "liveLab.whole.photographs"
ASK = f"""async ([task, values]) => {{
    const bench = {ROOM};
    values = {{ image: bench.image, label: bench.label, ...values }};
    const found = await bench.engine.ask(task, bench.network, values, {{ asker: "test" }});
    return [...found.image];
}}"""


@pytest.fixture(scope="module")
def bench(browser):
    address = f"{PAGE.as_uri()}#photographs&view=break&photo=cat&towards=flamingo&eps=2"
    with opened(browser, address, start=False) as tab:
        tab.locator(".lab-load").first.click()
        tab.get_by_role("button", name="Load the network for photographs").click()
        done(tab)
        yield tab


def done(tab):
    """Wait until an attack has come to its end."""
    expect(tab.locator(".lab-cures tbody tr")).to_have_count(3, timeout=PATIENCE)


def asked(tab, task, **values):
    return torch.tensor(tab.evaluate(ASK, [task, values])).view(1, 3, 224, 224)


def alike(found, expected, slope):
    """Equal but for signs of slopes that are too small to have one: at most 1% of the largest."""
    apart = (found - expected).abs() > 1e-4
    assert (slope[apart].abs() <= 1e-2 * slope.abs().max()).all(), slope[apart].abs().max() / slope.abs().max()


def test_one_step_of_an_attack_is_labkits(bench):
    model, photo, eps = models.load("efficientnet_lite0"), data.photo("chelsea"), 2 / 255
    target = torch.tensor([FLAMINGO])
    found = asked(bench, "push", target=FLAMINGO, eps=eps, steps=1)
    ours = pgd(model, photo, target, eps=eps, steps=1, step_size=eps, targeted=True, random_start=False)
    alike(found, ours, log_odds_gradient(model, photo, target)[2])


def test_one_step_towards_a_class_is_labkits(bench):
    model, photo, target = models.load("efficientnet_lite0"), data.photo("chelsea"), torch.tensor([FLAMINGO])
    options = {"start": photo, "tv_weight": 30, "l2_weight": 0, "jitter": 0, "scale": 0, "steps": 1}
    values = {"label": FLAMINGO, "grey": False, "smooth": 30, "near": 0, "jitter": 0, "steps": 1}
    found = asked(bench, "grow", way="pixels", **values)
    ours = class_model(model, target, parametrization="pixels", step_size=0.02, **options)
    neighbours = sum((photo - moved(photo, down=down, right=right)).sign() for down, right in NEIGHBOURS)
    alike(found, ours, input_gradient(model, photo, target) - 30 / photo.numel() * neighbours)
    found = asked(bench, "grow", way="waves", **values)
    ours = class_model(model, target, parametrization="fourier", step_size=0.1, **options)
    change = ours - photo
    assert (found - ours).abs().max() < 1e-2 * change.abs().max()


NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))
