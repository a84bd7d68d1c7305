"""The comparison's page in a real browser: by itself, sortable, playable, unhurt by what prompts say."""

# ruff: noqa: F811  (fixtures are asked for by the names that they are imported under)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dysenvdm.studies.comparison import Comparison, VideoOptions, prompt_view, run
from tests.serving.page.conftest import visit  # noqa: F401  (a fixture)
from tests.serving.page.driving import until

HOSTILE = (
    'A dog runs. <img src="https://example.org/x.png" onerror="window.struck=1"> <script>window.struck=1</script>',
    "A girl waves at a boy \u202e\"'><svg/onload=window.struck=1> </style></details> javascript:window.struck=1",
    "A cat sits on the box, then it jumps over the box.",
)
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes the report once, with whatever model it is given first."""
    reports: list[Path] = []

    def make(model: Path) -> Path:
        if not reports:
            folder = tmp_path_factory.mktemp("compare")
            (folder / "prompts.txt").write_text("\n".join(HOSTILE))
            videos = VideoOptions(str(model), steps=2, device="cpu")
            planners = ("rules", "rules:imagine=false")
            run(Comparison(str(folder / "prompts.txt"), planners, videos=videos), folder / "out", lambda *_: None)
            reports.append(folder / "out" / "report.html")
        return reports[0]

    return make


@pytest.fixture
def report(made: Callable[[Path], Path], small_model: Path) -> Path:
    return made(small_model)


def column(page: Page, table: str, number: int) -> list[str]:
    rows = page.get_by_role("region", name=table, exact=True).locator("tbody tr")
    return [row.locator("th, td").nth(number).evaluate("e => e.firstChild.textContent") for row in rows.all()]


def test_nothing_leaves_the_file_and_nothing_in_it_is_obeyed(report: Path, visit: Callable[..., Any]) -> None:
    seen = visit(report.as_uri())
    asked: list[str] = []
    seen.page.on("request", lambda request: asked.append(request.url))
    seen.page.reload()
    for summary in seen.page.locator("summary").all():
        summary.click()
    seen.page.get_by_role("button", name="Play all").first.click()
    expect(seen.page.locator("video").first).to_be_visible()
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert [url for url in asked if url.startswith("file")] == [report.as_uri()]
    assert seen.page.evaluate("window.struck") is None
    assert seen.page.locator("main img, main script, main iframe, main object").count() == 0
    expect(seen.page.get_by_text("<script>window.struck=1</script>").first).to_be_visible()
    assert "\u202e" not in report.read_text("utf-8")
    # Were something obeyed all the same, it could not run: what is no part of the page as it was made is refused.
    seen.expected += ["Content Security Policy", "violates", "Refused"]
    seen.page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.struck=1'; document.body.append(s)"
    )
    assert seen.page.evaluate("window.struck") is None


def test_tables_sort_by_mouse_and_by_keyboard(report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report.as_uri()).page
    head = page.get_by_role("region", name="What it takes").get_by_role("columnheader", name="seconds").first
    button = head.get_by_role("button")
    button.click()
    expect(head).to_have_attribute("aria-sort", "ascending")  # less is better
    values = [float(value) for value in column(page, "What it takes", 1)]
    assert values == sorted(values)
    names = column(page, "What it takes", 0)
    button.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert column(page, "What it takes", 0) == names[::-1]
    page.get_by_role("region", name="Plans", exact=True).get_by_role("button", name="planner").press("Enter")
    assert column(page, "Plans", 0) == ["rules", "rules imagine=false"]
    page.get_by_role("region", name="Plans", exact=True).get_by_role("button", name="planner").press("Space")
    assert column(page, "Plans", 0) == ["rules imagine=false", "rules"]


@pytest.mark.parametrize("embedded", [True, False])
def test_videos_play(
    embedded: bool,
    report: Path,
    visit: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not embedded:
        import json

        from dysenvdm.studies.comparison.page import page as written

        monkeypatch.setattr(prompt_view, "EMBEDDED_BYTES", 0)
        results = json.loads((report.parent / "results.json").read_text("utf-8"))
        report = report.with_name("linked.html")
        report.write_text(written(results, report.parent), encoding="utf-8")
    page = visit(report.as_uri()).page
    page.locator("summary").last.click()  # the others are too long for the small model
    page.get_by_role("button", name="Play all").last.click()
    videos = page.locator("details[open] video")
    assert videos.count() == 2
    until(lambda: all(videos.nth(i).evaluate("v => v.currentTime > 0.1 && !v.error") for i in range(2)), page)
    assert videos.first.evaluate("v => v.src.startsWith('data:')") is embedded
    expect(page.get_by_text("inside this page" if embedded else "files beside this page")).to_be_visible()


def test_prompts_are_found(report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report.as_uri()).page
    page.get_by_label("Find in prompts").fill("CAT SITS")
    expect(page.get_by_text("1 shown")).to_be_visible()
    expect(page.locator("#prompts details:visible")).to_have_count(1)


@pytest.mark.parametrize(
    "look", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"color_scheme": "dark", **PHONE}]
)
def test_the_page_has_no_barrier_and_fits(look: dict[str, Any], report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report.as_uri(), bypass_csp=True, **look).page  # axe is a script of ours, not of the page
    for summary in page.locator("summary").all():
        summary.click()
    found = Axe().run(page).response["violations"]
    assert [f"{each['id']}: {node['target']}" for each in found for node in each["nodes"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
