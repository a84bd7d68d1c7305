"""What a person does on the page, in words of the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import PATIENCE_SECONDS

PROMPT = "A girl walks to the box, then she jumps over it while a dog runs to the left."


def until(true: Callable[[], Any], page: Page) -> None:
    """Wait for it. Playwright's own ``wait_for_function`` evaluates a text, which the page's policy forbids."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, "it did not happen"
        page.wait_for_timeout(50)


def prompt_box(page: Page) -> Any:
    return page.get_by_role("textbox", name="Prompt", exact=True)


def from_plan(page: Page) -> Any:
    return page.get_by_role("form").get_by_role("button", name="Generate from plan")


def videos(page: Page) -> list[dict[str, Any]]:
    """Every video on the page: where it stands, in seconds, its length, and what the player says against it."""
    found: list[dict[str, Any]] = page.evaluate(
        "[...document.querySelectorAll('main video')].map((v) => "
        "({time: v.currentTime, length: v.duration, ready: v.readyState, error: v.error && v.error.message}))"
    )
    assert [each for each in found if each["error"]] == []
    return found


def ready(page: Page, count: int = 1) -> None:
    """So many videos are there and can be seen."""
    expect(page.locator("main video")).to_have_count(count)
    until(lambda: all(each["ready"] >= 2 for each in videos(page)), page)


def plan(page: Page, prompt: str = PROMPT) -> Any:
    prompt_box(page).fill(prompt)
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(from_plan(page)).to_be_enabled()
    return page.get_by_role("region", name="Plan", exact=True)


def plan_and_generate(page: Page, prompt: str = PROMPT) -> None:
    plan(page, prompt)
    from_plan(page).click()
    ready(page)


def press_remix(page: Page) -> None:
    """Press Remix, and wait for the form: it is filled once the plan has come, over whatever was typed before."""
    page.get_by_role("button", name="Remix").click()
    expect(page.get_by_text("Change the plan or the prompt, then generate.")).to_be_visible()
