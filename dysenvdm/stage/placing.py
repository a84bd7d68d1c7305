"""Where everybody must stand so that the wished acts are possible: each act is played, and the places hold or do not.

Everybody stays in the picture, walks at a walking pace, jumps over things they stand beside, and nobody stands in
somebody else. Times are eighths of a clip, lengths pixels of a 64-pixel picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from dysenvdm.stage.actions import ACTIONS, Action
from dysenvdm.stage.script import Act, Prop, Role
from dysenvdm.stage.world import PROPS

_SLOTS = (9, 17, 25, 32, 39, 47, 55)
_JITTER = 2.0
_REACH = 4.0
"""How far from the ideal place somebody may stand for a jump, a kick, a push."""
_LYING = 18.0
"""How far from the picture's edge a person must be to lie down."""


@dataclass(frozen=True)
class Wish:
    """What somebody is to do, before it is known where."""

    agent: int
    action: Action
    target: str | None
    start: int
    end: int


def _travel(wish: Wish) -> float:
    """How far somebody gets who may choose: at the middle of the action's speeds."""
    return (wish.end - wish.start) * sum(wish.action.speed) / 2


Placed = tuple[tuple[Role, ...], tuple[Prop, ...], tuple[Act, ...]]


@dataclass
class Placing:
    """Plays wishes in space: finds where everybody must start, then moves them act by act."""

    rng: Random
    roles: tuple[Role, ...]
    kinds: tuple[str, ...]
    wishes: list[Wish]
    x: dict[str, float] = field(default_factory=dict)
    half: dict[str, float] = field(default_factory=dict)
    facing: dict[str, int] = field(default_factory=dict)
    seat: dict[str, str] = field(default_factory=dict)
    flipped: dict[str, bool] = field(default_factory=dict)

    def place(self) -> Placed | None:
        """Try one set of places; None when the wishes cannot be played from there."""
        self.half = {role.id: role.half for role in self.roles} | {kind: PROPS[kind].half for kind in self.kinds}
        self.x = {kind: self.rng.choice(_SLOTS) + self.rng.uniform(-_JITTER, _JITTER) for kind in self.kinds}
        for i in self._placing_order():
            self.x[self.roles[i].id] = self._start(i)
        start = dict(self.x)
        if not self._spaced():
            return None
        self.facing = {role.id: self._first_facing(i) for i, role in enumerate(self.roles)}
        first_facing = dict(self.facing)
        acts: list[Act] = []
        for begin in sorted({wish.start for wish in self.wishes}):
            group = [wish for wish in self.wishes if wish.start == begin]
            played = [self._act(wish, group) for wish in group]
            for act in played:
                if act is None or not self._take(act):
                    return None
                acts.append(act)
            if not self._apart([act for act in played if act is not None]):
                return None
        roles = tuple(replace(role, x=start[role.id], facing=first_facing[role.id]) for role in self.roles)
        props = tuple(Prop(kind, start[kind], self.flipped.get(kind, False)) for kind in self.kinds)
        return roles, props, tuple(acts)

    # -- where to start ------------------------------------------------------------------------------------------

    def _mine(self, i: int) -> list[Wish]:
        return [wish for wish in self.wishes if wish.agent == i]

    def _mover(self, i: int) -> Wish | None:
        return next((wish for wish in self._mine(i) if wish.action.move != "stay"), None)

    def _placing_order(self) -> list[int]:
        mover = self._mover(0)
        aims_at_other = mover is not None and mover.target is not None and mover.target not in self.x
        return [1, 0] if len(self.roles) == 2 and aims_at_other else list(range(len(self.roles)))

    def _start(self, i: int) -> float:
        """Where role ``i`` must stand for its first act that needs a place; a slot when none does."""
        wish = self._mover(i)
        jitter = self.rng.uniform(-_JITTER, _JITTER)
        if wish is None or wish.target is None or wish.target not in self.x:
            low = self.roles[i].half + 0.5
            high = 63 - self.roles[i].half
            if wish is not None and wish.action.move == "left":
                low = min(high, low + _travel(wish))
            elif wish is not None and wish.action.move == "right":
                high = max(low, high - _travel(wish))
            return min(max(self.rng.choice(_SLOTS) + jitter, low), high)
        way = self._gap(wish) + jitter * 0.5
        if wish.action.move == "go":
            low, high = wish.action.speed
            way += (wish.end - wish.start) * self.rng.uniform(low, high)
        elif wish.action.move == "hug":
            way += 3
        return self.x[wish.target] - self.rng.choice((1, -1)) * way

    def _gap(self, wish: Wish) -> float:
        assert wish.target is not None
        return self.half[self.roles[wish.agent].id] + self.half[wish.target] + 1

    def _spaced(self) -> bool:
        things = list(self.x)
        for i, a in enumerate(things):
            if not self._inside(a, self.x[a]):
                return False
            for b in things[:i]:
                crowd = 0.6 if (a in PROPS) != (b in PROPS) else 0.9  # somebody may stand a little before a thing
                if abs(self.x[a] - self.x[b]) < crowd * (self.half[a] + self.half[b]):
                    return False
        return True

    def _inside(self, ident: str, x: float) -> bool:
        return self.half[ident] + 0.5 <= x <= 63.5 - self.half[ident]

    def _first_facing(self, i: int) -> int:
        """Towards where the first act goes; who has nothing to do looks at who has."""
        mine = self._mine(i)
        here = self.x[self.roles[i].id]
        if not mine:
            return 1 if self.x[self.roles[1 - i].id] > here else -1
        first = mine[0]
        if first.target is not None:
            return 1 if self.x[first.target] > here else -1
        if first.action.move in ("left", "right"):
            return 1 if first.action.move == "right" else -1
        return 1 if here < 32 else -1

    # -- act by act ----------------------------------------------------------------------------------------------

    def _act(self, wish: Wish, group: Sequence[Wish]) -> Act | None:
        """The wish as an act from where everybody is now, or None when it cannot be done from there."""
        role, move = self.roles[wish.agent], wish.action.move
        here = self.x[role.id]
        still = Act(role.id, wish.action.lemma, wish.target, wish.start, wish.end, here, here, self.facing[role.id])
        still = replace(still, seated=self.seat.get(role.id, ""))
        if move in ("left", "right"):
            way = 1 if move == "right" else -1
            return replace(still, facing=way, x1=here + way * _travel(wish))
        if wish.target is None:
            return still
        there = self.x[wish.target]
        way = 1 if there > here else -1
        still = replace(still, facing=way, target_kind=wish.target if wish.target in PROPS else "")
        if move == "stay":
            return still
        if any(other.action.move != "stay" and self.roles[other.agent].id == wish.target for other in group):
            return None
        return self._towards(still, wish, there, way)

    def _towards(self, still: Act, wish: Wish, there: float, way: int) -> Act | None:
        """Acts that go to their target or touch it."""
        move, lasts, gap = wish.action.move, wish.end - wish.start, self._gap(wish)
        low, high = wish.action.speed
        distance = abs(there - still.x0)
        if move == "go":
            return replace(still, x1=there - way * gap) if low <= (distance - gap) / lasts <= high else None
        if not gap - 1.5 <= distance <= gap + _REACH + (3 if move == "hug" else 0):
            return None
        if move == "over":
            return replace(still, x1=there + way * gap)
        if move == "onto":
            return replace(still, x1=there, facing=-way)
        if move == "hug":
            return replace(still, x1=there - way * 6.0) if self.facing[still.target or ""] == -way else None
        if move == "kick":
            lands = min(max(there + way * 22, 6), 58)
            return replace(still, target_x0=there, target_x1=lands) if abs(lands - there) > 12 else None
        pushed = way * _travel(wish)
        return replace(still, x1=still.x0 + pushed, target_x0=there, target_x1=there + pushed)

    def _take(self, act: Act) -> bool:
        """Move everybody to where the act leaves them; False when that is outside the picture."""
        self.x[act.agent], self.facing[act.agent] = act.x1, act.facing
        if act.target_x1 and act.target is not None:
            self.x[act.target] = act.target_x1
            if not self._inside(act.target, act.target_x1):
                return False
        move = ACTIONS[act.predicate].move
        if move == "onto":
            self.seat[act.agent] = act.target_kind
            if act.target_kind == "chair" and self.flipped.setdefault("chair", act.facing > 0) != (act.facing > 0):
                return False
        elif move != "stay":
            self.seat.pop(act.agent, None)
        lies = ACTIONS[act.predicate].last and act.agent in {role.id for role in self.roles if role.person}
        return self._inside(act.agent, act.x1) and (not lies or _LYING <= act.x1 <= 64 - _LYING)

    def _apart(self, played: Sequence[Act]) -> bool:
        """Nobody ends in somebody else, but who hugs."""
        if len(self.roles) < 2 or any(act.predicate == "hug" for act in played):
            return True
        a, b = self.roles
        return abs(self.x[a.id] - self.x[b.id]) >= 0.75 * (a.half + b.half)
