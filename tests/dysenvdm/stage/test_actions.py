"""What every action shows: it can be played by many kinds in many places, and the pictures are what its words say."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import numpy as np
import pytest

from dysenvdm.stage.actions import ACTIONS, STANDS, Action
from dysenvdm.stage.motion import ActorTrack, PropTrack, actor_track, prop_track
from dysenvdm.stage.placing import Placing
from dysenvdm.stage.playing import Wish
from dysenvdm.stage.poses import KEPT, PARTNER_POSES, POSES
from dysenvdm.stage.render import boxes
from dysenvdm.stage.script import Act, Prop, Role, Script
from dysenvdm.stage.world import ACTORS, PROPS, SEATS
from planners.language import predicate_form

FRAMES = 16
TAKES = 6
LEMMAS = sorted(ACTIONS)


def cast_of(action: Action, rng: Random, kind: str) -> tuple[tuple[Role, ...], str | None]:
    """An agent of that kind, any if "", perhaps somebody for a target, and the target's id."""
    kinds = [kind or rng.choice(sorted(action.agents))]
    props = sorted(action.targets & PROPS.keys())
    others = [kind for kind in ACTORS if action.targets and action.aims_at(kind)]
    target = rng.choice([*props, *(others if not props or rng.random() < 0.5 else [])]) if action.targets else None
    if target in ACTORS:
        kinds.append(target)
    roles = []
    for i, kind in enumerate(kinds):
        actor = ACTORS[kind]
        garment = actor.garments[0] if actor.garments else ""
        roles.append(Role(f"{kind}_{i + 1}", kind, garment, actor.colors[i], True))
    return tuple(roles), roles[1].id if target in ACTORS else target


@cache
def takes(lemma: str, kind: str = "", count: int = TAKES) -> tuple[Script, ...]:
    """Clips of one act each, of several lengths, by agents of that kind or of several, from several places."""
    action, found = ACTIONS[lemma], []
    for seed in range(3000):
        rng = Random(f"{lemma} {seed}")
        roles, target = cast_of(action, rng, kind)
        lasts = rng.randint(action.shortest, min(action.longest, 8))
        start = rng.randint(0, 8 - lasts)
        wish = Wish(0, action, target, start, start + lasts)
        kinds = sorted({kind for kind in (target, wish.held) if kind in PROPS})
        placing = Placing(rng, roles, tuple(Prop(kind, 0.0) for kind in kinds), [wish])
        world = placing.start()
        act = world.play(wish) if world else None
        if world is None or act is None:
            continue
        roles, props = placing.placed(world)
        world.take([act])
        held = world.all_holds(8)
        found.append(Script(8, "park", False, roles, placing.turned(props, world), (act,), ((0,),), holds=held))
        if len(found) == count:
            return tuple(found)
    raise AssertionError(f"{lemma} can hardly ever be played")


Take = tuple[Script, Act, int, int, dict[str, ActorTrack], dict[str, PropTrack]]


@cache
def played(lemma: str) -> tuple[Take, ...]:
    """Every take with its act, the act's frames, and everybody's and everything's tracks."""
    return tuple(
        (
            script,
            script.acts[0],
            *script.frames_of(script.acts[0], FRAMES),
            {role.id: actor_track(script, role, FRAMES) for role in script.roles},
            {prop.id: prop_track(script, prop, FRAMES) for prop in script.props},
        )
        for script in takes(lemma)
    )


def by_move(*moves: str) -> list[str]:
    return [lemma for lemma in LEMMAS if ACTIONS[lemma].move in moves]


def half(script: Script, ident: str) -> float:
    return next(thing.half for thing in (*script.roles, *script.props) if thing.id == ident)


def test_there_are_enough_of_them() -> None:
    verbs = {action.lemma for action in ACTIONS.values() if not action.thing}
    verbs |= {action.move for action in ACTIONS.values() if action.thing}
    assert len(verbs) >= 26


