"""The way that most people go: prompt, plan, edit, generate, watch, remix, gallery, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.serving.page.driving import (
    PROMPT,
    from_plan,
    plan_and_generate,
    press_remix,
    prompt_box,
    ready,
    until,
    videos,
)


def test_from_a_prompt_to_two_videos_side_by_side(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_label("Steps", exact=True).fill("3")
    prompt_box(page).fill(PROMPT)
    page.get_by_role("button", name="Plan", exact=True).click()
    editor = page.get_by_role("region", name="Plan", exact=True)
    expect(editor.get_by_text("jump over").first).to_be_visible()

    # An edit: the imagined fact goes.
    editor.get_by_role("button", name=re.compile("Veto.*imagined", re.I)).click()
    from_plan(page).click()
    ready(page)
    [first] = server.store.list(kind="video").jobs
    assert (first.request["seed"], first.request["num_inference_steps"]) == (7, 3)
    facts = first.dsg["facts"]
    assert {fact["source"] for fact in facts} == {"plan", "prompt"}
    assert len(facts) == 4

    # Watching: it plays, steps by frames, and the plan under it moves it.
    page.get_by_role("button", name="Play", exact=True).click()
    until(lambda: videos(page)[0]["time"] > 0.1, page)
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_label("Position").fill("0")
    page.get_by_role("button", name="Frame forward").click()
    page.get_by_role("button", name="Frame forward").click()
    fps = first.request["fps"]
    until(lambda: int(videos(page)[0]["time"] * fps) == 2, page)
    expect(page.get_by_text(f"3 / {first.request['num_frames']}", exact=True)).to_be_visible()
    track = page.get_by_role("slider", name="Plan", exact=True)
    track.focus()
    page.keyboard.press("End")
    until(lambda: videos(page)[0]["time"] > videos(page)[0]["length"] / 2, page)

    # Remix: another prompt, same seed and settings.
    press_remix(page)
    expect(page.get_by_label("Seed", exact=True)).to_have_value("7")
    prompt_box(page).fill(PROMPT.replace("girl", "boy"))
    from_plan(page).click()
    ready(page)
    [remix, _] = server.store.list(kind="video").jobs
    assert remix.remix_of == first.id
    assert (remix.request["seed"], remix.request["num_inference_steps"]) == (7, 3)

    # The gallery has both, and finds one of them.
    page.get_by_role("link", name="Gallery").click()
    cards = page.get_by_role("list", name="Videos").get_by_role("link")
    expect(cards).to_have_count(2)
    page.get_by_role("searchbox").fill("boy")
    expect(cards).to_have_count(1)
    cards.click()
    ready(page)

    # Beside its original: one clock for both.
    page.get_by_role("link", name="Compare with original").click()
    ready(page, 2)
    expect(page.get_by_text("They differ in prompt.", exact=False)).to_be_visible()
    page.get_by_label("Position").fill("9")
    until(lambda: all(abs(each["time"] - 9.5 / fps) < 0.05 for each in videos(page)), page)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Pause", exact=True).click()
    left, right = (each["time"] for each in videos(page))
    assert abs(left - right) < 0.25


def test_without_a_plan(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    prompt_box(page).fill(PROMPT)
    page.get_by_label("Planner").select_option(label="None (prompt alone)")
    page.get_by_role("button", name="Generate at once").click()
    ready(page)
    [job] = server.store.list(kind="video").jobs
    assert (job.request["planner"], job.dsg) == (None, None)
    expect(page.get_by_role("slider", name="Plan", exact=True)).to_have_count(0)


def test_a_first_frame_is_uploaded(server: Any, visit: Callable[..., Any], png: bytes) -> None:
    seen = visit(server.url)
    page = seen.page
    prompt_box(page).fill(PROMPT)
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("First frame").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"no"})
    expect(page.get_by_text("Choose a PNG, JPEG or WebP picture.")).to_be_visible()
    page.get_by_label("First frame").first.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png})
    expect(page.get_by_role("img", name="First frame: a.png")).to_be_visible()
    page.get_by_role("button", name="Generate at once").click()
    expect(page.get_by_role("alert")).to_contain_text("96x64 has another aspect than the video's 64x64")
    seen.expected.append("400 (Bad Request)")
    page.get_by_label("Width").fill("96")
    page.get_by_label("Height").fill("64")
    page.get_by_role("button", name="Generate at once").click()
    ready(page)
    [job] = server.store.list(kind="video").jobs
    assert (job.request["width"], job.request["height"]) == (96, 64)
    assert job.request["input_reference"].startswith("upload_")
    assert job.request["planner"] == "rules"


def test_two_planners_of_one_prompt(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(f"{server.url}/#/compare").page
    page.get_by_label("Prompt").fill(PROMPT)
    page.get_by_role("button", name="Generate both").click()
    ready(page, 2)
    left, right = server.store.list(kind="video", order="asc").jobs
    assert (left.request["planner"], right.request["planner"]) == ("rules", "smollm2")
    assert left.request["seed"] == right.request["seed"]
    expect(page.get_by_text("They differ in planner. Both start from the same noise.")).to_be_visible()
    expect(page.get_by_text("The two plans are the same.")).to_be_visible()


def test_a_recipe_is_loaded_as_a_new_video(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    plan_and_generate(page)
    page.get_by_role("button", name="Load this recipe").click()
    expect(page.get_by_text("The recipe is loaded.")).to_be_visible()
    from_plan(page).click()
    ready(page)
    second, first = server.store.list(kind="video").jobs
    assert second.remix_of is None
    assert second.request == first.request
    assert second.dsg == first.dsg
