"""Sampling scripts: the pattern of events, then the cast, then apt acts, then places, until it all holds together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from dysenvdm.stage.actions import ACTIONS, BEATS, Action
from dysenvdm.stage.compositions import Split
from dysenvdm.stage.placing import Placed, Placing, Wish
from dysenvdm.stage.script import Role, Script
from dysenvdm.stage.world import ACTORS, PROPS, SETTINGS

_CONTACT = ("over", "push", "kick", "onto", "hug")
_CAMOUFLAGE: dict[str, set[str]] = {"snow field": {"white"}, "beach": {"yellow"}, "street": {"grey", "black"}}
_NOT_IN: dict[str, set[str]] = {"room": {"tree"}}
_TRIES = 30


def sample_script(
    rng: Random, split: Split, events: tuple[int, ...], actors: tuple[int, ...], beats: int | None, ticks: int | None
) -> Script:
    """Draw one script. The pattern of events is drawn once; who, where and what are drawn until they hold together."""
    pattern, cast_size = _sample_pattern(rng)
    while True:
        setting = rng.choice(tuple(SETTINGS))
        cast = _sample_roles(rng, cast_size, setting)
        extra = rng.choice(_fitting(PROPS, setting)) if rng.random() < 0.2 else None
        for _ in range(_TRIES):
            bounds = rng.choices(*_TIMINGS[len(pattern)])[0]
            wishes = _sample_wishes(rng, pattern, bounds, cast, setting)
            played = _played(rng, cast, wishes, extra) if wishes else None
            if played is not None:
                roles, props, acts = played
                starts = [act.start for act in acts]
                groups = tuple(tuple(i for i, at in enumerate(starts) if at == begin) for begin in sorted(set(starts)))
                return Script(ticks or BEATS, setting, rng.random() < 0.5, roles, props, acts, groups)


def _played(rng: Random, cast: tuple[Role, ...], wishes: list[Wish], extra: str | None) -> Placed | None:
    """Try some places for the wishes; None when none of them holds."""
    kinds = {kind for kind in (*(wish.target for wish in wishes), extra) if kind in PROPS}
    tries = (Placing(rng, cast, tuple(sorted(kinds)), wishes).place() for _ in range(_TRIES))
    return next((played for played in tries if played is not None), None)


Pattern = tuple[tuple[int, ...], ...]
_TIMINGS: dict[int, tuple[Sequence[Sequence[int]], Sequence[float]]] = {
    1: (((0, 8), (0, 4), (4, 8), (2, 6), (0, 5), (3, 8)), (5, 1, 1, 1, 1, 1)),
    2: (((0, 4, 8), (0, 3, 8), (0, 5, 8)), (3, 1, 1)),
    3: (((0, 3, 6, 8), (0, 3, 5, 8), (0, 2, 5, 8)), (1, 1, 1)),
}
_PATTERNS: dict[tuple[int, int], tuple[Sequence[Pattern], Sequence[float]]] = {
    (1, 1): ((((0,),),), (1,)),
    (1, 2): ((((0,),),), (1,)),
    (2, 1): ((((0,), (0,)),), (1,)),
    (2, 2): ((((0,), (1,)), ((0, 1),), ((0,), (0,))), (4, 5, 1)),
    (3, 1): ((((0,), (0,), (0,)),), (1,)),
    (3, 2): (
        (((0,), (0, 1)), ((0, 1), (0,)), ((0,), (1,), (0,)), ((0,), (0,), (1,)), ((0,), (0,), (0,))),
        (4, 3, 1.5, 1.5, 0.5),
    ),
}
"""For (events, actors): which actors act together, group after group."""


def _sample_pattern(rng: Random) -> tuple[Pattern, int]:
    events = rng.choices((1, 2, 3), (35, 40, 25))[0]
    alone = {1: 0.8, 2: 0.45, 3: 0.25}[events]
    cast_size = 1 if rng.random() < alone else 2
    return rng.choices(*_PATTERNS[events, cast_size])[0], cast_size


def _sample_roles(rng: Random, cast_size: int, setting: str) -> tuple[Role, ...]:
    kinds = [rng.choice(tuple(ACTORS)) for _ in range(cast_size)]
    twins = cast_size == 2 and kinds[0] == kinds[1]
    roles: list[Role] = []
    for i, kind in enumerate(kinds):
        taken = _CAMOUFLAGE.get(setting, set()) | {role.color for role in roles if role.person == ACTORS[kind].person}
        color = rng.choice([name for name in ACTORS[kind].colors if name not in taken])
        garment = rng.choice(ACTORS[kind].garments) if ACTORS[kind].garments else ""
        says_color = rng.random() < 0.6 or twins
        roles.append(Role(f"{kind}_{i + 1}" if twins else kind, kind, garment, color, says_color))
    return tuple(roles)


def _fitting(kinds: Iterable[str], setting: str) -> list[str]:
    return [kind for kind in kinds if kind not in _NOT_IN.get(setting, ())]


def _sample_wishes(
    rng: Random, pattern: Pattern, bounds: Sequence[int], cast: Sequence[Role], setting: str
) -> list[Wish] | None:
    """Choose apt acts; None when nothing apt is left for somebody, or when somebody has nothing to do with the clip."""
    wishes: list[Wish] = []
    for i, (group, start, end) in enumerate(zip(pattern, bounds, bounds[1:], strict=False)):
        for agent in group:
            again = any(agent in later for later in pattern[i + 1 :])
            options = _options(agent, cast, wishes, setting, end - start, again)
            if not options:
                return None
            action, target = rng.choices(list(options), list(options.values()))[0]
            wishes.append(Wish(agent, action, target, start, end))
    concerned = {cast[wish.agent].id for wish in wishes} | {wish.target for wish in wishes}
    return wishes if all(role.id in concerned for role in cast) else None


def _options(
    agent: int, cast: Sequence[Role], wishes: Sequence[Wish], setting: str, lasts: int, again: bool
) -> dict[tuple[Action, str | None], float]:
    """What ``agent`` can do next, (action, target) with its weight; ``again`` says that it will act once more.

    Who went to the box likely does something with it; who will act again likes to go where there is something to do.
    """
    role, mine = cast[agent], [wish for wish in wishes if wish.agent == agent]
    moves = [wish for wish in mine if wish.action.move != "stay"]
    near = moves[-1].target if moves and moves[-1].action.move in ("go", "over", "push") else None
    seated = bool(moves) and moves[-1].action.move == "onto"
    if mine and mine[-1].action.last:
        return {}
    options: dict[tuple[Action, str | None], float] = {}
    for action in [*ACTIONS.values()][:20]:
        if role.kind not in action.agents or not action.shortest <= lasts <= action.longest:
            continue
        contact = action.move in _CONTACT
        if seated and (contact or action.lemma not in ("wave", "wave at", "walk to the left", "walk to the right")):
            continue
        targets = [
            target
            for target in _targets(action, agent, cast, wishes, setting)
            if not (mine and (mine[-1].action, mine[-1].target) == (action, target))
            and not (contact and moves and near != target)
            and not (action.move == "go" and near == target)
        ]
        for target in targets:
            errand = 4 * _uses(role.kind, target) if again and action.move == "go" else 0
            boost = 15 if contact and moves else 1
            options[action, target] = action.weight * (1 + errand) * boost / len(targets)
    return options


def _uses(kind: str, target: str | None) -> int:
    """In how many ways this kind of actor can handle that prop."""
    return sum(
        kind in action.agents and target in action.targets for action in ACTIONS.values() if action.move in _CONTACT
    )


def _targets(
    action: Action, agent: int, cast: Sequence[Role], wishes: Sequence[Wish], setting: str
) -> list[str | None]:
    """What the action can aim at: props of the clip or, while it has fewer than two, any that suit the setting."""
    if not action.targets:
        return [None]
    used = {wish.target for wish in wishes} & set(PROPS)
    props = [kind for kind in _fitting(PROPS, setting) if kind in action.targets]
    others = [other for i, other in enumerate(cast) if i != agent]
    people = [o.id for o in others if "actor" in action.targets or ("person" in action.targets and o.person)]
    return [*(kind for kind in props if kind in used or len(used) < 2), *people]
