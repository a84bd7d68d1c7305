"""What goes wrong or takes long: the page says so, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from serving.jobs import Status
from tests.serving.page.driving import PROMPT, from_plan, plan, plan_and_generate, prompt_box, ready, until
from tests.serving.page.worker import FAIL


def at_once(page: Page, prompt: str = PROMPT) -> None:
    prompt_box(page).fill(prompt)
    page.get_by_role("button", name="Generate at once").click()


def test_a_reload_in_the_middle_loses_nothing(serve: Callable[..., Any], visit: Callable[..., Any]) -> None:
    server = serve(worker=False)
    page = visit(server.url).page
    prompt_box(page).fill(PROMPT)
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.get_by_text("Waiting for the planner")).to_be_visible()
    page.reload()
    expect(prompt_box(page)).to_have_value(PROMPT)
    expect(page.get_by_text("Waiting for the planner")).to_be_visible()
    server.worker.hold.clear()
    server.worker.start()
    expect(from_plan(page)).to_be_enabled()
    page.reload()  # the plan is there again, though its job is done
    from_plan(page).click()
    expect(page.get_by_text("step 1 of 25")).to_be_visible()
    expect(page.get_by_role("img", name="Preview of the video being made")).to_be_visible()
    page.reload()
    expect(page.get_by_text("step 1 of 25")).to_be_visible()
    expect(page.get_by_role("link", name="Gallery 1 under way")).to_be_visible()
    server.worker.hold.set()
    ready(page)
    page.reload()
    ready(page)
    assert len(server.store.list(kind="video").jobs) == 1


def test_cancelled_between_steps(server: Any, visit: Callable[..., Any]) -> None:
    server.worker.hold.clear()
    page = visit(server.url).page
    at_once(page)
    expect(page.get_by_text("step 1 of 25")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This video was cancelled.")).to_be_visible()
    [job] = server.store.list(kind="video").jobs
    assert job.status is Status.CANCELLED


def test_failures_say_why(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    prompt_box(page).fill(f"Please {FAIL}.")
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The planner failed.")
    expect(page.get_by_role("alert")).to_contain_text("this prompt always fails")
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_label("Planner").select_option(label="None (prompt alone)")
    at_once(page, f"Please {FAIL}.")
    expect(page.get_by_role("alert")).to_contain_text("This video could not be made.")
    expect(page.get_by_role("alert")).to_contain_text("this prompt always fails")


def test_what_the_server_refuses_is_told(server: Any, visit: Callable[..., Any]) -> None:
    seen = visit(server.url)
    page = seen.page
    prompt_box(page).fill(PROMPT)
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Steps").fill("nonsense")
    page.get_by_label("Steps").fill("0")
    expect(page.get_by_text("A whole number from 1 to 1000")).to_be_visible()
    expect(page.get_by_role("button", name="Generate at once")).to_be_disabled()
    page.get_by_label("Steps").fill("999")
    seen.expected.append("400 (Bad Request)")
    at_once(page)
    expect(page.get_by_role("alert")).to_contain_text("num_inference_steps")
    assert server.store.list(kind="video").jobs == []


def test_a_video_that_is_gone(server: Any, visit: Callable[..., Any]) -> None:
    seen = visit(server.url)
    seen.expected.append("404 (Not Found)")
    plan_and_generate(seen.page)
    [job] = server.store.list(kind="video").jobs
    server.store.delete(job.id)
    seen.page.reload()
    expect(seen.page.get_by_role("alert")).to_contain_text("This video is not there any more.")
    seen.page.get_by_role("button", name="Dismiss").click()
    expect(seen.page.get_by_role("alert")).to_have_count(0)


def test_a_server_that_is_away_comes_back(server: Any, visit: Callable[..., Any]) -> None:
    seen = visit(server.url)
    page = seen.page
    plan(page)
    seen.expected += ["ERR_INTERNET_DISCONNECTED", "Failed to load resource"]
    seen.context.set_offline(True)
    expect(page.get_by_text("The server does not answer.").first).to_be_visible()
    seen.context.set_offline(False)
    expect(page.get_by_text("The server does not answer.").first).to_be_hidden()
    from_plan(page).click()
    ready(page)


def test_signing_in_where_a_token_is_asked_for(serve: Callable[..., Any], visit: Callable[..., Any]) -> None:
    server = serve(tokens={"ada": "a-token-long-enough-for-ada"})
    seen = visit(server.url)
    seen.expected.append("401 (Unauthorized)")
    page = seen.page
    page.get_by_label("Token").fill("a-token-that-nobody-has")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The server does not know this token.")).to_be_visible()
    page.get_by_label("Token").fill("a-token-long-enough-for-ada")
    page.get_by_role("button", name="Sign in").click()
    plan_and_generate(page)  # videos and events, which carry no header, come too
    [job] = server.store.list(kind="video").jobs
    assert job.owner == "ada"
    kept = page.evaluate("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    assert "long-enough" not in kept
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()


def test_deleting_asks_first_and_stops_what_runs(server: Any, visit: Callable[..., Any]) -> None:
    server.worker.hold.clear()
    page = visit(server.url).page
    at_once(page)
    expect(page.get_by_text("step 1 of 25")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this video?")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted.")).to_be_visible()
    until(lambda: server.store.list(kind="video").jobs == [], page)
