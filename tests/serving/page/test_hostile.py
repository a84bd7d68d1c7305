"""Whatever prompts and plans say is shown as it is, and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.serving.page.driving import from_plan, plan, ready

SCRIPT = (
    "<img/src=x/onerror=window.hit=1><script>window.hit=1</script> </textarea><svg/onload=window.hit=1> \u202e{{7*7}}"
)


def test_script_in_prompts_and_labels_does_nothing(server: Any, visit: Callable[..., Any]) -> None:
    seen = visit(server.url)
    page = seen.page
    editor = plan(page, SCRIPT)
    expect(editor.get_by_text("<img/src=x/onerror=window.hit=1>").first).to_be_visible()
    from_plan(page).click()
    ready(page)
    [job] = server.store.list(kind="video").jobs
    for view in ("gallery", f"video/{job.id}", f"compare?left={job.id}&right={job.id}"):
        page.goto(f"{server.url}/#/{view}")
        expect(page.get_by_text("<script>window.hit=1</script>").first).to_be_visible()
    seen.expected.append("404 (Not Found)")
    page.goto(f"{server.url}/#/video/%22%3E%3Cscript%3Ewindow.hit=1%3C%2Fscript%3E")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("window.hit") is None
    assert page.evaluate("document.scripts.length") == 1


def test_the_policy_allows_this_server_only(server: Any, visit: Callable[..., Any]) -> None:
    seen = visit(server.url)
    answer = seen.page.request.get(server.url)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    html = answer.text()
    assert "style=" not in html
    assert "<style" not in html
    assert html.count("<script") == html.count('<script type="module" crossorigin src="./assets/')


def test_a_remembered_draft_of_another_kind_is_ignored(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    page.evaluate(
        """() => {
            localStorage.setItem('dysenvdm.draft', '{"prompt": 5, "dsg": "x", "steps": "many", "y": 1}');
            localStorage.setItem('dysenvdm.video-job', '{}');
            addEventListener('pagehide', (event) => event.stopImmediatePropagation(), true);
        }"""
    )
    page.goto("about:blank")
    page.goto(server.url)
    expect(page.get_by_role("form")).to_be_visible()
