"""The page in a real browser, from a file: a rater who has only a keyboard answers all of it.

DYSENVDM_SHOTS=FOLDER writes screenshots.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dysenvdm.studies.human.create import Created
from dysenvdm.studies.human.files import QUESTIONS, Key, read
from dysenvdm.studies.human.score import read_ratings, score
from tests.serving.page.conftest import DESKTOP, PHONE
from tests.serving.page.driving import until

Study = Callable[..., Created]
Open = Callable[..., Page]
SHOTS = os.environ.get("DYSENVDM_SHOTS")


@pytest.fixture
def visit(chromium: Browser) -> Any:
    """Opens a file in a browser of its own; no console error may be there, and no request but for files beside it."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def visit(path: Path, context: BrowserContext | None = None, **options: Any) -> Page:
        if context is None:
            context = chromium.new_context(**{"viewport": DESKTOP, "offline": True, **options})
            contexts.append(context)
            context.on("request", lambda request: check(request.url, path))
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        return page

    def check(url: str, path: Path) -> None:
        if not url.startswith((path.parent.as_uri(), "data:", "blob:")):
            errors.append(url)

    yield visit
    for each in contexts:
        each.close()
    assert errors == []


def shot(page: Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        picture.quantize(128, dither=Image.Dither.NONE).save(Path(SHOTS) / f"{name}.png", optimize=True)


def focus_on(page: Page, role: str, name: str) -> None:
    """Tab on until that is reached, as somebody without a mouse must."""
    target = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    for _ in range(80):
        if target.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {role} {name!r}")


def begin(page: Page, rater: str) -> None:
    focus_on(page, "textbox", "Your name")
    page.keyboard.press("Control+a")
    page.keyboard.type(rater)
    page.keyboard.press("Enter")


def watch(page: Page) -> None:
    focus_on(page, "button", "Play both from the start")
    page.keyboard.press("Enter")
    seen = "nodes => nodes.every(video => video.currentTime > 0 && video.videoWidth > 0)"
    until(lambda: page.locator("video").evaluate_all(seen), page)


def rate(page: Page, left: int, right: int) -> None:
    """Choose by arrow keys in each of the groups, which Tab reaches one after the other."""
    groups = page.get_by_role("group")
    for number in range(groups.count()):
        group = groups.nth(number)
        if group.locator(":checked").count() == 0:
            for _ in range(80):
                if group.evaluate("node => node.contains(document.activeElement)"):
                    break
                page.keyboard.press("Tab")
        page.keyboard.press("Space")
        for _ in range((left if number < len(QUESTIONS) else right) - 1):
            page.keyboard.press("ArrowRight")


def test_a_rater_with_a_keyboard_answers_all_and_saves_what_can_be_scored(study: Study, visit: Open) -> None:
    made = study(checks=1)
    key = read(Key, made.key)
    page = visit(made.page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Which is better?")
    begin(page, "")
    expect(page.get_by_role("alert")).to_have_text("Please give a name or a number first.")
    begin(page, "Ada")
    for i, item in enumerate(key.items, 1):
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Pair {i} of 4")
        expect(page.locator(".prompt")).to_have_text(item.prompt)
        if i == 1:
            focus_on(page, "button", "Next pair")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_have_text("Please watch both videos first.")
        watch(page)
        if i == 1:
            focus_on(page, "button", "Next pair")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_have_text("Please answer all questions: 6 are open.")
            shot(page, "open-questions")
        wanted = {
            side: item.asked[side] if item.asked else 5 if getattr(item, side).system == "northern" else 2  # type: ignore[index]
            for side in ("left", "right")
        }
        rate(page, wanted["left"], wanted["right"])
        if i == 2:
            shot(page, "pair")
        focus_on(page, "button", "Finish" if i == 4 else "Next pair")
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you")
    shot(page, "finished")
    focus_on(page, "button", "Save my answers")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == f"ratings-{key.study}-Ada.json"
    saved = made.key.parent / "ada.json"
    download.value.save_as(saved)
    [ratings] = read_ratings(key, [saved])
    answer = ratings.answers[key.items[0].id]
    assert answer.plays == {"left": 1, "right": 1}
    assert answer.seconds > 0
    found = score(key, [ratings])
    assert found["left_out"] == {}
    for question in found["questions"].values():
        assert [figure["mean"] for figure in question["scores"].values()] == [100, 25]


def test_who_comes_back_goes_on_and_another_rater_begins_anew(study: Study, visit: Open) -> None:
    made = study(embed_mib=0)
    first = visit(made.page)
    begin(first, "Ada")
    watch(first)
    rate(first, 4, 3)
    first.get_by_role("button", name="Next pair").click()
    expect(first.get_by_role("heading", level=1)).to_have_text("Pair 2 of 3")
    first.close()
    again = visit(made.page, first.context)
    expect(again.get_by_role("textbox")).to_have_value("Ada")
    begin(again, "Ada")
    expect(again.get_by_role("heading", level=1)).to_have_text("Pair 2 of 3")
    again.get_by_role("button", name="Back").click()
    expect(again.get_by_role("radio", checked=True)).to_have_count(6)
    assert again.locator(":checked").evaluate_all("nodes => nodes.map(n => n.value)") == ["4"] * 3 + ["3"] * 3
    again.close()
    other = visit(made.page, first.context)
    begin(other, "Bob")
    expect(other.get_by_role("heading", level=1)).to_have_text("Pair 1 of 3")
    expect(other.get_by_role("radio", checked=True)).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_in_light_and_dark_and_fits_a_phone(study: Study, visit: Open, scheme: str) -> None:
    made = study()
    page = visit(made.page, color_scheme=scheme, viewport=PHONE)

    def check() -> None:
        assert Axe().run(page).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    check()
    shot(page, f"welcome-{scheme}")
    begin(page, "Ada")
    watch(page)
    page.get_by_role("button", name="Next pair").click()
    check()
    shot(page, f"pair-phone-{scheme}")


def test_a_browser_that_keeps_nothing_says_so(study: Study, visit: Open, chromium: Browser) -> None:
    made = study()
    context = chromium.new_context(offline=True)
    context.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } });")
    page = visit(made.page, context)
    expect(page.get_by_text("This browser keeps nothing")).to_be_visible()
    begin(page, "Ada")
    expect(page.get_by_role("heading", level=1)).to_have_text("Pair 1 of 3")
    context.close()
