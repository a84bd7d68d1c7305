"""From a script to motion: where everybody is and how they stand in every frame.

Letters: ``f`` frames of the clip, ``n`` frames of one act.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dysenvdm.stage.actions import ACTIONS, STANDS
from dysenvdm.stage.figure import INDEX
from dysenvdm.stage.handling import HOLDING, MOUNTED, bouncing
from dysenvdm.stage.people import hand
from dysenvdm.stage.poses import KEPT, PARTNER_POSES, POSES
from dysenvdm.stage.postures import Span, ease, standing
from dysenvdm.stage.script import Act, Prop, Role, Script
from dysenvdm.stage.shapes import Complex, Real

_PACE: dict[str, Callable[[Real], Real]] = {
    "over": lambda u: np.clip((u - 0.18) / 0.68, 0, 1),
    "onto": lambda u: ease(u, 0.0, 0.45),
    "climb": lambda u: ease(u, 0.1, 0.6),
    "hug": lambda u: ease(u, 0.0, 0.45),
    "pet": lambda u: ease(u, 0.0, 0.3),
    "hand": lambda u: ease(u, 0.0, 0.3),
    "shake": lambda u: ease(u, 0.0, 0.3),
    "pick": lambda u: ease(u, 0.0, 0.35),
}
"""How an agent covers its way over the time of an act; at even speed where not said."""
_CARRIED = frozenset(("stay", "left", "right", "go"))
"""Moves in which somebody may have something in its hands all the time."""
_AHEAD = 1.5
"""Pixels from a hand to the middle of what it holds."""


@dataclass(frozen=True)
class ActorTrack:
    """An actor over time: place ``x`` ``(f,)`` in pixels, ``facing`` ``(f,)`` +1 or -1, ``pose`` ``(f, channels)``."""

    x: Real
    facing: Real
    pose: Real


@dataclass(frozen=True)
class PropTrack:
    """A prop over time: ``x`` and ``lift`` in pixels, ``turn`` in radians, each ``(f,)``.

    ``held`` ``(f,)`` says when it is in somebody's hands, and then before them; without it, it is behind everybody.
    """

    x: Real
    lift: Real
    turn: Real
    held: NDArray[np.bool_] | None = None


def actor_track(script: Script, role: Role, frames: int) -> ActorTrack:
    """Play all parts of one actor, standing or resting in between; poses are blended so that nothing jumps."""
    pose = standing(frames, role.kind)
    if any(prop.holder == role.id for prop in script.props):
        _hold(pose)
    x, facing = np.full(frames, role.x, float), np.full(frames, role.facing, float)
    over = max(1, frames // script.beats)
    for act in script.parts_of(role.id):
        f0, f1, u = _frames(script, act, frames)
        agent = act.agent == role.id
        move = ACTIONS[act.predicate].move
        span = Span(u, act.end - act.start, role, act)
        acted = (POSES if agent else PARTNER_POSES)[act.predicate](span)
        rest = span.pose()[-1:]
        if agent and act.stands_on and move == "stay":
            acted[:, INDEX["lift"]] += STANDS[act.stands_on]
            rest[:, INDEX["lift"]] += STANDS[act.stands_on]
        if agent and move in _CARRIED and _holds(script, role, act.start):
            _hold(acted)
        if _holds(script, role, act.end):
            _hold(rest)
        rest = acted[-1:] if agent and act.predicate in KEPT else rest
        pose[f0:f1] = _blended(pose[f0 - 1] if f0 else pose[0], acted, over)
        pose[f1:] = _blended(pose[f1 - 1], np.repeat(rest, frames - f1, 0), over)
        x[f0:f1] = _way(act, u) if agent else _target_way(act, u)
        x[f1:] = act.x1 if agent else act.target_x1
        facing[f0:] = act.facing if agent else act.target_facing
    return ActorTrack(x, facing, pose)


def _holds(script: Script, role: Role, beat: int) -> bool:
    return any(hold.holder == role.id and hold.start <= beat < hold.end for hold in script.holds)


def _hold(pose: Real) -> None:
    """Both hands before the body, where what they hold is seen."""
    for channel, angle in HOLDING.items():
        pose[:, INDEX[channel]] = angle


def _way(act: Act, u: Real) -> Real:
    """Where the agent is ``(n,)``."""
    move = ACTIONS[act.predicate].move
    if move == "ride":
        mounting = act.x0 + (act.target_x0 - act.x0) * ease(u, 0, MOUNTED)
        return np.where(u < MOUNTED, mounting, _target_way(act, u))
    pace = _PACE.get(move)
    return act.x0 + (act.x1 - act.x0) * (pace(u) if pace else u)


def _target_way(act: Act, u: Real) -> Real:
    """Where the target of an act is that moves it or takes it along ``(n,)``."""
    gone = np.clip((u - MOUNTED) / (1 - MOUNTED), 0, 1) if ACTIONS[act.predicate].move == "ride" else u
    way: Real = act.target_x0 + (act.target_x1 - act.target_x0) * gone
    return way


def prop_track(script: Script, prop: Prop, frames: int) -> PropTrack:
    """A prop stands still unless it is pushed, pulled, kicked or in somebody's hands."""
    place = np.full(frames, prop.x, complex)
    held = np.zeros(frames, bool)
    if prop.holder:
        place[:] = _hand_track(script, prop.holder, prop, frames)
        held[:] = True
    for act in script.acts:
        if prop.id not in (act.target, act.thing) or ACTIONS[act.predicate].move not in _PATHS:
            continue
        f0, f1, u = _frames(script, act, frames)
        path = _PATHS[ACTIONS[act.predicate].move]
        here, there = (_end(script, prop, act, end, frames) for end in (path.start, path.end))
        gone = path.pace(u)
        place[f0:f1] = here[f0:f1] * (1 - gone) + there[f0:f1] * gone + 4j * path.arc * gone * (1 - gone)
        place[f0:f1] -= 1j * path.dip(u, act.end - act.start) * place[f0:f1].imag
        place[f1:] = there[f1:]
        before, after = path.start == "agent", path.end in ("agent", "target")
        held[f0:f1] = np.where(gone <= 0, before, np.where(gone >= 1, after, path.arc == 0 and (before or after)))
        held[f1:] = after
    turn = 0.6 - (place.real - prop.x) / prop.radius if prop.radius else np.full(frames, np.pi if prop.flipped else 0.0)
    return PropTrack(place.real.copy(), place.imag.copy(), turn, held if held.any() else None)


