"""What holds between those on a stage without anybody doing it: who stands where, and who has what in its hands."""

from __future__ import annotations

from collections.abc import Sequence

from dysenvdm.stage.playing import moved_by
from dysenvdm.stage.script import Prop, Relation, Role, Script

_NEXT = 4.0
"""Pixels between two who stand next to each other, at most."""


def relations(roles: Sequence[Role], props: Sequence[Prop]) -> tuple[Relation, ...]:
    """What holds at the start, for every actor: whom or what it stands next to, or else on which side of its nearest
    neighbour; and who is between two others. Left and right are the picture's. What is in somebody's hands has none.
    """
    places: dict[str, tuple[float, float]] = {role.id: (role.x, role.half) for role in roles}
    places |= {prop.id: (prop.x, prop.half) for prop in props if not prop.holder}
    found: list[Relation] = []
    for role in roles:
        gaps = {other: _apart(places, role.id, other) for other in places if other != role.id}
        if not gaps:
            continue
        nearest = min(gaps, key=lambda other: gaps[other])
        if -1 <= gaps[nearest] <= _NEXT:
            relation = (role.id, "next to", nearest)
        elif gaps[nearest] > _NEXT:
            side = "to the left of" if role.x < places[nearest][0] else "to the right of"
            relation = (role.id, side, nearest)
        else:
            continue
        if (nearest, relation[1], role.id) not in found:
            found.append(relation)
    return tuple(found)


def _apart(places: dict[str, tuple[float, float]], a: str, b: str) -> float:
    """Pixels between the nearer sides of two; negative where they overlap."""
    return abs(places[a][0] - places[b][0]) - places[a][1] - places[b][1]


def lasting(script: Script) -> list[tuple[Relation, int, int]]:
    """Every relation with the ticks ``[start, end)`` in which it holds: that of the start until an act moves one of the
    two, and ``hold`` while somebody has something in its hands.
    """
    found = []
    for relation in script.relations:
        ends = [act.start for act in script.acts if moved_by(act) & {relation[0], relation[2]}]
        found.append((relation, 0, script.tick(min(ends, default=script.beats))))
    for hold in script.holds:
        found.append(((hold.holder, "hold", hold.prop), script.tick(hold.start), script.tick(hold.end)))
    return [(relation, start, end) for relation, start, end in found if start < end]
