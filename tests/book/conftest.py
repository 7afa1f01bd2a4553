"""One Chromium for all tests of a file."""

import pytest
from playwright.sync_api import expect, sync_playwright

from tools.website.chromium import ARGUMENTS, find_chromium


@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium here; name one with CHROMIUM=/path")
    expect.set_options(timeout=60_000)  # the other processor may be busy with the other checks
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()
