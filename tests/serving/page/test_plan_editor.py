"""The plan editor in a browser, on its own page: what it saves is what planners/dsg.py reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from planners.dsg import DynamicSceneGraph
from tests.serving.page.driving import PROMPT, prompt_box

PARK: dict[str, Any] = {
    "format": "dysenvdm.dsg/1",
    "prompt": "A girl in a red coat jumps over a box while a dog looks on.",
    "ticks": 8,
    "objects": [
        {"id": "girl", "label": "girl"},
        {"id": "box", "label": "box", "start": 1, "end": 6},
        {"id": "dog", "label": "dog"},
    ],
    "facts": [
        {"subject": "girl", "predicate": "jump over", "object": "box", "start": 2, "end": 5, "source": "plan"},
        {"subject": "girl", "attribute": "in a red coat", "start": 0, "end": 8, "source": "prompt"},
        {"subject": "dog", "predicate": "look at", "object": "girl", "start": 1, "end": 4, "source": "imagined"},
        {"subject": "box", "attribute": "wooden", "start": 1, "end": 6, "source": "polished"},
    ],
}
PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}


class Editor:
    """The page as a person sees it."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder

    def open(self, dsg: dict[str, Any], seconds: str = "") -> None:
        file = self.folder / "park.dsg.json"
        file.write_text(json.dumps(dsg), encoding="utf-8")
        self.page.set_input_files("input[type=file]", file)
        self.page.get_by_label("Seconds").fill(seconds)
        expect(self.page.get_by_label("Ticks", exact=True)).to_have_value(str(dsg["ticks"]))

    def saved(self) -> DynamicSceneGraph:
        """What 'Save file' gives, as the real validator reads it."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Save file").click()
        return DynamicSceneGraph.load(download.value.path())

    def fact(self, text: str) -> dict[str, Any]:
        found = [
            fact for fact in self.saved().to_dict()["facts"] if text in (fact.get("predicate"), fact.get("attribute"))
        ]
        assert len(found) == 1
        return found[0]

    def slider(self, name: str) -> Locator:
        return self.page.get_by_role("slider", name=name, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def drag(self, what: Locator, ticks: float, ticks_in_all: int = 8) -> None:
        lane = what.locator("xpath=ancestor::*[@role='gridcell']").bounding_box()
        box = what.bounding_box()
        assert lane
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + ticks * lane["width"] / ticks_in_all, y, steps=4)
        self.page.mouse.up()

    @property
    def said(self) -> Locator:
        return self.page.get_by_role("status")


@pytest.fixture
def editor(server: Any, visit: Callable[..., Any], tmp_path: Path) -> Callable[..., Editor]:
    def open_(dsg: dict[str, Any] = PARK, seconds: str = "4", **options: Any) -> Editor:
        opened = Editor(visit(f"{server.url}/plan.html", **options).page, tmp_path)
        opened.open(dsg, seconds)
        return opened

    return open_


def test_a_plan_that_is_only_looked_at_is_saved_as_it_was(editor: Callable[..., Editor]) -> None:
    assert editor().saved() == DynamicSceneGraph.parse(PARK)


def test_dragging_bars_and_their_ends(editor: Callable[..., Editor]) -> None:
    page = editor()
    page.drag(page.slider("Start of girl jump over box"), -1)
    page.drag(page.slider("End of girl in a red coat"), -3)
    page.drag(page.slider("dog look at girl"), 2)
    assert [page.fact(text) for text in ("jump over", "in a red coat", "look at")] == [
        {**PARK["facts"][0], "start": 1, "source": "user"},
        {**PARK["facts"][1], "end": 5, "source": "user"},
        {**PARK["facts"][2], "start": 3, "end": 6, "source": "user"},
    ]
    expect(page.slider("dog look at girl")).to_have_attribute("aria-valuetext", "dog look at girl, from 1.5 s to 3 s")


def test_a_bar_stops_where_its_object_goes_and_says_why(editor: Callable[..., Editor]) -> None:
    page = editor()
    bar = page.slider("girl jump over box")
    box = bar.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 900, box["y"] + 5, steps=3)
    expect(page.page.get_by_text("box is there only until 3 s.")).to_be_visible()
    page.page.mouse.up()
    assert (page.fact("jump over")["start"], page.fact("jump over")["end"]) == (3, 6)


def test_escape_gives_up_a_drag(editor: Callable[..., Editor]) -> None:
    page = editor()
    bar = page.slider("girl jump over box")
    box = bar.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] - 60, box["y"] + 5, steps=3)
    page.page.keyboard.press("Escape")
    page.page.mouse.up()
    assert page.saved() == DynamicSceneGraph.parse(PARK)
    expect(page.button("Undo")).to_be_disabled()


def test_everything_by_keyboard(editor: Callable[..., Editor]) -> None:
    page = editor()
    keys = page.page.keyboard
    page.slider("Cursor").focus()
    keys.press("Tab")  # into the first row: its fold, name, add, delete, then its bar
    expect(page.button("Facts about girl")).to_be_focused()
    keys.press("ArrowDown")  # a fact has no fold: the focus goes to its first part
    expect(page.button("Rename girl jump over box")).to_be_focused()
    for _ in range(3):
        keys.press("Tab")
    expect(page.slider("Start of girl jump over box")).to_be_focused()
    keys.press("ArrowRight")
    keys.press("Tab")
    keys.press("ArrowRight")  # the whole bar
    keys.press("Tab")
    keys.press("ArrowRight")  # its end cannot go on: the box leaves
    expect(page.said).to_have_text("box is there only until 3 s.")
    assert page.fact("jump over") == {**PARK["facts"][0], "start": 4, "end": 6, "source": "user"}

    page.slider("girl jump over box").focus()
    keys.press("F2")
    keys.type("climb onto")
    keys.press("Enter")
    expect(page.button("Rename girl climb onto box")).to_be_focused()
    keys.press("ArrowDown")
    expect(page.button("Rename girl in a red coat")).to_be_focused()
    keys.press("Delete")
    expect(page.said).to_have_text("Deleted girl in a red coat")
    assert page.page.evaluate("document.activeElement.closest('[data-row]') !== null")  # not lost
    assert [fact.label for fact in page.saved().facts] == ["look at", "wooden", "climb onto"]


def test_undo_and_redo_take_back_one_edit_each(editor: Callable[..., Editor]) -> None:
    page = editor()
    page.drag(page.slider("End of girl jump over box"), -1)
    page.button("Delete girl in a red coat").click()
    page.page.keyboard.press("Control+z")  # the focus went on to the row that took the place
    expect(page.said).to_have_text("Undone: Deleted girl in a red coat")
    page.page.keyboard.press("Control+z")
    assert page.saved() == DynamicSceneGraph.parse(PARK)
    page.button("Redo").click()
    page.button("Redo").click()
    assert [(fact.label, fact.end) for fact in page.saved().facts if fact.subject == "girl"] == [("jump over", 4)]
    expect(page.button("Redo")).to_be_disabled()


def test_vetoes_one_by_one_and_all_and_back(editor: Callable[..., Editor]) -> None:
    page = editor()
    graph = page.page.get_by_role("img", name="Scene at")
    page.slider("Cursor").press("ArrowRight")
    expect(graph).to_have_attribute(
        "aria-label", "Scene at 0.5 s: girl in a red coat; dog look at girl (imagined); box wooden (imagined)"
    )
    page.button("Veto dog look at girl").click()
    expect(graph).to_have_attribute("aria-label", "Scene at 0.5 s: girl in a red coat; box wooden (imagined)")
    assert [thing.id for thing in page.saved().objects] == ["girl", "box"]  # only the vetoed fact knew of a dog
    page.button("Bring back dog look at girl").click()
    page.button("Veto all imagined (2)").click()
    assert page.saved() == DynamicSceneGraph.parse(PARK).veto(["imagined", "polished"])
    page.button("Bring back (2)").click()
    assert page.saved() == DynamicSceneGraph.parse(PARK)


def test_vetoes_and_history_wait_while_one_looks_at_another_view(server: Any, visit: Callable[..., Any]) -> None:
    page = visit(server.url).page
    prompt_box(page).fill(PROMPT)
    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_role("button", name="Veto all imagined (1)").click()
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("region", name="Plan", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Create").click()
    page.get_by_role("button", name="Bring back (1)").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    expect(page.get_by_role("button", name="Veto all imagined (1)")).to_be_enabled()


def test_adding_an_object_and_facts(editor: Callable[..., Editor]) -> None:
    page = editor()
    page.button("Add object").click()
    page.page.get_by_label("Person, animal or thing").fill("Old Man")
    page.page.keyboard.press("Enter")
    page.button("Add a fact about Old Man").click()
    form = page.page.get_by_role("dialog")
    expect(form.get_by_label("Who or what")).to_have_value("old_man")
    form.get_by_role("button", name="Add", exact=True).click()
    expect(form.get_by_text("The text may not be empty.").first).to_be_visible()
    form.get_by_label("Does what").fill("wave at")
    form.get_by_label("To whom or what").select_option("box")
    form.get_by_role("button", name="Add", exact=True).click()
    expect(form.get_by_text("box is there only from 0.5 s.").first).to_be_visible()
    form.get_by_label("From tick").fill("2")
    form.get_by_label("To tick").fill("5")
    form.get_by_role("button", name="Add", exact=True).click()
    expect(form).to_have_count(0)
    added = {"subject": "old_man", "predicate": "wave at", "object": "box", "start": 2, "end": 5, "source": "user"}
    assert page.fact("wave at") == added
    page.button("Delete Old Man and its facts").click()
    assert page.saved() == DynamicSceneGraph.parse(PARK)


def test_a_name_that_cannot_be_is_refused_beside_its_field(editor: Callable[..., Editor]) -> None:
    page = editor()
    page.button("Rename girl in a red coat").click()
    field = page.page.get_by_role("textbox", name="Rename girl in a red coat")
    field.fill(" ")
    field.press("Enter")
    expect(page.page.get_by_role("rowheader").get_by_text("The text may not be empty.")).to_be_visible()
    expect(field).to_be_focused()
    field.press("Escape")
    assert page.saved() == DynamicSceneGraph.parse(PARK)


def test_another_number_of_ticks(editor: Callable[..., Editor]) -> None:
    page = editor()
    ticks = page.page.get_by_label("Ticks", exact=True)
    ticks.fill("16")
    ticks.press("Enter")
    assert (page.fact("jump over")["start"], page.fact("jump over")["end"], page.saved().ticks) == (4, 10, 16)
    expect(page.slider("girl jump over box")).to_have_attribute(
        "aria-valuetext", "girl jump over box, from 1 s to 2.5 s"
    )
    ticks.fill("2000")
    ticks.press("Enter")
    expect(page.page.get_by_text("A whole number from 1 to 1024.").first).to_be_visible()


def test_labels_are_text_whatever_they_hold(editor: Callable[..., Editor]) -> None:
    evil = "<img src=x onerror=\"document.title='hacked'\">"
    dsg = {**PARK, "objects": [{"id": "girl", "label": evil}], "facts": [{**PARK["facts"][1], "attribute": evil}]}
    page = editor({**dsg, "prompt": evil})
    expect(page.page.get_by_text(evil).first).to_be_visible()
    page.page.get_by_text("What changed since").click()
    assert page.page.locator("img").count() == 0
    assert page.page.title() == "Plan editor · DysenVDM"


def test_a_file_that_breaks_a_rule_is_refused_and_the_plan_stays(editor: Callable[..., Editor]) -> None:
    page = editor()
    bad = page.folder / "bad.json"
    bad.write_text(json.dumps({**PARK, "objects": PARK["objects"][:2]}))
    page.page.set_input_files("input[type=file]", bad)
    expect(page.page.get_by_role("alert")).to_have_text('bad.json: facts[2].subject: no object has the id "dog"')
    assert page.saved() == DynamicSceneGraph.parse(PARK)


def test_the_track_seeks_and_tells_what_happens(editor: Callable[..., Editor]) -> None:
    page = editor()
    track = page.slider("Plan")
    box = track.bounding_box()
    assert box
    page.page.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + 4)
    expect(track).to_have_attribute("aria-valuetext", "2.2 s; girl jump over box")
    expect(page.slider("Cursor")).to_have_attribute("aria-valuenow", "4")
    track.press("End")
    expect(track).to_have_attribute("aria-valuetext", "4 s")


def test_between_two_ticks_only_the_line_under_the_player_moves(editor: Callable[..., Editor]) -> None:
    page = editor()
    box = page.slider("Plan").bounding_box()
    assert box
    page.page.mouse.click(box["x"] + box["width"] * 0.52, box["y"] + 4)
    expect(page.slider("Plan")).to_have_attribute("aria-valuenow", "52")
    page.page.evaluate("""() => {
        window.touched = new Set();
        const note = (records) => records.forEach((record) => touched.add(record.target.className));
        new MutationObserver(note).observe(document.querySelector('.plan-track'),
            {subtree: true, childList: true, attributes: true, characterData: true});
    }""")
    page.page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + 4)
    expect(page.slider("Plan")).to_have_attribute("aria-valuenow", "60")
    assert page.page.evaluate("[...touched].sort()") == ["plan-playhead", "plan-track-lanes"]


def test_what_changed_is_listed(editor: Callable[..., Editor]) -> None:
    page = editor()
    page.page.get_by_text("What changed since").click()
    expect(page.page.get_by_text("The two plans are the same.")).to_be_visible()
    page.button("Delete girl in a red coat").click()
    page.drag(page.slider("End of girl jump over box"), -1)
    changes = page.page.get_by_role("region", name="What differs between opened and now").get_by_role("listitem")
    expect(changes).to_have_count(2)
    expect(changes.nth(0)).to_contain_text("changed")
    expect(changes.nth(1)).to_contain_text("only in opened")


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"color_scheme": "light", **PHONE}],
    ids=["light", "dark", "phone"],
)
def test_no_accessibility_violations(editor: Callable[..., Editor], options: dict[str, Any]) -> None:
    page = editor(**options)
    page.button("Veto box wooden").click()
    page.page.get_by_text("What changed since").click()
    page.page.get_by_text("Keys").click()
    violations = Axe().run(page.page).response["violations"]
    page.button("Add fact").click()
    violations += Axe().run(page.page).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in violations] == []
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dragging_by_touch_on_a_phone(editor: Callable[..., Editor]) -> None:
    page = editor(**PHONE)
    bar = page.slider("End of girl jump over box")
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    lane = bar.locator("xpath=ancestor::*[@role='gridcell']").bounding_box()
    assert box
    assert lane
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.page.context.new_cdp_session(page.page)
    for kind, by in (("touchStart", 0.0), ("touchMove", 0.4), ("touchMove", 1.0), ("touchEnd", 1.0)):
        points = [] if kind == "touchEnd" else [{"x": x + by * lane["width"] / 8, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert page.fact("jump over") == {**PARK["facts"][0], "end": 6, "source": "user"}


def test_a_long_plan_redraws_only_what_changes(editor: Callable[..., Editor]) -> None:
    """12 objects, 96 facts, 240 ticks: while the time goes on, nothing of the timeline but the cursor is touched."""
    things = [{"id": f"o{i}", "label": f"thing {i}"} for i in range(12)]
    facts = [
        dict(
            PARK["facts"][0],
            subject=f"o{i % 12}",
            predicate=f"act {i}",
            object=f"o{(i * 5 + 1) % 12}",
            start=i,
            end=i + 60,
        )
        for i in range(96)
    ]
    page = editor({**PARK, "ticks": 240, "objects": things, "facts": facts}, seconds="30")
    assert page.page.get_by_role("row").count() == 1 + 12 + 96
    page.page.evaluate("""() => {
        window.touched = new Set();
        const row = (record) => record.target.closest?.('[role=row]')?.dataset.row ?? '';
        const note = (records) => records.forEach((record) => touched.add(row(record)));
        new MutationObserver(note).observe(document.querySelector('[role=grid]'),
            {subtree: true, childList: true, attributes: true, characterData: true});
    }""")
    for _ in range(5):
        page.slider("Cursor").press("PageUp")
    expect(page.slider("Cursor")).to_have_attribute("aria-valuenow", "120")
    assert page.page.evaluate("[...touched].filter(Boolean)") == []
    page.slider("thing 3 act 3 thing 4").press("ArrowRight")
    expect(page.slider("thing 3 act 3 thing 4")).to_have_attribute("aria-valuenow", "4")
    rows = page.page.evaluate("[...touched].filter(Boolean)")
    assert "fact-3" in rows
    assert len(rows) <= 3  # the one that moved, and those that took and lost the tab stop
