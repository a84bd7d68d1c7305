"""Where everybody stands at the start, so that what they are to do first is possible.

Times are beats, lengths pixels of a 64-pixel picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from dysenvdm.stage.playing import Wish, World
from dysenvdm.stage.script import Act, Prop, Role
from dysenvdm.stage.world import PROPS

_SLOTS = (9, 17, 25, 32, 39, 47, 55)
_JITTER = 2.0
_SLOT_TRIES, _WAY_TRIES = 8, 4
_BESIDE = 0.3
"""How often somebody whom nothing draws elsewhere stands beside somebody or something."""

_HUNTS = frozenset(("chase", "follow"))

Placed = tuple[tuple[Role, ...], tuple[Prop, ...], tuple[Act, ...]]


@dataclass
class Placing:
    """Finds where everybody must start for ``wishes``, props included, and where those are."""

    rng: Random
    roles: tuple[Role, ...]
    props: tuple[Prop, ...]
    wishes: list[Wish]
    x: dict[str, float] = field(default_factory=dict, init=False)
    half: dict[str, float] = field(init=False)
    holders: dict[str, str] = field(init=False)
    movers: list[Wish | None] = field(init=False)
    order: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.half = {role.id: role.half for role in self.roles} | {prop.id: prop.half for prop in self.props}
        self.holders = self._first_holders()
        self.movers = [self._mover(i) for i in range(len(self.roles))]
        self.order = self._placing_order()

    def place(self) -> Placed | None:
        """Try one set of places and play the wishes from there; None when that does not work."""
        world = self.start()
        if world is None:
            return None
        roles, props = self.placed(world)
        acts: list[Act] = []
        for begin in sorted({wish.start for wish in self.wishes}):
            played: list[Act] = []
            for wish in (wish for wish in self.wishes if wish.start == begin):
                act = world.play(wish, played)
                if act is None:
                    return None
                played.append(act)
            world.take(played)
            acts += played
        return roles, self.turned(props, world), tuple(acts)

    def start(self) -> World | None:
        """Try one set of places; None when somebody is outside the picture or in somebody else."""
        self.x = {}
        for prop in self.props:
            if prop.id not in self.holders and not self._stand(prop.id, self._slots()):
                return None
        for i in self.order:
            if not self._stand(self.roles[i].id, self._starts(i)):
                return None
        world = World(self.roles, self.x, self.half, {})
        world.facing = {role.id: self._first_facing(i) for i, role in enumerate(self.roles)}
        for held, holder in self.holders.items():
            if not world.in_hands(held, self.x[holder], world.facing[holder]):
                return None
            world.hold(holder, held, 0)
        world.take(())
        return world

    def _stand(self, ident: str, places: Iterable[float]) -> bool:
        """Put somebody or something at the first of the places that is free; False where none is."""
        for x in places:
            half = self.half[ident]
            if half + 0.5 <= x <= 63.5 - half and all(self._clear(ident, x, other) for other in self.x):
                self.x[ident] = x
                return True
        return False

    def _clear(self, ident: str, x: float, other: str) -> bool:
        crowd = 0.6 if (ident in PROPS) != (other in PROPS) else 0.9  # somebody may stand a little before a thing
        return abs(x - self.x[other]) >= crowd * (self.half[ident] + self.half[other])

    def _slots(self) -> Iterator[float]:
        for _ in range(_SLOT_TRIES):
            yield self.rng.choice(_SLOTS) + self.rng.uniform(-_JITTER, _JITTER)

    def placed(self, world: World) -> tuple[tuple[Role, ...], tuple[Prop, ...]]:
        """Roles and props as they are at the start."""
        roles = tuple(replace(role, x=world.x[role.id], facing=world.facing[role.id]) for role in self.roles)
        holders = self.holders
        return roles, tuple(replace(p, x=world.x[p.id], holder=holders.get(p.id, "")) for p in self.props)

    def turned(self, props: Sequence[Prop], world: World) -> tuple[Prop, ...]:
        """The props turned as somebody has sat on them."""
        return tuple(replace(prop, flipped=world.flipped.get(prop.kind, False)) for prop in props)

    def _first_holders(self) -> dict[str, str]:
        """Prop -> who has it in its hands from the start: whose first act with it needs it held."""
        holders: dict[str, str] = {}
        seen: set[str] = set()
        for wish in self.wishes:
            if wish.held and wish.held not in seen:
                holders[wish.held] = self.roles[wish.agent].id
            seen |= {wish.held, wish.target or ""}
        return holders

    def _mine(self, i: int) -> list[Wish]:
        return [wish for wish in self.wishes if wish.agent == i]

    def _mover(self, i: int) -> Wish | None:
        """The role's first act that needs a place."""
        return next((wish for wish in self._mine(i) if wish.action.move not in ("stay", "put", "bounce")), None)

    def _placing_order(self) -> list[int]:
        """Roles in an order in which each comes after whom it aims at, as far as that is possible."""
        ids = [role.id for role in self.roles]
        aims = [ids.index(wish.target) if wish and wish.target in ids else None for wish in self.movers]
        order: list[int] = []
        while len(order) < len(ids):
            left = [i for i in range(len(ids)) if i not in order]
            order.append(next((i for i in left if aims[i] is None or aims[i] in order), left[0]))
        return order

    def _starts(self, i: int) -> Iterator[float]:
        """Where role ``i`` can stand for its first act that needs a place; slots when none does."""
        wish, half = self.movers[i], self.half[self.roles[i].id]
        if wish is not None and wish.target in self.x:
            sides = [1, -1] if self.rng.random() < 0.5 else [-1, 1]
            if wish.action.move in _HUNTS:  # with the room ahead
                sides = [1, -1] if self.x[wish.target] < 32 + self.rng.uniform(-9, 9) else [-1, 1]
            for _ in range(_WAY_TRIES):
                way = self._way(wish, half + self.half[wish.target] + 1)
                yield from (self.x[wish.target] - side * way for side in sides)
            return
        hunt = next((w for w in self.movers if w and w.target == self.roles[i].id and w.action.move in _HUNTS), None)
        if wish is None and hunt is not None:  # with room behind for who comes after, and ahead
            behind = 2 * self.half[self.roles[hunt.agent].id] + half + 2.5
            ahead = half + 1 + hunt.lasts * hunt.action.speed[0]
            x = behind + self.rng.random() * max(0, 64 - behind - ahead)
            yield from (x, 64 - x)
        beside = [ident for ident in self.x if ident not in self.holders]
        if beside and wish is None and self.rng.random() < _BESIDE:
            other = self.rng.choice(beside)
            way = half + self.half[other] + 1 + self.rng.uniform(-1, 1)
            yield from (self.x[other] - way, self.x[other] + way)
        low, high = half + 0.5, 63 - half
        travel = wish.lasts * sum(wish.action.speed) / 2 if wish else 0
        if wish is not None and wish.action.move == "left":
            low = min(high, low + travel)
        elif wish is not None and wish.action.move == "right":
            high = max(low, high - travel)
        for slot in self._slots():
            yield min(max(slot, low), high)

    def _way(self, wish: Wish, gap: float) -> float:
        """How far from its target somebody must stand."""
        move, near = wish.action.move, self.rng.uniform(-1, 1)
        if move == "go":
            return gap + near + wish.lasts * self.rng.uniform(*wish.action.speed)
        if move == "toss":
            return self.rng.uniform(22, 36)
        if move in _HUNTS:
            return gap + self.rng.uniform(-1, 1)
        return gap + near + {"hug": 3, "shake": 3, "hand": 8}.get(move, 0)

    def _first_facing(self, i: int) -> int:
        """Towards where the first act goes; who has nothing to do looks at who has."""
        mine = self._mine(i)
        here = self.x[self.roles[i].id]
        if not mine:
            busy = self.wishes[0].agent if self.wishes else i
            return 1 if self.x[self.roles[busy].id] > here else -1
        first = mine[0]
        if first.target is not None and first.target in self.x:
            return 1 if self.x[first.target] > here else -1
        if first.action.move in ("left", "right"):
            return 1 if first.action.move == "right" else -1
        return 1 if here < 32 else -1
