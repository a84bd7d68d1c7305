"""Stage II against its definition: an event's triplet is there in exactly the ticks of its interval."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planners.dsg import ActionPlan, DynamicSceneGraph, Event, Fact, SceneObject
from planners.event_conversion import convert

IDS = ("girl", "dog", "box")
OBJECTS = tuple(SceneObject(id=ident, label=ident) for ident in IDS)


@st.composite
def plans(draw: st.DrawFn) -> ActionPlan:
    ticks = draw(st.integers(1, 8))
    events = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, ticks - 1))
        events.append(
            Event(
                agent=draw(st.sampled_from(IDS[:2])),
                predicate=draw(st.sampled_from(("run", "jump over"))),
                target=draw(st.sampled_from((None, *IDS))),
                start=start,
                end=draw(st.integers(start + 1, ticks)),
            )
        )
    attributes = draw(
        st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(("red", "old"))), unique=True, max_size=3)
    )
    events.sort(key=lambda event: event.start)
    return ActionPlan(prompt="p", ticks=ticks, objects=OBJECTS, attributes=tuple(attributes), events=tuple(events))


@given(plans())
def test_each_tick_has_exactly_its_events_and_what_the_prompt_states(plan: ActionPlan) -> None:
    dsg = convert(plan)
    stated = {(ident, "", "", text) for ident, text in plan.attributes}
    agents = {event.agent for event in plan.events}
    involved = agents | {event.target for event in plan.events}
    stated |= {(agent, "in", place, "") for agent in agents for place in IDS if place not in involved}
    for tick in range(plan.ticks):
        events = {(e.agent, e.predicate, e.target or "", "") for e in plan.events if e.start <= tick < e.end}
        assert dsg.at(tick).triplets == events | stated
        assert {fact.statement for fact in dsg.at(tick).facts if fact.source == "plan"} == events


@given(plans())
def test_a_graph_survives_its_file_and_keeps_the_plans_objects(plan: ActionPlan) -> None:
    dsg = convert(plan)
    assert DynamicSceneGraph.from_json(dsg.to_json()) == dsg
    assert (dsg.objects, dsg.ticks, dsg.prompt) == (plan.objects, plan.ticks, plan.prompt)
    assert {fact.source for fact in dsg.facts} <= {"plan", "prompt"}


def test_a_place_keeps_the_prompts_preposition() -> None:
    def relation(prompt: str) -> Fact:
        plan = ActionPlan(
            prompt=prompt,
            ticks=2,
            objects=(SceneObject(id="dog", label="dog"), SceneObject(id="snow_field", label="snow field")),
            events=(Event(agent="dog", predicate="run", start=0, end=1),),
        )
        return next(fact for fact in convert(plan).facts if fact.object == "snow_field")

    expected = Fact(subject="dog", predicate="on", object="snow_field", start=0, end=2, source="prompt")
    assert relation("On a wide snow field, a dog runs.") == expected
    assert relation("A dog runs, in a snow field on").predicate == "in"
    assert relation("Snow field: a dog runs.").predicate == "in"
