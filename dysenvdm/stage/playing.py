"""Playing acts in space: where everybody is between acts, and what somebody can do from there.

Everybody stays in the picture, walks at a walking pace, touches only what is beside it, and nobody ends in somebody
else. Times are beats, lengths pixels of a 64-pixel picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dysenvdm.stage.actions import ACTIONS, Action
from dysenvdm.stage.script import Act, Hold, Role
from dysenvdm.stage.world import PROPS

_REACH = 4.0
"""How far from the ideal place somebody may stand for a jump, a kick, a push."""
_LYING = 18.0
"""How far from the picture's edge a person must be to lie down or to turn over."""
_ARM = 8.0
"""How far before a person its hands hold, take up and put down things."""
_OUT = 2.5
"""How much farther than that a thing may be, in an arm that is stretched out."""
_THROWN = 26.0
_TOSSED = (22.0, 36.0)
"""How far a thing is thrown: away, and to somebody (least and most)."""
_HUGGING = 6.0
_GIVING = 9.0
"""How much farther apart than beside each other two stand who hand over something, pixels."""
_MOUNTING = 0.35
"""Share of a ride in which its rider gets on."""

NEEDS_HELD = frozenset(("put", "throw", "bounce"))
_NEEDS_UPRIGHT = frozenset(("push", "hug", "shake", "pet", "hand", "toss", "chase", "follow", "ride"))
"""Moves whose target, an actor, stands on the ground."""
_TAKES_PART = frozenset(("push", "shake", "hand", "toss", "chase", "follow", "ride"))
"""Moves in which it also does something."""
_SEATED = frozenset(("wave", "wave at", "clap", "point at", "walk to the left", "walk to the right"))
_RAISED = _SEATED | {"bow", "dance", "stretch"}
"""What somebody does who sits, and who stands on a prop."""
_LAID_OUT = frozenset(("fall down", "lie down", "turn a cartwheel"))


@dataclass(frozen=True)
class Wish:
    """What somebody is to do, before it is known where."""

    agent: int
    action: Action
    target: str | None
    start: int
    end: int

    @property
    def lasts(self) -> int:
        return self.end - self.start

    @property
    def held(self) -> str:
        """The prop that the agent must have in its hands, or ""."""
        return (self.target or "") if self.action.move in NEEDS_HELD else self.action.thing


def touches(action: Action) -> bool:
    """Whether the agent must be beside its target when it begins."""
    return action.move not in ("stay", "left", "right", "go", "toss", *NEEDS_HELD)


