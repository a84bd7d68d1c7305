"""Sampling scripts: the pattern of events, then the cast, then apt acts one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from dysenvdm.stage.actions import ACTIONS, Action
from dysenvdm.stage.compositions import NEW_PAIRS, Split
from dysenvdm.stage.looks import fits, hidden, sample_prop, sample_role, sample_weather
from dysenvdm.stage.patterns import Pattern, Times, beats_for, sample_counts, sample_pattern, sample_times
from dysenvdm.stage.placing import Placing
from dysenvdm.stage.playing import NEEDS_HELD, Wish, World, touches
from dysenvdm.stage.relations import relations
from dysenvdm.stage.script import Act, Prop, Role, Script
from dysenvdm.stage.world import ACTORS, PROPS, SETTINGS
from planners.dsg import MAX_TICKS, UserError

_TRIES, _PLACES = 12, 12
"""Sets of acts that are tried with a cast, and places that are tried for a set of first acts."""
_PATIENCE = 60
"""Casts that are tried; from there on all are people who do what can be done anywhere."""
_CHAINED = 8.0
"""How much likelier somebody who has come to something does something with it than anything else."""
_PEOPLE = 1.7
"""How much likelier each kind of people is than each kind of animals."""
_ERRAND = 4.0
"""How much likelier somebody who acts again goes somewhere first."""
_FARTHEST = 36.0
"""Pixels that anybody goes in one act; the picture has 64."""
_WIDEST = 52.0
"""Pixels that a cast may fill."""


def sample_script(
    rng: Random,
    split: Split,
    events: Sequence[int],
    actors: Sequence[int],
    beats: int | None,
    ticks: int | None,
) -> Script:
    """Draw one script with a number of events and of actors out of those given.

    The pattern of events is drawn once; who, where and what are drawn until they hold together. ``beats`` None: as long
    as the events need; ``ticks`` None: one per beat. Raises UserError where no number fits.
    """
    count, cast_size = sample_counts(rng, events, actors, beats)
    pattern = sample_pattern(rng, count, cast_size, beats)
    length = beats_for(pattern) if beats is None else beats
    ticks = min(length, MAX_TICKS) if ticks is None else ticks
    if 2 * ticks < length:
        raise UserError(f"ticks {ticks}: a clip of {length} beats needs {-(-length // 2)} or more")
    for attempt in range(2 * _PATIENCE):
        plain = attempt >= _PATIENCE
        setting = rng.choice(tuple(SETTINGS))
        scene = _Scene(setting, *sample_weather(rng, setting))
        cast = _sample_roles(rng, cast_size, scene.hidden, plain)
        if cast is None:
            continue
        for _ in range(_TRIES):
            times = sample_times(rng, len(pattern), length)
            script = _Director(rng, split, scene, cast, pattern, times, plain).script(ticks, length)
            if script is not None:
                return script
    raise AssertionError(f"no script for {pattern} in {length} beats")


@dataclass(frozen=True)
class _Scene:
    """Where and in what weather it is."""

    setting: str
    weather: str
    says_weather: bool

    @property
    def hidden(self) -> frozenset[str]:
        return hidden(self.setting, self.weather)

    def props(self, kinds: Iterable[str]) -> list[str]:
        """Those kinds of props that can be there."""
        return [kind for kind in kinds if fits(kind, self.setting)]


def _sample_roles(rng: Random, cast_size: int, unseen: Collection[str], plain: bool) -> tuple[Role, ...] | None:
    """Who is there; None where they would not find room or not all be seen."""
    choice = [kind for kind, actor in ACTORS.items() if actor.person or not plain]
    kinds = rng.choices(choice, [_PEOPLE if ACTORS[kind].person else 1 for kind in choice], k=cast_size)
    roles: list[Role] = []
    for i, kind in enumerate(kinds):
        ident = f"{kind}_{kinds[: i + 1].count(kind)}" if kinds.count(kind) > 1 else kind
        role = sample_role(rng, ident, kind, unseen, roles)
        if role is None:
            return None
        roles.append(role)
    return tuple(roles) if cast_size < 3 or sum(2 * role.half for role in roles) <= _WIDEST else None


@dataclass
class _Director:
    """Tries once to make a script: chooses everybody's first act, finds places for these, and then goes on from there,
    each time with something that can be done.
    """

    rng: Random
    split: Split
    scene: _Scene
    cast: tuple[Role, ...]
    pattern: Pattern
    times: Times
    plain: bool

    def script(self, ticks: int, beats: int) -> Script | None:
        first = self._first_wishes()
        if first is None:
            return None
        placing = Placing(self.rng, self.cast, self._props(first), [*first.values()])
        for _ in range(_PLACES):
            world = placing.start()
            if world is None:
                continue
            roles, props = placing.placed(world)
            wishes, acts = self._played(world, dict(first))
            if not acts:
                continue
            used = {wish.target for wish in wishes} | {act.thing for act in acts}
            if not all(role.id in used or any(act.agent == role.id for act in acts) for role in self.cast):
                return None
            if self.split.new_pair and not any((self._kind(act.agent), act.predicate) in NEW_PAIRS for act in acts):
                return None
            spare = self.rng.random() < 0.2
            props = placing.turned([prop for prop in props if prop.id in used or prop.holder or spare], world)
            starts = sorted({act.start for act in acts})
            groups = tuple(tuple(i for i, act in enumerate(acts) if act.start == begin) for begin in starts)
            return Script(
                ticks, self.scene.setting, self.rng.random() < 0.5, roles, props, tuple(acts), groups,
                self.scene.weather, self.scene.says_weather, beats, relations(roles, props), world.all_holds(beats),
            )  # fmt: skip
        return None

    def _kind(self, ident: str) -> str:
        return next(role.kind for role in self.cast if role.id == ident)

    # -- first acts ----------------------------------------------------------------------------------------------

    def _first_wishes(self) -> dict[int, Wish] | None:
        """Everybody's first act, before it is known where they stand; None when nothing apt is left for somebody."""
        wishes: dict[int, Wish] = {}
        for g, (group, (start, end)) in enumerate(zip(self.pattern, self.times, strict=True)):
            for agent in group:
                if agent in wishes:
                    continue
                wish = self._first_wish(agent, start, end, self._again(agent, g), wishes)
                if wish is None:
                    return None
                wishes[agent] = wish
        return wishes

    def _again(self, agent: int, group: int) -> bool:
        """Whether the agent acts in a later group."""
        return any(agent in later for later in self.pattern[group + 1 :])

    def _apt(self, agent: int, lasts: int, again: bool) -> list[Action]:
        """What this actor can do in that time."""
        actions = _apt_actions(self.cast[agent].kind, lasts, self.split.new_pair)
        return [a for a in actions if not (again and a.last) and not (self.plain and a.move != "stay")]

    def _first_wish(self, agent: int, start: int, end: int, again: bool, wishes: dict[int, Wish]) -> Wish | None:
        actions = self._apt(agent, end - start, again)
        weights = [self._weight(action, agent, again) for action in actions]
        for action in _drawn(self.rng, actions, weights):
            aims = self._aims(action, agent, wishes) if action.targets else [None]
            if aims:
                target = self.rng.choices(aims, [self._appeal(action, agent, aim, again) for aim in aims])[0]
                return Wish(agent, action, target, start, end)
        return None

    def _aims(self, action: Action, agent: int, wishes: dict[int, Wish]) -> list[str | None]:
        """What a first act can aim at: others, props of the clip or, while it has fewer than two, any that suit it."""
        aims: list[str | None] = [
            role.id for i, role in enumerate(self.cast) if i != agent and action.aims_at(role.kind)
        ]
        if self.plain:
            return aims
        used = {kind for wish in wishes.values() for kind in (wish.target, wish.held) if kind in PROPS}
        props = self.scene.props(action.targets & PROPS.keys())
        return aims + sorted(kind for kind in props if kind in used or len(used) < 2)

    def _weight(self, action: Action, agent: int, again: bool) -> float:
        weight = action.weight * (10 if (self.cast[agent].kind, action.lemma) in NEW_PAIRS else 1)
        return weight * _ERRAND if again and action.move == "go" else weight

    def _appeal(self, action: Action, agent: int, aim: str | None, again: bool) -> float:
        """How much a target attracts: who will act again likes to go where there is something to do."""
        return 1 + 4 * self._uses(agent, aim) if aim is not None and again and action.move == "go" else 1

    def _uses(self, agent: int, target: str) -> int:
        """In how many ways this actor can handle that prop."""
        return _uses_of(self.cast[agent].kind, target) if target in PROPS else 0

    def _props(self, first: dict[int, Wish]) -> tuple[Prop, ...]:
        """The props that the first acts need, and perhaps more for later ones or for nobody."""
        kinds = {kind for wish in first.values() for kind in (wish.target, wish.held) if kind in PROPS}
        if self.plain:
            return ()
        later = sum(len(group) for group in self.pattern) - len(first)
        more = (self.rng.random() < 0.2) + (later > 0 and len(kinds) < 2) + (later > 3)
        choice = sorted(set(self.scene.props(PROPS)) - kinds)
        kinds |= set(self.rng.sample(choice, min(more, len(choice))))
        return tuple(sample_prop(self.rng, kind, self.scene.hidden) for kind in sorted(kinds))

    # -- one act after the other ---------------------------------------------------------------------------------

    def _played(self, world: World, first: dict[int, Wish]) -> tuple[list[Wish], list[Act]]:
        """All groups from these places on; nothing where somebody is left without anything to do."""
        wishes: list[Wish] = []
        acts: list[Act] = []
        for g, (group, (start, end)) in enumerate(zip(self.pattern, self.times, strict=True)):
            played: list[Act] = []
            for agent in group:
                wish = first.pop(agent, None)
                act = world.play(wish, played) if wish is not None else None
                if act is None and (wish is None or g > 0):
                    wish, act = self._next(world, agent, start, end, self._again(agent, g), wishes, played)
                if wish is None or act is None:
                    return [], []
                wishes.append(wish)
                played.append(act)
            world.take(played)
            acts += played
        return wishes, acts

    def _next(
        self, world: World, agent: int, start: int, end: int, again: bool, wishes: Sequence[Wish], others: Sequence[Act]
    ) -> tuple[Wish | None, Act | None]:
        """Something that ``agent`` can do next. Who went to the box likely does something with it."""
        mine = [wish for wish in wishes if wish.agent == agent]
        last = (mine[-1].action, mine[-1].target) if mine else None
        concerned = {self.cast[wish.agent].id for wish in wishes} | {wish.target for wish in wishes}
        left_out = {role.id for role in self.cast} - concerned - {self.cast[agent].id}
        actions = self._apt(agent, end - start, again)
        weights = [
            self._weight(action, agent, again)
            * (_CHAINED if touches(action) or action.move in NEEDS_HELD or action.thing else 1)
            * (_CHAINED if left_out and action.at_actors else 1)
            for action in actions
        ]
        for action in _drawn(self.rng, actions, weights):
            aims = [None] if not action.targets else [ident for ident in world.x if self._can_aim(action, agent, ident)]
            tried = [Wish(agent, action, aim, start, end) for aim in aims if (action, aim) != last]
            acts = [(wish, act) for wish in tried if (act := world.play(wish, others)) is not None]
            if acts:
                appeal = [
                    self._appeal(action, agent, wish.target, again) * (_CHAINED if wish.target in left_out else 1)
                    for wish, _ in acts
                ]
                return self.rng.choices(acts, appeal)[0]
        return None, None

    def _can_aim(self, action: Action, agent: int, ident: str) -> bool:
        if ident == self.cast[agent].id:
            return False
        return action.aims_at(ident if ident in PROPS else self._kind(ident))


def _drawn(rng: Random, actions: Sequence[Action], weights: Sequence[float]) -> Iterator[Action]:
    """The actions in an order drawn by weight."""
    left = dict(zip(actions, weights, strict=True))
    while left:
        action = rng.choices(list(left), list(left.values()))[0]
        del left[action]
        yield action


@cache
def _apt_actions(kind: str, lasts: int, new_pairs: bool) -> tuple[Action, ...]:
    """What this kind of actor can do in that time, without the pairs that are kept for another split."""
    return tuple(
        action
        for action in ACTIONS.values()
        if kind in action.agents
        and action.shortest <= lasts <= action.longest
        and lasts * action.speed[0] <= _FARTHEST
        and (new_pairs or (kind, action.lemma) not in NEW_PAIRS)
    )


@cache
def _uses_of(kind: str, prop: str) -> int:
    return sum(kind in action.agents and prop in action.targets for action in ACTIONS.values() if touches(action))
