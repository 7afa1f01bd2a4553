"""One Chromium for all tests of a file."""

import pytest
from playwright.sync_api import sync_playwright

from tools.website.chromium import ARGUMENTS, find_chromium


@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium here; name one with CHROMIUM=/path")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()