def _end(script: Script, prop: Prop, act: Act, end: str, frames: int) -> Complex:
    """One end of a prop's path, whether it stays there or moves ``(f,)``."""
    if end in ("from", "to"):
        return np.full(frames, act.target_x0 if end == "from" else act.target_x1, complex)
    return _hand_track(script, act.agent if end == "agent" else act.target or "", prop, frames)


def _hand_track(script: Script, holder: str, prop: Prop, frames: int) -> Complex:
    """Where the foot of a prop is that an actor holds: x and, as imaginary part, height ``(f,)``."""
    role = next(role for role in script.roles if role.id == holder)
    track = actor_track(script, role, frames)
    at = hand(role.kind, track.pose)
    side = track.facing * track.pose[:, INDEX["turn"]]
    place: Complex = track.x + side * (at.real + _AHEAD) + 1j * np.maximum(at.imag - prop.grip, 0)
    return place


@dataclass(frozen=True)
class _Path:
    """How an act brings a prop from one place to another: ``from`` and ``to`` are on the ground, ``agent`` and
    ``target`` in their hands. ``arc`` is how high it flies, pixels; ``dip`` how far it drops to the ground on the way.
    """

    start: str
    end: str
    pace: Callable[[Real], Real]
    arc: float = 0.0
    dip: Callable[[Real, int], Real] = lambda u, _: 0 * u


_PATHS: dict[str, _Path] = {
    "push": _Path("from", "to", lambda u: u),
    "pull": _Path("from", "to", lambda u: u),
    "kick": _Path("from", "to", lambda u: ease(u, 0.45, 1.0), arc=9),
    "pick": _Path("from", "agent", lambda u: ease(u, 0.4, 0.55)),
    "put": _Path("agent", "to", lambda u: ease(u, 0.45, 0.6)),
    "throw": _Path("agent", "to", lambda u: np.clip((u - 0.4) / 0.5, 0, 1), arc=8),
    "bounce": _Path("agent", "agent", lambda u: u, dip=bouncing),
    "hand": _Path("agent", "target", lambda u: ease(u, 0.45, 0.65)),
    "toss": _Path("agent", "target", lambda u: np.clip((u - 0.38) / 0.5, 0, 1), arc=10),
}


def _frames(script: Script, act: Act, frames: int) -> tuple[int, int, Real]:
    """The act's frames ``[f0, f1)`` and how far it has run in the middle of each, ``u`` ``(n,)`` in (0, 1)."""
    f0, f1 = script.frames_of(act, frames)
    return f0, f1, (np.arange(f1 - f0) + 0.5) / (f1 - f0)


def _blended(before: Real, poses: Real, over: int) -> Real:
    """Begin from the pose ``before`` ``(channels,)`` and reach ``poses`` ``(n, channels)`` within ``over`` frames."""
    weight = np.minimum(1, (np.arange(len(poses)) + 1) / (over + 0.5))[:, None]
    mixed: Real = before + (poses - before) * weight
    mixed[:, INDEX["turn"]] = poses[:, INDEX["turn"]]  # a half-turned figure would be a thin one
    return mixed
