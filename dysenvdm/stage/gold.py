"""The gold plan and the gold dynamic scene graph of a script, for a caption of it.

Both speak the caption's words: its event of a girl who "strolls over to" a box is ``stroll over to``, as any reader of
the caption would have it; :func:`dysenvdm.stage.captions.action_of` gives the world's own name, ``walk to``.
"""

from __future__ import annotations

from dysenvdm.stage.captions import Wording
from dysenvdm.stage.relations import lasting
from dysenvdm.stage.script import Prop, Role, Script
from dysenvdm.stage.world import SETTINGS, WEATHERS
from planners.dsg import ActionPlan, DynamicSceneGraph, Event, Fact, SceneObject, Source


def setting_id(setting: str) -> str:
    """The object id of a setting: its label without spaces."""
    return setting.replace(" ", "_")


def _surroundings(script: Script) -> list[tuple[SceneObject, str, bool]]:
    """The setting and, if there is any, the weather: the object, its preposition, and whether captions name it."""
    found = [(script.setting, SETTINGS[script.setting], script.says_setting)]
    if script.weather:
        found.append((script.weather, WEATHERS[script.weather], script.says_weather))
    return [(SceneObject(id=setting_id(name), label=name), where, said) for name, where, said in found]


def gold_plan(script: Script, caption: str, wording: Wording) -> ActionPlan:
    """What the caption states: objects (setting and weather only when named), attributes, and events as they occur."""
    targets = {act.target for act in script.acts}
    objects = [SceneObject(id=role.id, label=wording.noun(role.kind)) for role in script.roles]
    objects += [SceneObject(id=prop.id, label=wording.noun(prop.kind)) for prop in script.props if prop.id in targets]
    objects += [place for place, _, said in _surroundings(script) if said]
    things: list[Role | Prop] = [*script.roles, *(prop for prop in script.props if prop.id in targets)]
    events = []
    for i, act in enumerate(script.acts):
        start, end = script.ticks_of(act)
        events.append(
            Event(agent=act.agent, predicate=wording.verb(script, i), target=act.target, start=start, end=end)
        )
    return ActionPlan(
        prompt=caption,
        ticks=script.ticks,
        objects=tuple(objects),
        attributes=tuple((thing.id, text) for thing in things for text, said in thing.attributes if said),
        events=tuple(events),
    )


def gold_dsg(script: Script, caption: str, wording: Wording) -> DynamicSceneGraph:
    """The plan's events as facts, all attributes and places for the whole clip, props that nobody touches, and what
    else holds: who stands next to whom, who has what in its hands.

    The caption's facts (sources "plan" and "prompt") are exactly those into which the gold plan converts.
    """
    plan = gold_plan(script, caption, wording)
    whole = {"start": 0, "end": script.ticks}
    surroundings = _surroundings(script)
    known = {thing.id for thing in plan.objects}
    unnamed = [prop for prop in script.props if prop.id not in known]
    objects = [*plan.objects, *(SceneObject(id=prop.id, label=wording.noun(prop.kind)) for prop in unnamed)]
    objects += [place for place, _, _ in surroundings if place.id not in known]

    agents = {event.agent for event in plan.events}
    facts = [
        Fact(subject=e.agent, predicate=e.predicate, object=e.target, start=e.start, end=e.end, source="plan")
        for e in plan.events
    ]
    everything: list[Role | Prop] = [*script.roles, *script.props]
    for thing in everything:
        for text, told in thing.attributes:
            said: Source = "prompt" if told and thing.id in known else "imagined"
            facts.append(Fact(subject=thing.id, attribute=text, source=said, **whole))
    for place, where, named in surroundings:
        here = {"predicate": where, "object": place.id}
        for role in script.roles:
            source: Source = "prompt" if named and role.id in agents else "imagined"
            facts.append(Fact(subject=role.id, source=source, **here, **whole))
        for prop in unnamed:
            facts.append(Fact(subject=prop.id, source="imagined", **here, **whole))
    for (one, relation, other), start, end in lasting(script):
        facts.append(Fact(subject=one, predicate=relation, object=other, start=start, end=end, source="imagined"))
    return DynamicSceneGraph(prompt=caption, ticks=script.ticks, objects=tuple(objects), facts=tuple(facts))