@dataclass
class World:
    """Places, what people sit and stand on and have in their hands; ``done`` are those who take no more part."""

    roles: tuple[Role, ...]
    x: dict[str, float]
    half: dict[str, float]
    facing: dict[str, int]
    hands: dict[str, str] = field(default_factory=dict)
    seat: dict[str, str] = field(default_factory=dict)
    stand: dict[str, str] = field(default_factory=dict)
    flipped: dict[str, bool] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    since: dict[str, int] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)

    def gap(self, a: str, b: str) -> float:
        """How far apart two are who stand beside each other."""
        return self.half[a] + self.half[b] + 1

    def inside(self, ident: str, x: float) -> bool:
        return self.half[ident] + 0.5 <= x <= 63.5 - self.half[ident]

    # -- what can be done ----------------------------------------------------------------------------------------

    def play(self, wish: Wish, others: Sequence[Act] = ()) -> Act | None:
        """The wish as an act from where everybody is, or None when it cannot be done there and beside the ``others``,
        acts of the same time.
        """
        role, action = self.roles[wish.agent], wish.action
        if role.id in self.done or not self._able(role.id, wish) or not self._apt_target(wish):
            return None
        here = self.x[role.id]
        act = Act(role.id, action.lemma, wish.target, wish.start, wish.end, here, here, self.facing[role.id])
        act = replace(act, seated=self.seat.get(role.id, ""), stands_on=self.stand.get(role.id, ""), thing=action.thing)
        played = self._moved(act, wish)
        if played is None or (role.id in self.hands and played.facing != act.facing):  # nobody turns with full hands
            return None
        if not self._stays_inside(played) or any(_clash(played, other) for other in others):
            return None
        return played if self._apart([*others, played]) else None

    def _able(self, ident: str, wish: Wish) -> bool:
        """Whether hands and posture allow it."""
        if self.hands.get(ident, "") != wish.held and not (wish.action.move in ("left", "right") and not wish.held):
            return False
        if ident in self.seat:
            return wish.action.lemma in _SEATED
        return ident not in self.stand or wish.action.lemma in _RAISED

    def _apt_target(self, wish: Wish) -> bool:
        target, move = wish.target, wish.action.move
        if target is None:
            return True
        if target in PROPS:
            in_hands = target in self.hands.values()
            taken = target in self.seat.values() or target in self.stand.values()
            return in_hands == (move in NEEDS_HELD) and not (taken and touches(wish.action))
        if move not in _NEEDS_UPRIGHT:
            return True
        small = move == "ride" and any(role.id == target and role.size for role in self.roles)
        busy = small or target in self.done or target in self.seat or target in self.stand
        return not busy and not (move in _TAKES_PART and target in self.hands)

    def _moved(self, act: Act, wish: Wish) -> Act | None:
        move = wish.action.move
        if move in ("left", "right"):
            way = 1 if move == "right" else -1
            travel = self._travel(wish, way, act.agent)
            return None if travel is None else replace(act, facing=way, x1=act.x0 + way * travel)
        if wish.target is None or move in NEEDS_HELD:
            return self._handled(act, move)
        there = self.x[wish.target]
        way = 1 if there > act.x0 else -1
        act = replace(act, facing=way, target_kind=wish.target if wish.target in PROPS else "")
        if act.target_kind == "" and move in _TAKES_PART:
            act = replace(act, partner=True, target_x0=there, target_x1=there, target_facing=-way)
        if move == "stay":
            return act
        distance = abs(there - act.x0)
        if move == "go":
            low, high = wish.action.speed
            gap = self.gap(act.agent, wish.target)
            return replace(act, x1=there - way * gap) if low <= (distance - gap) / wish.lasts <= high else None
        if move == "toss":
            return act if _TOSSED[0] <= distance <= _TOSSED[1] else None
        return self._touching(act, wish, there, way)

    def _handled(self, act: Act, move: str) -> Act | None:
        """Acts on nothing, or on what is in the agent's hands."""
        if move == "stay":
            return act
        act = replace(act, target_kind=act.target or "")
        ahead = {"put": _ARM, "throw": _THROWN, "bounce": _ARM}[move]
        room = 63.5 - self.half[act.target_kind] - act.facing * (act.x0 - 32) - 32
        lands = min(ahead, room)
        if move == "throw" and lands < _ARM + 8:
            return None
        return replace(act, target_x0=act.x0 + act.facing * _ARM, target_x1=act.x0 + act.facing * lands)

    def _touching(self, act: Act, wish: Wish, there: float, way: int) -> Act | None:
        """Acts that need the target beside the agent."""
        move, target = wish.action.move, wish.target
        assert target is not None
        gap, distance = self.gap(act.agent, target), abs(there - act.x0)
        far = {"hug": 3.0, "shake": 3.0, "hand": 9.0, "chase": 6.0, "follow": 6.0}.get(move, 0.0)
        if not gap - 1.5 <= distance <= gap + _REACH + far:
            return None
        match move:
            case "over":
                return replace(act, x1=there + way * gap)
            case "onto":
                return replace(act, x1=there, facing=-way)
            case "climb":
                return replace(act, x1=there)
            case "hug":
                return replace(act, x1=there - way * _HUGGING) if self.facing[target] == -way else None
            case "shake":
                return replace(act, x1=there - way * (gap + 2))
            case "hand":
                return replace(act, x1=there - way * (gap + _GIVING))
            case "pet":
                return replace(act, x1=there - way * (self.half[target] + 4))
            case "pick":
                return replace(act, x1=there - way * _ARM, target_x0=there, target_x1=there)
            case "kick":
                lands = min(max(there + way * 22, 6), 58)
                return replace(act, target_x0=there, target_x1=lands) if abs(lands - there) > 12 else None
        return self._together(act, wish, there, way)

    def _together(self, act: Act, wish: Wish, there: float, way: int) -> Act | None:
        """Acts in which both move the same way."""
        target, move = wish.target or "", wish.action.move
        if move == "pull":
            way = -way
        elif move == "ride":  # where there is room
            way = 1 if self.x[target] < 32 else -1
        travel = self._travel(wish, way, act.agent if move == "pull" else target)
        if travel is None:
            return None
        moved = replace(act, facing=way, target_x0=there, target_x1=there + way * travel)
        if move == "ride":
            return replace(moved, x1=moved.target_x1, target_facing=way)
        return replace(moved, x1=act.x0 + way * travel, target_facing=-way if move == "push" else way)

    def _travel(self, wish: Wish, way: int, first: str) -> float | None:
        """How far it goes at a fitting speed until the ``first`` of those who move is at the picture's edge."""
        low, high = wish.action.speed
        lasts = wish.lasts * (1 - _MOUNTING if wish.action.move == "ride" else 1)
        room = 63.5 - self.half[first] - way * (self.x[first] - 32) - 32
        travel = min(room, lasts * (low + high) / 2)
        return travel if travel >= lasts * low else None

    def _stays_inside(self, act: Act) -> bool:
        if act.target_x1 and act.target is not None and not self.inside(act.target, act.target_x1):
            return False
        person = next(role.person for role in self.roles if role.id == act.agent)
        if act.predicate in _LAID_OUT and person and not _LYING <= act.x1 <= 64 - _LYING:
            return False
        if ACTIONS[act.predicate].move == "onto" and act.target_kind == "chair":
            turned = act.facing > 0
            return self.flipped.get("chair", turned) == turned and self.inside(act.agent, act.x1)
        return self.inside(act.agent, act.x1) and self._hands_inside(act)

    def _hands_inside(self, act: Act) -> bool:
        """Whether what anybody has in his hands after the act is in the picture."""
        move = ACTIONS[act.predicate].move
        if move in ("hand", "toss"):
            return self.in_hands(act.thing, self.x[act.target or ""], act.target_facing)
        prop = act.target if move == "pick" else self.hands.get(act.agent)
        return prop is None or self.in_hands(prop, act.x1, act.facing)

    def in_hands(self, prop: str, x: float, facing: int) -> bool:
        """Whether a prop is in the picture in the hands of somebody who stands at ``x`` and looks that way."""
        return 0.5 <= x + facing * (_ARM + _OUT + self.half[prop]) <= 63.5

    def _apart(self, acts: Sequence[Act]) -> bool:
        """Nobody ends in somebody else who was not there before, but who hugs, and no moved prop in another."""
        after = self.x | {act.agent: act.x1 for act in acts}
        after |= {act.target: act.target_x1 for act in acts if act.target is not None and act.target_x1}
        close = {frozenset((act.agent, act.target)) for act in acts if ACTIONS[act.predicate].move in ("hug", "ride")}
        actors = [role.id for role in self.roles]
        for i, a in enumerate(actors):
            for b in actors[:i]:
                apart, before = abs(after[a] - after[b]), abs(self.x[a] - self.x[b])
                nearer = apart < before - 1e-9 or (after[a] > after[b]) != (self.x[a] > self.x[b])
                if nearer and apart < 0.75 * (self.half[a] + self.half[b]) and frozenset((a, b)) not in close:
                    return False
        shifted = [act.target_kind for act in acts if act.target_kind and act.target_x1]
        for prop in shifted:
            for other in PROPS.keys() & after.keys() - {prop} - set(self.hands.values()):
                if abs(after[prop] - after[other]) < 0.6 * (self.half[prop] + self.half[other]):
                    return False
        return True

    # -- doing it ------------------------------------------------------------------------------------------------

    def take(self, acts: Sequence[Act]) -> None:
        """Bring everybody to where these acts, all of one time, leave them."""
        for act in acts:
            move = ACTIONS[act.predicate].move
            self.x[act.agent], self.facing[act.agent] = act.x1, act.facing
            if act.target is not None and act.target_x1:
                self.x[act.target] = act.target_x1
            if act.partner and act.target is not None:
                self.facing[act.target] = act.target_facing
            if move not in ("stay", "onto", "climb"):
                self.seat.pop(act.agent, None)
                self.stand.pop(act.agent, None)
            self._sit(act, move)
            self._hold(act, move)
            if ACTIONS[act.predicate].last:
                self.done |= {act.agent} | ({act.target} if move == "ride" and act.target else set())
        for holder, prop in self.hands.items():
            self.x[prop] = self.x[holder] + self.facing[holder] * _ARM

    def _sit(self, act: Act, move: str) -> None:
        if move == "onto":
            self.seat[act.agent] = act.target_kind
            if act.target_kind == "chair":
                self.flipped["chair"] = act.facing > 0
        elif move == "climb":
            self.stand[act.agent] = act.target_kind

    def _hold(self, act: Act, move: str) -> None:
        """What is handed over is in nobody's hands for certain while it is."""
        assert act.target is not None or move not in ("pick", "hand", "toss")
        if move == "pick":
            self.hold(act.agent, act.target or "", act.end)
        elif move in ("put", "throw", "hand", "toss"):
            self.let_go(act.agent, act.start)
        if move in ("hand", "toss"):
            self.hold(act.target or "", act.thing, act.end)

    def hold(self, holder: str, prop: str, since: int) -> None:
        self.hands[holder], self.since[holder] = prop, since

    def let_go(self, holder: str, at: int) -> None:
        prop, since = self.hands.pop(holder), self.since.pop(holder)
        if since < at:
            self.holds.append(Hold(holder, prop, since, at))

    def all_holds(self, end: int) -> tuple[Hold, ...]:
        """Who held what when, in a clip that ends at beat ``end``; call it once, last."""
        for holder in [*self.hands]:
            self.let_go(holder, end)
        return tuple(sorted(self.holds, key=lambda hold: (hold.start, hold.holder)))


def moved_by(act: Act) -> set[str | None]:
    """Who and what the act moves or handles, by id."""
    moved: set[str | None] = {act.agent} if act.x1 != act.x0 else set()
    if act.partner or act.target_x1:
        moved.add(act.target)
    return moved | ({act.thing} if act.thing else set())


def _needs(act: Act) -> set[str | None]:
    """What must stay where it is for the act."""
    move = ACTIONS[act.predicate].move
    needed: set[str | None] = {act.thing} if act.thing else set()
    return needed if move == "stay" else needed | {act.target}


def _clash(a: Act, b: Act) -> bool:
    """Whether two acts of one time cannot be played together."""
    if (a.partner and a.target == b.agent) or (b.partner and b.target == a.agent):
        return True
    on = ("onto", "climb")
    if a.target == b.target and ACTIONS[a.predicate].move in on and ACTIONS[b.predicate].move in on:
        return True
    return bool((moved_by(a) & (_needs(b) - {None})) | (moved_by(b) & (_needs(a) - {None})))
