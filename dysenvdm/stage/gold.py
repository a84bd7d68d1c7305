"""The gold plan and the gold dynamic scene graph of a script, for a caption of it.

Both speak the caption's words: its event of a girl who "strolls over to" a box is ``stroll over to``, as any reader of
the caption would have it; :func:`dysenvdm.stage.captions.action_of` gives the world's own name, ``walk to``.
"""

from __future__ import annotations

from dysenvdm.stage.captions import Wording
from dysenvdm.stage.script import Script
from dysenvdm.stage.world import SETTINGS
from planners.dsg import ActionPlan, DynamicSceneGraph, Event, Fact, SceneObject, Source


def setting_id(setting: str) -> str:
    """The object id of a setting: its label without spaces."""
    return setting.replace(" ", "_")


def gold_plan(script: Script, caption: str, wording: Wording) -> ActionPlan:
    """What the caption states: objects (the setting only when named), attributes, and events in order of occurrence."""
    targets = {act.target for act in script.acts}
    objects = [SceneObject(id=role.id, label=wording.noun(role.kind)) for role in script.roles]
    objects += [SceneObject(id=prop.id, label=wording.noun(prop.kind)) for prop in script.props if prop.id in targets]
    if script.says_setting:
        objects.append(SceneObject(id=setting_id(script.setting), label=script.setting))
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
        attributes=tuple((role.id, role.attribute) for role in script.roles if role.says_color),
        events=tuple(events),
    )


def gold_dsg(script: Script, caption: str, wording: Wording) -> DynamicSceneGraph:
    """The plan's events as facts, everybody's attribute and place for the whole clip, and props that nobody touches.

    The caption's facts (sources "plan" and "prompt") are exactly those into which the gold plan converts.
    """
    plan = gold_plan(script, caption, wording)
    whole = {"start": 0, "end": script.ticks}
    place = SceneObject(id=setting_id(script.setting), label=script.setting)
    known = {thing.id for thing in plan.objects}
    unnamed = [prop for prop in script.props if prop.id not in known]
    objects = [*plan.objects, *(SceneObject(id=prop.id, label=wording.noun(prop.kind)) for prop in unnamed)]
    if place.id not in known:
        objects.append(place)

    here = {"predicate": SETTINGS[script.setting], "object": place.id}
    agents = {event.agent for event in plan.events}
    facts = [
        Fact(subject=e.agent, predicate=e.predicate, object=e.target, start=e.start, end=e.end, source="plan")
        for e in plan.events
    ]
    for role in script.roles:
        said: Source = "prompt" if role.says_color else "imagined"
        where: Source = "prompt" if script.says_setting and role.id in agents else "imagined"
        facts.append(Fact(subject=role.id, attribute=role.attribute, source=said, **whole))
        facts.append(Fact(subject=role.id, source=where, **here, **whole))
    for prop in unnamed:
        facts.append(Fact(subject=prop.id, source="imagined", **here, **whole))
    return DynamicSceneGraph(prompt=caption, ticks=script.ticks, objects=tuple(objects), facts=tuple(facts))
