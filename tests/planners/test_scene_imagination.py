"""Stage III: what a window shows, what its schema lets through, and what the polish may do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.demonstrations import demonstrations
from planners.dsg import MAX_OBJECTS, STATED, DynamicSceneGraph, Fact, SceneObject
from planners.dysen import scene_example
from planners.scene_imagination import (
    Vocabulary,
    enriched_example,
    line,
    line_pattern,
    polish,
    polish_question,
    visual_words,
    window_question,
)

EXAMPLES = [scene_example(example) for example in demonstrations()]
DSG = DynamicSceneGraph.parse(
    {
        "prompt": "A girl kicks a ball, then runs.",
        "ticks": 4,
        "objects": [{"id": "girl", "label": "girl"}, {"id": "ball", "label": "ball"}],
        "facts": [
            {"subject": "girl", "attribute": "in a coat", "start": 0, "end": 4, "source": "prompt"},
            {"subject": "girl", "predicate": "kick", "object": "ball", "start": 0, "end": 2, "source": "plan"},
            {"subject": "girl", "predicate": "run", "start": 2, "end": 4, "source": "plan"},
        ],
    }
)


def add(dsg: DynamicSceneGraph, index: int, *lines: str) -> DynamicSceneGraph:
    return window_question(dsg, DSG.segments(), index, ()).check({"add": list(lines)})


def test_a_window_shows_the_enriched_previous_the_raw_current_and_the_raw_next() -> None:
    enriched = add(DSG, 0, "ball near girl", "girl is smiling")
    asked = window_question(enriched, DSG.segments(), 1, EXAMPLES[:1]).messages[-1].content.split("\n")
    before = {"ball near girl", "girl kick ball", "girl is smiling", "girl is in a coat"}
    assert asked[0] == DSG.prompt
    assert set(asked[1].removeprefix("before: ").split("; ")) == before
    assert asked[2:] == ["now: girl is in a coat; girl run", "next: -"]
    first = window_question(DSG, DSG.segments(), 0, ()).messages[-1].content.split("\n")
    assert first[1] == "before: -"
    assert "girl run" in first[3]


def test_added_lines_hold_in_their_segment_and_join_across_segments() -> None:
    twice = add(add(DSG, 0, "girl is smiling"), 1, "girl is smiling", "girl under old tree")
    new = [fact for fact in twice.facts if fact.source == "imagined"]
    assert {(line(fact), fact.start, fact.end) for fact in new} == {
        ("girl is smiling", 0, 4),
        ("girl under old_tree", 2, 4),
    }
    assert twice.object("old_tree").label == "old tree"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("moon is yellow", "nothing is called 'moon'"),
        ("girl is ", "neither a property nor a relation"),
        ("girl eats cake", "neither a property nor a relation"),
        ("girl near girl", "relates a thing to itself"),
        ("girl is in a coat", "already there"),
    ],
)
def test_a_line_that_says_nothing_new_about_the_scene_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        add(DSG, 0, text)


def test_a_line_said_twice_counts_once() -> None:
    assert add(DSG, 0, "girl near fence", "girl near fence") == add(DSG, 0, "girl near fence")


@pytest.mark.parametrize("value", [None, [], {"add": "girl is tall"}, {"add": [1]}, {}])
def test_a_reply_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="'add' must be a list"):
        window_question(DSG, DSG.segments(), 0, ()).check(value)


def test_what_contradicts_the_prompt_or_the_plan_is_refused() -> None:
    stated = Fact(subject="girl", predicate="on", object="ball", start=0, end=DSG.ticks, source="prompt")
    dsg = DSG.extended([stated])
    with pytest.raises(ValueError, match="contradicts 'girl on ball', which the prompt states"):
        add(dsg, 0, "girl under ball")
    assert add(dsg, 0, "girl near ball") != dsg
    imagined = add(dsg, 0, "girl near ball")
    number = [line(fact) for fact in imagined.facts].index("girl near ball") + 1
    for value in (edits(add=["girl under ball"]), edits(change=[f"{number}: girl under ball"])):
        with pytest.raises(ValueError, match="'girl under ball' contradicts 'girl on ball', which the prompt states"):
            polish(imagined, value)


def test_a_graph_that_is_full_takes_no_more() -> None:
    things = [SceneObject(id=f"thing_{i}", label="thing") for i in range(MAX_OBJECTS - len(DSG.objects))]
    full = DSG.replace(objects=(*DSG.objects, *things))
    with pytest.raises(ValueError, match=f"objects: .*at most {MAX_OBJECTS} items"):
        add(full, 0, "girl near fence")
    assert add(full, 0, "girl is smiling") != full


def test_what_already_holds_is_not_offered_again() -> None:
    dsg = DSG.extended([Fact(subject="girl", predicate="near", object="ball", start=0, end=1, source="imagined")])
    for within, offered in (((0, 1), None), ((1, 2), "girl near ball")):
        found = re.fullmatch(line_pattern(dsg, visual_words(), within), "girl near ball")
        assert (found and found[0]) == offered
    assert re.fullmatch(line_pattern(dsg, visual_words()), "ball near girl")


def test_the_visual_words_are_plain_and_each_is_there_once() -> None:
    for words in (visual_words().properties, visual_words().things):
        assert len(words) > 80
        assert all(re.fullmatch("[a-z]+", word) for word in words)
        assert len(set(words)) == len(words)


@given(st.data(), st.sampled_from([None, visual_words()]))
def test_every_line_that_the_schema_allows_is_a_statement_or_refused_for_its_meaning(
    data: st.DataObject, words: Vocabulary | None
) -> None:
    text = data.draw(st.from_regex(re.compile(line_pattern(DSG, words), re.ASCII), fullmatch=True))
    subject, _, rest = text.partition(" ")
    if rest.endswith(f" {subject}") and not rest.startswith("is "):
        with pytest.raises(ValueError, match="to itself"):
            add(DSG, 0, text)
        return
    dsg = add(DSG, 0, text)
    [new] = [fact for fact in dsg.facts if fact.source == "imagined"]
    assert dsg.veto(["imagined"]) == DSG
    assert new.subject in ("girl", "ball")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.dsg.prompt[:30])
def test_what_people_imagined_is_what_the_schema_allows(example: Any) -> None:
    pattern = line_pattern(example.dsg)
    assert all(re.fullmatch(pattern, text) for lines in example.imagined for text in lines)
    assert not example.flaw or re.fullmatch(pattern, example.flaw)
    assert len(example.imagined) == len(example.dsg.segments())


# -- polish ------------------------------------------------------------------------------------------------------------

ENRICHED = add(add(DSG, 0, "girl is smiling", "ball near fence"), 1, "girl is tired")
NUMBER = {line(fact): i for i, fact in enumerate(ENRICHED.facts, 1)}


def edits(**changes: Any) -> dict[str, Any]:
    return {"remove": [], "change": [], "add": [], **changes}


def test_imagined_lines_can_be_removed_changed_and_added() -> None:
    smiling, fence = NUMBER["girl is smiling"], NUMBER["ball near fence"]
    value = edits(remove=[fence], change=[f"{smiling}: girl is laughing"], add=["ball is red"])
    made = polish(ENRICHED, value)
    assert {(line(f), f.start, f.end) for f in made.facts if f.source == "polished"} == {
        ("girl is laughing", 0, 2),
        ("ball is red", 0, 4),
    }
    assert {line(f) for f in made.facts if f.source == "imagined"} == {"girl is tired"}
    assert [thing.id for thing in made.objects] == ["girl", "ball"]
    assert polish(ENRICHED, edits()) == ENRICHED


@given(st.lists(st.integers(-1, 9), max_size=3), st.lists(st.integers(0, 9), max_size=2))
def test_no_edit_ever_touches_what_is_stated(remove: list[int], change: list[int]) -> None:
    stated = [fact for fact in ENRICHED.facts if fact.source in STATED]
    numbers = {ENRICHED.facts.index(fact) + 1 for fact in stated}
    try:
        made = polish(ENRICHED, edits(remove=remove, change=[f"{n}: girl is merry" for n in change]))
    except ValueError:
        return
    assert not numbers & {*remove, *change}
    assert [fact for fact in made.facts if fact.source in STATED] == stated


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (edits(remove=[NUMBER["girl kick ball"]]), "is stated by the plan and stays"),
        (edits(remove=[99]), "there is no line 99; lines are 1 to 6"),
        (edits(change=["x: girl is merry"]), "there is no line 'x'"),
        (edits(change=[f"{NUMBER['girl is tired']}: moon is full"]), "nothing is called 'moon'"),
        (edits(add=["girl is tired"]), "already there"),
        (edits(remove=[NUMBER["girl is tired"]] * 2), "nothing in the graph equals"),
        ({"remove": []}, "'change' must be a list"),
    ],
)
def test_a_wrong_edit_is_refused(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        polish(ENRICHED, value)


def test_the_polish_schema_offers_imagined_lines_alone() -> None:
    question = polish_question(ENRICHED, EXAMPLES[:2])
    offered = set(question.json_schema["properties"]["remove"]["items"]["enum"])
    assert offered == {i for i, fact in enumerate(ENRICHED.facts, 1) if fact.source == "imagined"}
    listed = question.messages[-1].content.split("\n")[1:]
    assert {int(text.partition(".")[0]) for text in listed if text.endswith("(imagined)")} == offered


def test_an_examples_enriched_graph_grows_window_by_window() -> None:
    example = next(example for example in EXAMPLES if len(example.imagined) == 3)
    sizes = [len(enriched_example(example, upto=n).facts) for n in range(4)]
    assert sizes == sorted(sizes)
    assert sizes[0] == len(example.dsg.facts) < sizes[3]


def test_a_flawed_example_shows_how_its_line_is_removed() -> None:
    flawed = next(example for example in EXAMPLES if example.flaw)
    asked, answer = polish_question(ENRICHED, [flawed]).messages[1:3]
    [number] = json.loads(answer.content)["remove"]
    assert asked.content.split("\n")[number] == f"{number}. {flawed.flaw} (imagined)"
