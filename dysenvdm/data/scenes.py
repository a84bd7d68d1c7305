"""The scene graph of a part of a clip."""

from __future__ import annotations

import math

from planners.dsg import DynamicSceneGraph


def during(dsg: DynamicSceneGraph, start: float, end: float) -> DynamicSceneGraph:
    """What a graph says of the part from ``start`` to ``end`` of its time, both in [0, 1]: all ticks that it touches.

    Objects that are not present in it are left out.
    """
    first = min(dsg.ticks - 1, math.floor(start * dsg.ticks + 1e-6))
    last = max(first + 1, min(dsg.ticks, math.ceil(end * dsg.ticks - 1e-6)))
    if (first, last) == (0, dsg.ticks):
        return dsg
    length = last - first
    objects = []
    for thing in dsg.objects:
        begins, ends = max(0, thing.start - first), None if thing.end is None else min(thing.end, last) - first
        if begins < length and (ends is None or ends > begins):
            objects.append(thing.model_copy(update={"start": begins, "end": None if ends == length else ends}))
    facts = [
        fact.model_copy(update={"start": max(0, fact.start - first), "end": min(fact.end, last) - first})
        for fact in dsg.facts
        if fact.start < last and fact.end > first
    ]
    return DynamicSceneGraph(prompt=dsg.prompt, ticks=length, objects=tuple(objects), facts=tuple(facts))
