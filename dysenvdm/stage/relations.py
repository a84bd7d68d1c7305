"""Spatial relations between those who stand on a stage, read off their places."""

from __future__ import annotations

from collections.abc import Sequence

from dysenvdm.stage.script import Prop, Relation, Role

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
