"""Thousands of videos: few of them are drawn, all of them can be reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from serving.jobs import NewJob, Stage
from serving.requests import VideoWork
from tests.serving.page.driving import prompt_box, until

MANY = 2000


def fill(store: Any, count: int) -> None:
    for number in range(count):
        work = VideoWork(
            prompt=f"video number {number}",
            model="stage-nano",
            planner=None,
            num_frames=16,
            fps=8,
            width=64,
            height=64,
            num_inference_steps=2,
            guidance_scale=1.5,
        )
        store.add(NewJob(kind="video", stage=Stage.GENERATE, owner="local", request=work.model_dump(), cost=1))


def test_two_thousand_videos(serve: Callable[..., Any], visit: Callable[..., Any]) -> None:
    server = serve(worker=False)
    fill(server.store, MANY)
    page = visit(f"{server.url}/#/gallery").page
    cards = page.get_by_role("list", name="Videos").get_by_role("listitem")
    expect(cards.first).to_contain_text(f"video number {MANY - 1}")
    most, nodes = 0, "document.querySelectorAll('*').length"

    def at_the_end() -> bool:
        nonlocal most
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        most = max(most, page.evaluate(nodes))
        return bool(page.get_by_text("video number 0", exact=True).count())

    until(at_the_end, page)
    assert most < 1000
    assert cards.last.get_attribute("aria-posinset") == str(MANY)
    page.evaluate("scrollTo(0, 0)")
    expect(cards.first).to_contain_text(f"video number {MANY - 1}")

    page.get_by_role("searchbox").fill("number 1234")
    expect(cards).to_have_count(1)
    page.get_by_role("searchbox").fill("no such words")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.get_by_role("button", name="Show all videos").click()
    expect(cards.first).to_contain_text(f"video number {MANY - 1}")
    page.get_by_label("Show").select_option(label="Finished")
    expect(page.get_by_text("Nothing found")).to_be_visible()


def test_new_videos_appear_by_themselves(serve: Callable[..., Any], visit: Callable[..., Any]) -> None:
    server = serve(worker=False)
    page = visit(f"{server.url}/#/gallery").page
    expect(page.get_by_text("No videos yet")).to_be_visible()
    fill(server.store, 1)
    expect(page.get_by_role("link", name="video number 0")).to_be_visible()
    server.worker.start()
    expect(page.get_by_role("list", name="Videos").locator("img")).to_have_count(1)


def test_a_card_loads_its_recipe(server: Any, visit: Callable[..., Any]) -> None:
    fill(server.store, 1)
    page = visit(f"{server.url}/#/gallery").page
    page.get_by_role("button", name="Load this recipe: video number 0").click()
    expect(prompt_box(page)).to_have_value("video number 0")
    page.get_by_text("Settings", exact=True).click()
    expect(page.get_by_label("Steps")).to_have_value("2")
