"""For everybody: by keyboard alone, for screen readers, in light and dark, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.serving.page.driving import PROMPT, from_plan, plan, plan_and_generate, prompt_box, ready, until, videos

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light, desk": {"color_scheme": "light"},
    "dark, desk": {"color_scheme": "dark"},
    "light, phone": {"color_scheme": "light", **PHONE},
    "dark, phone": {"color_scheme": "dark", **PHONE},
}


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


def fits(page: Page) -> bool:
    """Nothing has to be scrolled sideways."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return wide


@pytest.mark.parametrize("look", LOOKS)
def test_no_view_has_a_barrier(look: str, server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url, **LOOKS[look]).page
    found: dict[str, list[str]] = {}

    def look_at(view: str) -> None:
        assert fits(page), view
        if barriers := violations(page):
            found[view] = barriers

    page.get_by_text("Settings", exact=True).click()
    look_at("empty form")
    plan(page)
    look_at("plan")
    page.get_by_role("button", name="Add fact", exact=True).click()
    look_at("form of a fact")
    page.keyboard.press("Escape")
    from_plan(page).click()
    ready(page)
    page.get_by_text("Recipe", exact=True).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    look_at("delete?")
    page.keyboard.press("Escape")
    look_at("video")
    page.get_by_role("link", name="Gallery").click()
    card = page.get_by_role("list", name="Videos").get_by_role("link")
    expect(card).to_have_count(1)
    look_at("gallery")
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("button", name="Choose a video").first.click()
    expect(page.get_by_role("dialog").get_by_role("button", name=PROMPT)).to_be_visible()
    look_at("choice")
    page.get_by_role("dialog").get_by_role("button", name=PROMPT).click()
    ready(page)
    look_at("side by side")
    assert found == {}


def test_the_chosen_colours_stay(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url, color_scheme="light").page
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    expect(page.get_by_label("Colours")).to_have_value("dark")
    assert page.evaluate(background) == dark
    page.get_by_label("Colours").select_option("system")
    assert page.evaluate(background) == light


def tab_to(page: Page, name: str, most: int = 80) -> None:
    """Press Tab until something of this name has the focus."""
    script = """() => { const e = document.activeElement; const label = e.getAttribute('aria-label') ||
        (e.labels && e.labels[0] && e.labels[0].textContent) || e.textContent; return label.trim(); }"""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(script))
        if seen[-1] == name:
            return
    raise AssertionError(f"{name} cannot be reached: {seen}")


def test_by_keyboard_alone(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    tab_to(page, "Prompt")
    page.keyboard.type(PROMPT)
    page.keyboard.press("Control+Enter")
    expect(from_plan(page)).to_be_enabled()
    tab_to(page, "Veto all imagined (1)")
    page.keyboard.press("Enter")
    prompt_box(page).focus()
    tab_to(page, "Generate from plan")
    page.keyboard.press("Enter")
    ready(page)
    tab_to(page, "Position")
    page.keyboard.press("ArrowRight")
    until(lambda: videos(page)[0]["time"] > 1 / 8, page)
    tab_to(page, "Play")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_focused()
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_focused()
    [job] = server.store.list(kind="video").jobs
    assert "imagined" not in {fact["source"] for fact in job.dsg["facts"]}


def test_what_happens_is_said(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    plan_and_generate(page)
    expect(page.locator("[aria-live=polite]", has_text="The video is ready.")).to_have_count(1)
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("main")).to_be_focused()
    expect(page).to_have_title("Gallery · DysenVDM")
