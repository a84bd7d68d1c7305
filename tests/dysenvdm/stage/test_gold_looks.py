"""Looks in plans and scene graphs: what is seen holds for the whole clip, what captions say is from the prompt."""

from __future__ import annotations

import re

from dysenvdm.stage import StageClip
from dysenvdm.stage.world import WEATHERS
from planners.dsg import STATED


def test_weather_is_where_everybody_is(clips: tuple[StageClip, ...]) -> None:
    told = set()
    for clip in clips:
        weather = clip.script.weather
        facts = [fact for fact in clip.dsg.facts if fact.object in WEATHERS]
        if not weather:
            assert not facts
            continue
        assert {(fact.predicate, fact.object) for fact in facts} == {(WEATHERS[weather], weather)}
        assert {fact.subject for fact in facts} >= {role.id for role in clip.script.roles}
        assert all((fact.start, fact.end) == (0, clip.dsg.ticks) for fact in facts)
        stated = any(fact.source in STATED for fact in facts)
        assert stated == (weather in {thing.label for thing in clip.plan.objects})
        assert stated == bool(
            re.search(rf"\b{WEATHERS[weather]} (the )?{weather}\b(?! field)", clip.caption, re.IGNORECASE)
        )
        told.add(stated)
    assert told == {True, False}


def test_all_looks_are_facts_and_those_that_captions_state_are_in_the_plan(clips: tuple[StageClip, ...]) -> None:
    stated = 0
    for clip in clips:
        shown = {(thing.id, text) for thing in (*clip.script.roles, *clip.script.props) for text, _ in thing.attributes}
        facts = [fact for fact in clip.dsg.facts if fact.attribute]
        assert {(fact.subject, fact.attribute) for fact in facts} == shown
        assert {(fact.subject, fact.attribute) for fact in facts if fact.source in STATED} == set(clip.plan.attributes)
        stated += sum(ident in {prop.id for prop in clip.script.props} for ident, _ in clip.plan.attributes)
    assert stated
