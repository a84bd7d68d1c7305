"""The Chromium of all tests that look at pages: one for the whole run, since Playwright can be started once only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE_SECONDS = 60.0
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: install Debian's chromium, or set CHROMIUM to one")
    from playwright.sync_api import expect, sync_playwright

    from benchmarks.no_network import CHROMIUM_FLAGS

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    flags = [*CHROMIUM_FLAGS, "--autoplay-policy=no-user-gesture-required"]
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, *root])
        yield browser
        browser.close()
