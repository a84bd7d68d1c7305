"""The clips that the tests of the Stage world look at, drawn once; and scripts fuller than any clip's."""

from __future__ import annotations

from random import Random

import pytest

from dysenvdm.stage import StageClip, sample
from dysenvdm.stage.actions import ACTIONS
from dysenvdm.stage.script import Act, Prop, Role, Script
from dysenvdm.stage.world import ACTORS, COLORS, PROPS, SETTINGS, WEATHERS


@pytest.fixture(scope="session")
def clips() -> tuple[StageClip, ...]:
    return tuple(sample(seed) for seed in range(400))


@pytest.fixture(scope="session")
def full_scripts() -> tuple[Script, ...]:
    """Any number of actors and events, twins, sizes and colours; nobody asks whether they can be played."""
    return tuple(_script(Random(f"full {seed}")) for seed in range(1200))


def _script(rng: Random) -> Script:
    kinds = [rng.choice(tuple(ACTORS)) for _ in range(rng.randint(1, 4))]
    roles: list[Role] = []
    for i, kind in enumerate(kinds):
        twin, taken = kinds.count(kind) > 1, {role.color for role in roles}
        garment = rng.choice(ACTORS[kind].garments) if ACTORS[kind].garments else ""
        size = rng.choice(("", *ACTORS[kind].sizes))
        color = rng.choice([color for color in COLORS if color not in taken])
        says = twin or rng.random() < 0.6, rng.random() < 0.5
        ident = f"{kind}_{i + 1}" if twin else kind
        roles.append(Role(ident, kind, garment, color, says[0], size=size, says_size=says[1]))
    props = tuple(
        Prop(kind, 0.0, color=rng.choice(("", "red")), says_color=rng.random() < 0.5, size=rng.choice(("", "big")))
        for kind in rng.sample(sorted(PROPS), 3)
    )
    acts, groups = _acts(rng, roles, props)
    settings, weathers = tuple(SETTINGS), ("", *WEATHERS)
    says_setting, says_weather = rng.random() < 0.5, rng.random() < 0.5
    return Script(
        8, rng.choice(settings), says_setting, tuple(roles), props, acts, groups, rng.choice(weathers), says_weather
    )


def _acts(
    rng: Random, roles: list[Role], props: tuple[Prop, ...]
) -> tuple[tuple[Act, ...], tuple[tuple[int, ...], ...]]:
    acts: list[Act] = []
    groups: list[tuple[int, ...]] = []
    wanted = max(len(roles), rng.randint(1, 8))
    while len(acts) < wanted:
        size = min(wanted - len(acts), len(roles), rng.choice((1, 1, 1, 2, 2, 3, 4)))
        idle = [role for role in roles if role.id not in {act.agent for act in acts}]
        agents = [*idle, *(role for role in rng.sample(roles, len(roles)) if role not in idle)][:size]
        groups.append(tuple(range(len(acts), len(acts) + size)))
        acts += [_act(rng, agent, roles, props, len(groups)) for agent in agents]
    return tuple(acts), tuple(groups)


def _act(rng: Random, agent: Role, roles: list[Role], props: tuple[Prop, ...], step: int) -> Act:
    there = {prop.id: prop.kind for prop in props} | {role.id: role.kind for role in roles if role is not agent}
    options = [
        (action, target)
        for action in ACTIONS.values()
        if agent.kind in action.agents and (not action.thing or action.thing in there)
        for target in ([i for i, kind in there.items() if action.aims_at(kind)] if action.targets else [None])
        if target is None or there[target] != action.thing
    ]
    action, target = rng.choice(options)
    return Act(agent.id, action.lemma, target, step, step + 1, 0, 0, 1, thing=action.thing)
