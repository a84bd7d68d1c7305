"""The gold plan and the gold graph agree with each other and with the planner's own conversion."""

from __future__ import annotations

import re

import pytest

from dysenvdm.stage import StageClip, sample
from planners.dsg import DynamicSceneGraph
from planners.event_conversion import convert


def test_the_gold_plan_converts_to_the_gold_graph(clips: tuple[StageClip, ...]) -> None:
    for clip in clips[:150]:
        stated = {fact for fact in clip.dsg.facts if fact.source != "imagined"}
        assert set(convert(clip.plan).facts) == stated


def test_every_phrasing_has_the_same_plan(clips: tuple[StageClip, ...]) -> None:
    for clip in clips[:150]:
        for caption in clip.captions:
            plan = clip.plan.model_copy(update={"prompt": caption})
            assert set(convert(plan).facts) == set(convert(clip.plan).facts)


def test_everybody_has_an_attribute_and_a_place_for_the_whole_clip(clips: tuple[StageClip, ...]) -> None:
    for clip in clips[:150]:
        place = clip.setting.replace(" ", "_")
        assert clip.dsg.object(place).label == clip.setting
        for tick in range(clip.dsg.ticks):
            facts = clip.dsg.at(tick).facts
            for role in clip.script.roles:
                said = {fact.attribute for fact in facts if fact.subject == role.id and fact.attribute}
                assert said == {text for text, _ in role.attributes}
                assert role.attribute in said
                assert any(fact.subject == role.id and fact.object == place for fact in facts)


def test_sources_follow_the_caption(clips: tuple[StageClip, ...]) -> None:
    for clip in clips[:150]:
        for fact in clip.dsg.facts:
            if fact.attribute:
                label = clip.dsg.object(fact.subject).label
                worn = re.sub("^in an? ", "", fact.attribute)  # "in", "wearing", and in terse captions no article
                said = worn if worn != fact.attribute else rf"\b{fact.attribute}( \w+)? {label}\b"
                assert (fact.source == "prompt") == bool(re.search(said, clip.caption, re.IGNORECASE)), clip.caption
            elif fact.object == clip.setting.replace(" ", "_") and clip.setting not in clip.caption:
                assert fact.source == "imagined"


def test_every_object_is_in_a_fact_and_has_boxes(clips: tuple[StageClip, ...]) -> None:
    for clip in clips[:150]:
        mentioned = {i for fact in clip.dsg.facts for i in (fact.subject, fact.object)}
        places = {name.replace(" ", "_") for name in (clip.setting, clip.script.weather) if name}
        assert {thing.id for thing in clip.dsg.objects} <= mentioned
        assert {thing.id for thing in clip.dsg.objects} == {*clip.boxes, *places}


def test_events_are_in_order_of_occurrence_and_within_the_clip(clips: tuple[StageClip, ...]) -> None:
    for clip in clips[:150]:
        starts = [event.start for event in clip.plan.events]
        assert starts == sorted(starts)
        assert all(event.end - event.start >= 2 for event in clip.plan.events)


@pytest.mark.parametrize("ticks", [4, 8, 12, 30])
def test_other_ticks_tell_the_same_story(clips: tuple[StageClip, ...], ticks: int) -> None:
    for seed in range(40):
        clip = sample(seed, ticks=ticks)
        assert clip.caption == clips[seed].caption
        assert clip.dsg.ticks == ticks
        assert clip.dsg.segments()[-1].end == ticks
        assert DynamicSceneGraph.from_json(clip.dsg.to_json()) == clip.dsg
