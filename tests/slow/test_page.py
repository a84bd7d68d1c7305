"""The page on a server as its operator starts it: the real planner plans, the real model paints.

DYSENVDM_SHOTS=docs/page writes the screenshots of docs/page.md.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.serving.page.conftest import visit  # noqa: F401  (a fixture)
from tests.serving.page.driving import from_plan, press_remix, prompt_box, until, videos
from tests.slow.test_serving import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PROMPT = "In the park, a girl in a red coat walks to the box, then she jumps over it while a dog runs to the left."
MINUTES = 15 * 60_000
SHOTS = os.environ.get("DYSENVDM_SHOTS")


def shot(page: Page, name: str) -> None:
    """A picture in few colours, which keeps it small."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        picture.quantize(128, dither=Image.Dither.NONE).save(Path(SHOTS) / f"{name}.png", optimize=True)


def watched(page: Page, count: int = 1) -> None:
    expect(page.locator("main video")).to_have_count(count, timeout=MINUTES)
    until(lambda: all(each["ready"] >= 2 for each in videos(page)), page)


@pytest.mark.parametrize("planner", ["rules", "smollm2"])
def test_the_whole_journey(planner: str, tmp_path: Path, visit: Callable[..., Any]) -> None:  # noqa: F811
    with Server(tmp_path / "server", "--planner", planner) as server:
        server.ask("/healthz")  # the API is up a little later than its address is told
        page = visit(server.address, color_scheme="light", viewport={"width": 1280, "height": 900}).page
        prompt_box(page).fill(PROMPT)
        page.get_by_text("Settings", exact=True).click()
        page.get_by_label("Seed", exact=True).fill("1")
        page.get_by_text("Settings", exact=True).click()
        page.get_by_role("button", name="Plan", exact=True).click()
        expect(from_plan(page)).to_be_enabled(timeout=MINUTES)
        shot(page, "plan")

        # An edit by keyboard: the first event of the plan is shorter by a tick.
        end = page.get_by_role("slider", name=re.compile("^End of (?!.*is there)")).first
        before = end.get_attribute("aria-valuenow")
        end.focus()
        page.keyboard.press("ArrowLeft")
        assert end.get_attribute("aria-valuenow") != before
        from_plan(page).click()
        watched(page)
        length = videos(page)[0]["length"]
        assert abs(length - 2.0) < 0.01  # 16 frames at 8 a second
        page.get_by_role("button", name="Play", exact=True).click()
        until(lambda: videos(page)[0]["time"] > 0.3, page)
        page.get_by_role("button", name="Pause", exact=True).click()
        page.get_by_label("Position").fill("11")
        until(lambda: abs(videos(page)[0]["time"] - 11.5 / 8) < 0.1, page)
        shot(page, "watch")

        press_remix(page)
        veto = page.get_by_role("button", name=re.compile("Veto all imagined"))
        if veto.count():  # `rules` imagines nothing
            veto.click()
        prompt_box(page).fill(PROMPT.replace("red", "blue"))
        from_plan(page).click()
        watched(page)
        page.get_by_role("link", name="Compare with original").click()
        watched(page, 2)
        page.get_by_label("Position").fill("11")
        until(lambda: all(abs(each["time"] - 11.5 / 8) < 0.1 for each in videos(page)), page)
        shot(page, "compare")
        expect(page.get_by_text("Both start from the same noise.")).to_be_visible()
        page.get_by_role("link", name="Gallery").click()
        expect(page.get_by_role("list", name="Videos").locator("img")).to_have_count(2)
        page.goto("about:blank")  # before the server goes, or the page would rightly complain