@pytest.mark.parametrize("lemma", LEMMAS)
def test_its_forms_are_one_verb(lemma: str) -> None:
    """What captions say is what plans mean: the planner's own grammar brings all forms back to the lemma."""
    action = ACTIONS[lemma]
    assert predicate_form(action.third.split()) == predicate_form(action.gerund.split()) == lemma
    assert (f" the {action.thing} to" in lemma) == bool(action.thing)


@pytest.mark.parametrize("lemma", LEMMAS)
def test_everybody_and_everything_stays_in_the_picture(lemma: str) -> None:
    for script in takes(lemma):
        for ident, box in boxes(script, FRAMES).items():
            middle = (box[:, :2] + box[:, 2:]) / 2
            assert ((middle > 0.03) & (middle < 0.97)).all(), ident
            low = box[:, 3].max() * 64
            assert low < 63.5, ident  # nobody sinks into the ground, whose line is at 57


@pytest.mark.parametrize("lemma", LEMMAS)
def test_it_is_seen(lemma: str) -> None:
    """Its agent or what it handles is another picture in most frames of the act than before it."""
    for script, act, f0, f1, actors, props in played(lemma):
        still = script.roles[0]
        track = actors[act.agent]
        moved = np.abs(track.pose[f0:f1] - actor_track_of_nobody(still)).max(1) > 0.15
        moved |= np.abs(track.x[f0:f1] - still.x) > 1
        assert moved.mean() >= 0.5
        assert set(props) == {prop.id for prop in script.props}


def actor_track_of_nobody(role: Role) -> np.ndarray:
    """The pose of somebody who does nothing."""
    return actor_track(Script(8, "park", False, (role,), (), (), ()), role, 1).pose[0]


def test_every_two_look_different() -> None:
    """No two actions of one actor give the same poses and ways; carrying and handing over differ in the thing alone."""
    kinds = ("girl", "dog", "horse", "duck")
    for kind in kinds:
        shown: dict[str, tuple[object, ...]] = {}
        for lemma in LEMMAS:
            action = ACTIONS[lemma]
            if kind not in action.agents:
                continue
            [script] = takes(lemma, kind, 1)
            act = script.acts[0]
            track = actor_track(script, script.roles[0], FRAMES)
            way = np.sign(act.x1 - act.x0)
            mark = track.pose.round(3).tobytes(), way, act.partner, act.thing, act.target is not None
            assert mark not in shown.values(), (kind, lemma)
            shown[lemma] = mark
        assert len(shown) >= 8


@pytest.mark.parametrize("lemma", by_move("push", "pull"))
def test_what_is_pushed_and_pulled_moves_with_the_agent(lemma: str) -> None:
    for script, act, f0, f1, actors, props in played(lemma):
        agent = actors[act.agent].x[f0:f1]
        target = (props | actors)[act.target or ""].x[f0:f1]
        apart = target - agent
        assert np.ptp(apart) < 1e-6
        assert abs(apart[0]) <= half(script, act.agent) + half(script, act.target or "") + 6
        forward = (agent[-1] - agent[0]) * apart[0] > 0
        assert forward == (ACTIONS[lemma].move == "push")
        assert abs(agent[-1] - agent[0]) > 3


@pytest.mark.parametrize("lemma", by_move("chase", "follow"))
def test_who_chases_stays_behind_who_runs(lemma: str) -> None:
    for script, act, f0, f1, actors, _ in played(lemma):
        behind, ahead = actors[act.agent], actors[act.target or ""]
        apart = (ahead.x - behind.x)[f0:f1] * act.facing
        assert (apart > 0).all()
        assert np.ptp(apart) < 1e-6
        assert apart[0] <= half(script, act.agent) + half(script, act.target or "") + 12
        for track in (behind, ahead):
            assert (np.diff(track.x[f0:f1]) * act.facing > 1).all()
            assert (track.facing[f0:f1] == act.facing).all()


