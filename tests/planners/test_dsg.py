"""The data model: JSON, strictness, derived graphs, edits, diffs."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.dsg import (
    SOURCES,
    STATED,
    ActionPlan,
    DSGError,
    DynamicSceneGraph,
    Edit,
    Event,
    Fact,
    SceneObject,
    UserError,
    tick_of_frame,
)

IDS = ("girl", "dog_1", "dog_2", "box")
TEXTS = ("walk to", "jump over", "in a red coat", "läuft «schnell»", "in")


@st.composite
def facts(draw: st.DrawFn, ticks: int, ids: tuple[str, ...]) -> Fact:
    start = draw(st.integers(0, ticks - 1))
    span: dict[str, Any] = {
        "subject": draw(st.sampled_from(ids)),
        "start": start,
        "end": draw(st.integers(start + 1, ticks)),
        "source": draw(st.sampled_from(SOURCES)),
    }
    text = draw(st.sampled_from(TEXTS))
    if draw(st.booleans()):
        return Fact(attribute=text, **span)
    return Fact(predicate=text, object=draw(st.sampled_from((None, *ids))), **span)


@st.composite
def graphs(draw: st.DrawFn, ticks: int | None = None) -> DynamicSceneGraph:
    """Any valid graph: facts are added one by one through ``extended``, which keeps every rule."""
    ticks = ticks or draw(st.integers(1, 9))
    ids = tuple(draw(st.lists(st.sampled_from(IDS), min_size=1, unique=True)))
    objects = tuple(SceneObject(id=ident, label=ident.partition("_")[0]) for ident in ids)
    empty = DynamicSceneGraph(prompt=draw(st.text(max_size=20)), ticks=ticks, objects=objects)
    return empty.extended(draw(st.lists(facts(ticks, ids), max_size=8)))


def as_ticks(dsg: DynamicSceneGraph) -> dict[int, set[tuple[Any, ...]]]:
    """The slow twin of a graph: what is said at each tick, and by whom."""
    return {t: {(f.statement, f.source) for f in dsg.facts if f.start <= t < f.end} for t in range(dsg.ticks)}


# -- JSON ------------------------------------------------------------------------------------------------------------


@given(graphs())
def test_json_round_trip_keeps_content_and_bytes(dsg: DynamicSceneGraph) -> None:
    again = DynamicSceneGraph.from_json(dsg.to_json())
    assert again == dsg
    assert again.to_json() == dsg.to_json()
    assert json.loads(dsg.to_json()) == dsg.to_dict()


def test_files_round_trip_and_leave_nothing_else_behind(tmp_path: Path) -> None:
    dsg = DynamicSceneGraph(prompt="ä", ticks=2, objects=(SceneObject(id="a", label="a", start=1),))
    dsg.save(tmp_path / "x.json")
    assert DynamicSceneGraph.load(tmp_path / "x.json") == dsg
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")
    monkeypatch.setattr("planners.dsg.os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        DynamicSceneGraph(ticks=1).save(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


@given(graphs())
def test_one_line_per_object_and_fact(dsg: DynamicSceneGraph) -> None:
    lines = dsg.to_json().split("\n")
    assert sum(line.startswith('  {"id"') for line in lines) == len(dsg.objects)
    assert sum(line.startswith('  {"subject"') for line in lines) == len(dsg.facts)


# -- strictness --------------------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "format": "dysenvdm.dsg/1",
    "prompt": "p",
    "ticks": 4,
    "objects": [{"id": "girl", "label": "girl"}, {"id": "box", "label": "box", "start": 1, "end": 3}],
    "facts": [
        {"subject": "girl", "attribute": "tall", "start": 0, "end": 4, "source": "prompt"},
        {"subject": "girl", "predicate": "kick", "object": "box", "start": 1, "end": 3, "source": "plan"},
    ],
}


def broken(path: str, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    *way, last = path.split("/")
    place: Any = data
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("mood", "sunny", r"^f\.json: mood: Extra inputs"),
        ("ticks", 0, r"^f\.json: ticks: "),
        ("ticks", "4", r"^f\.json: ticks: "),
        ("facts/1/colour", "red", r"^f\.json: facts\[1\]\.colour: Extra inputs"),
        ("facts/1/object", "ball", r"facts\[1\]\.object: no object has the id 'ball'; known: box, girl"),
        ("facts/0/subject", "boy", r"facts\[0\]\.subject: no object has the id 'boy'"),
        ("facts/0/end", 5, r"facts\[0\]\.end: 5 is beyond the graph's 4 ticks"),
        ("facts/0/start", 4, r"facts\[0\]: start 4 is not before end 4"),
        ("facts/1/start", 0, r"facts\[1\]: 'box' is not present in all of \[0, 3\)"),
        ("facts/0/predicate", "run", r"facts\[0\]: a fact has either a predicate or an attribute"),
        ("facts/0/attribute", " ", r"facts\[0\]\.attribute: "),
        ("facts/0/source", "guess", r"facts\[0\]\.source: "),
        ("facts/0/object", "box", r"facts\[0\]: an attribute fact takes no object"),
        ("objects/1/id", "girl", r"objects\[1\]\.id: 'girl' is used twice"),
        ("objects/1/id", "a b", r"objects\[1\]\.id: "),
        ("objects/1/end", 9, r"objects\[1\]\.end: beyond the graph's 4 ticks"),
        ("objects/1/end", 1, r"objects\[1\]: start 1 is not before end 1"),
        ("ticks", 1025, r"ticks: .*less than or equal to 1024"),
        ("objects", [{"id": f"o{i}", "label": "o"} for i in range(257)], r"objects: .*at most 256 items"),
        ("facts", [GOOD["facts"][0]] * 4097, r"facts: .*at most 4096 items"),
        ("objects/0/label", "x" * 121, r"objects\[0\]\.label: .*at most 120 characters"),
        ("format", "dysenvdm.dsg/7", r"format 'dysenvdm\.dsg/7' is not known; this version reads 'dysenvdm\.dsg/1'"),
    ],
)
def test_a_broken_rule_is_refused_at_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(DSGError, match=message) as caught:
        DynamicSceneGraph.from_json(json.dumps(broken(path, value)), "f.json")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UserError)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '{"ticks": 4}', "\udcff".encode("utf-8", "surrogatepass"), "[" * 100_000, '{"a": ' + "1" * 5000],
)
def test_what_is_no_dsg_file_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(DSGError, match=r"^f\.json: not ") as caught:
        DynamicSceneGraph.from_json(text, "f.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"x" * 100_000: 1}, {"format": "y" * 100_000}, {"ticks": "z" * 100_000}])
def test_what_is_told_of_a_file_is_short_however_long_its_names(change: dict[str, Any]) -> None:
    with pytest.raises(DSGError) as caught:
        DynamicSceneGraph.from_json(json.dumps({"format": "dysenvdm.dsg/1", "ticks": 4} | change), "f.json")
    assert len(str(caught.value)) < 2000


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DSGError, match=r"none\.json: cannot be read"):
        DynamicSceneGraph.load(tmp_path / "none.json")


def test_the_same_statement_twice_at_once_is_refused() -> None:
    fact = Fact(subject="girl", attribute="tall", start=0, end=2, source="prompt")
    late = fact.model_copy(update={"start": 1, "end": 3, "source": "user"})
    with pytest.raises(DSGError, match=r"facts\[0\] and facts\[1\] say the same in overlapping ticks"):
        DynamicSceneGraph(ticks=4, objects=(SceneObject(id="girl", label="girl"),)).replace(facts=(fact, late))


def test_a_plan_wants_known_ids_order_and_its_ticks() -> None:
    def plan(*events: Event) -> ActionPlan:
        return ActionPlan(prompt="", ticks=4, objects=(SceneObject(id="girl", label="girl"),), events=events)

    run = Event(agent="girl", predicate="run", start=0, end=2)
    assert plan(run).events == (run,)
    for wrong, message in (
        (run.model_copy(update={"agent": "boy"}), r"events\[1\]\.agent: no object has the id 'boy'"),
        (run.model_copy(update={"target": "boy"}), r"events\[1\]\.target: no object has the id 'boy'"),
        (run.model_copy(update={"end": 5}), r"events\[1\]\.end: 5 is beyond the plan's 4 ticks"),
    ):
        with pytest.raises(ValueError, match=message):
            plan(run, wrong)
    with pytest.raises(ValueError, match="not in order of occurrence"):
        plan(run.model_copy(update={"start": 1}), run)


# -- looking -----------------------------------------------------------------------------------------------------------


@given(graphs())
def test_segments_are_the_maximal_runs_of_equal_ticks(dsg: DynamicSceneGraph) -> None:
    segments = dsg.segments()
    assert [t for s in segments for t in range(s.start, s.end)] == list(range(dsg.ticks))
    for segment in segments:
        assert all(dsg.at(t) == segment.graph for t in range(segment.start, segment.end))
    assert all(a.graph != b.graph for a, b in pairwise(segments))


@given(graphs())
def test_the_graph_of_a_tick_is_what_the_slow_twin_says(dsg: DynamicSceneGraph) -> None:
    for tick, said in as_ticks(dsg).items():
        assert {(f.statement, f.source) for f in dsg.at(tick).facts} == said
        assert dsg.at(tick).triplets == {statement for statement, _ in said}


@pytest.mark.parametrize("tick", [-1, 3])
def test_a_tick_outside_is_an_error(tick: int) -> None:
    with pytest.raises(IndexError, match="outside"):
        DynamicSceneGraph(ticks=3).at(tick)


@given(st.integers(1, 40), st.integers(1, 40))
def test_frames_walk_through_the_ticks_in_order(frames: int, ticks: int) -> None:
    shown = [tick_of_frame(f, frames, ticks) for f in range(frames)]
    assert shown == sorted(shown)
    assert all(0 <= t < ticks for t in shown)
    if frames >= ticks:
        assert set(shown) == set(range(ticks))


# -- changing ----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_diff_then_apply_is_the_other_graph(data: st.DataObject) -> None:
    a, b = data.draw(graphs(ticks=5)), data.draw(graphs(ticks=5))
    made = a.apply(a.diff(b))
    assert made.facts == b.facts
    assert {o.id: o for o in made.objects} == {o.id: o for o in b.objects}
    assert not a.diff(a)


def test_diff_shows_a_moved_fact_as_one_change_and_needs_equal_ticks() -> None:
    a = DynamicSceneGraph.parse(GOOD)
    moved = a.facts[1].model_copy(update={"start": 2})
    [edit] = a.diff(a.replace(facts=(a.facts[0], moved)))
    assert edit == Edit(op="change", fact=a.facts[1], to_fact=moved)
    assert edit.describe() == "~ girl · kick · box [1, 3) plan  ->  girl · kick · box [2, 3) plan"
    with pytest.raises(DSGError, match="4 and 5 ticks"):
        a.diff(DynamicSceneGraph(ticks=5))


def test_edits_are_checked_as_one_step() -> None:
    dsg = DynamicSceneGraph.parse(GOOD)
    ball = SceneObject(id="ball", label="ball")
    kick = dsg.facts[1]
    edits = [
        Edit(op="change", fact=kick, to_fact=kick.model_copy(update={"object": "ball"})),
        Edit(op="remove", object=dsg.object("box")),
        Edit(op="add", object=ball),
    ]
    assert dsg.apply(edits).objects == (dsg.object("girl"), ball)
    with pytest.raises(DSGError, match=r"facts\[1\]\.object: no object has the id 'box'"):
        dsg.apply(edits[1:])
    with pytest.raises(DSGError, match=r"edits\[1\]: nothing in the graph equals «girl · tall"):
        dsg.apply([Edit(op="remove", fact=dsg.facts[0])] * 2)


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "add"},
        {"op": "change", "fact": GOOD["facts"][0]},
        {"op": "remove", "fact": GOOD["facts"][0], "to_fact": GOOD["facts"][1]},
        {"op": "change", "object": GOOD["objects"][0], "to_object": GOOD["objects"][1]},
        {"op": "add", "fact": GOOD["facts"][0], "object": GOOD["objects"][0]},
    ],
)
def test_an_edit_of_the_wrong_shape_is_refused(edit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"an edit names|'change' takes|an object's id"):
        Edit.model_validate(edit)


@given(graphs(), st.sets(st.sampled_from(SOURCES)))
def test_veto_removes_exactly_those_sources(dsg: DynamicSceneGraph, sources: set[Any]) -> None:
    left = dsg.veto(sources)
    assert left.facts == tuple(fact for fact in dsg.facts if fact.source not in sources)
    mentioned = {ident for fact in dsg.facts for ident in (fact.subject, fact.object)}
    still = {ident for fact in left.facts for ident in (fact.subject, fact.object)}
    assert {o.id for o in left.objects} == {o.id for o in dsg.objects if o.id not in mentioned or o.id in still}


def test_veto_of_an_unknown_source_is_refused() -> None:
    with pytest.raises(DSGError, match="unknown source 'wish'"):
        DynamicSceneGraph(ticks=1).veto(["wish"])  # type: ignore[list-item]
    assert {"prompt", "plan", "user"} == STATED


@given(st.data())
def test_extended_adds_ticks_tick_by_tick_and_never_says_one_twice(data: st.DataObject) -> None:
    dsg = data.draw(graphs())
    new = data.draw(st.lists(facts(dsg.ticks, tuple(o.id for o in dsg.objects)), max_size=5))
    expected = {t: dict(said) for t, said in as_ticks(dsg).items()}
    for fact in new:
        for tick in range(fact.start, fact.end):
            expected[tick].setdefault(fact.statement, fact.source)
    made = dsg.extended(new)
    assert as_ticks(made) == {t: set(said.items()) for t, said in expected.items()}
    for a in made.facts:
        assert not any(a.statement == b.statement and a.source == b.source and a.end == b.start for b in made.facts)


def test_extended_refuses_ticks_beyond_the_graph() -> None:
    fact = Fact(subject="girl", attribute="tall", start=0, end=5, source="user")
    with pytest.raises(DSGError, match="beyond the graph's 4 ticks"):
        DynamicSceneGraph.parse(GOOD).extended([fact])