@pytest.mark.parametrize("lemma", by_move("hand", "toss"))
def test_a_thing_goes_from_hands_to_hands(lemma: str) -> None:
    for script, act, f0, f1, actors, props in played(lemma):
        assert act.target is not None
        thing, giver, taker = props[act.thing], actors[act.agent], actors[act.target]
        assert thing.held is not None
        assert thing.held[:f0].all()
        assert thing.held[f1:].all()
        near = np.abs(thing.x - giver.x) < np.abs(thing.x - taker.x)
        assert near[:f0].all()
        assert not near[f1:].any()
        assert np.abs(thing.x[f1 - 1] - taker.x[f1 - 1]) < 15
        assert np.abs(thing.x[f1 - 1] - giver.x[f1 - 1]) > np.abs(thing.x[f0] - giver.x[f0])
        assert (taker.facing[f0:] == -act.facing).all()
        holders = {hold.holder for hold in script.holds}
        assert holders <= {act.agent, act.target}
        assert (act.end == 8) or act.target in holders


@pytest.mark.parametrize("lemma", by_move("pick", "put", "throw", "bounce"))
def test_what_is_held_is_at_the_hand(lemma: str) -> None:
    for _, act, f0, f1, actors, props in played(lemma):
        agent, thing = actors[act.agent], props[act.target or ""]
        move = ACTIONS[lemma].move
        before, after = move != "pick", move in ("pick", "bounce")
        held = np.zeros(FRAMES, bool) if thing.held is None else thing.held
        assert (held[:f0] == before).all()
        assert (held[f1:] == after).all()
        ahead = (thing.x - agent.x) * agent.facing
        assert (ahead[held] > 1).all()
        assert (ahead[held] < 17).all()
        assert before or (thing.lift[:f0] == 0).all()
        assert after or (thing.lift[f1:] == 0).all()
        if move == "bounce":
            assert thing.lift[f0:f1].max() - thing.lift[f0:f1].min() > 3
        if move == "throw":
            assert ahead[-1] > 14


@pytest.mark.parametrize("lemma", [lemma for lemma in LEMMAS if ACTIONS[lemma].move == "go" and ACTIONS[lemma].thing])
def test_what_is_carried_goes_along(lemma: str) -> None:
    for script, act, f0, f1, actors, props in played(lemma):
        apart = props[act.thing].x[f0:f1] - actors[act.agent].x[f0:f1]
        assert (np.abs(apart) < 14).all()
        assert np.ptp(apart) < 4
        assert {(hold.holder, hold.start, hold.end) for hold in script.holds} == {(act.agent, 0, 8)}


@pytest.mark.parametrize("lemma", by_move("hug", "shake", "pet"))
def test_who_touches_is_in_reach(lemma: str) -> None:
    for script, act, _, f1, _, _ in played(lemma):
        agent, target = (boxes(script, FRAMES)[ident][f1 - 1] * 64 for ident in (act.agent, act.target or ""))
        assert max(agent[0], target[0]) < min(agent[2], target[2]), "their boxes overlap"


def test_a_rider_is_on_its_mount() -> None:
    for script, act, f0, f1, actors, _ in played("ride"):
        rider, mount = actors[act.agent], actors[act.target or ""]
        up = f0 + (f1 - f0) // 2
        np.testing.assert_allclose(rider.x[up:], mount.x[up:])
        assert (rider.pose[up:, 0] > 8).all()
        assert abs(mount.x[-1] - mount.x[0]) > 4
        assert rider.facing[-1] == mount.facing[-1] == np.sign(mount.x[-1] - mount.x[0])
        assert script.roles[1].kind in ("horse", "elephant")


def test_who_climbs_stands_on_top_and_who_sits_sits() -> None:
    for lemma, heights in (("climb onto", STANDS), ("sit on", SEATS)):
        for _, act, _, f1, actors, props in played(lemma):
            track = actors[act.agent]
            assert track.x[f1 - 1] == pytest.approx(props[act.target_kind].x[f1 - 1], abs=0.6)
            assert 0 < track.pose[f1 - 1, 0] <= heights[act.target_kind] + 0.1


def test_poses_are_there_for_all() -> None:
    assert set(POSES) == set(ACTIONS)
    assert set(PARTNER_POSES) <= set(ACTIONS)
    assert set(ACTIONS) >= KEPT


def test_takes_are_by_several_kinds() -> None:
    kinds = Counter(script.roles[0].kind for lemma in LEMMAS for script in takes(lemma))
    assert kinds.keys() == ACTORS.keys()
