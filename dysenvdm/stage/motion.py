"""From a script to motion: where everybody is and how they stand in every frame.

Letters: ``f`` frames of the clip, ``n`` frames of one act.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dysenvdm.stage.actions import ACTIONS
from dysenvdm.stage.figure import INDEX
from dysenvdm.stage.poses import KEPT, POSES, Span, ease, standing
from dysenvdm.stage.script import Act, Prop, Role, Script
from dysenvdm.stage.shapes import Real

_PACE: dict[str, Callable[[Real], Real]] = {
    "over": lambda u: np.clip((u - 0.18) / 0.68, 0, 1),
    "onto": lambda u: ease(u, 0.0, 0.45),
    "hug": lambda u: ease(u, 0.0, 0.45),
}
"""How an agent covers its way over the time of an act; at even speed where not said."""


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
    """Play all acts of one actor, standing or resting in between; poses are blended so that nothing jumps."""
    pose = np.repeat(standing(1, role.kind), frames, 0)
    x, facing = np.full(frames, role.x, float), np.full(frames, role.facing, float)
    over = max(1, frames // script.beats)
    for act in script.acts_of(role.id):
        f0, f1, u = _frames(script, act, frames)
        acted = POSES[act.predicate](Span(u, act.end - act.start, role, act))
        pose[f0:f1] = _blended(pose[f0 - 1] if f0 else pose[0], acted, over)
        rest = acted[-1:] if act.predicate in KEPT else standing(1, role.kind)
        pose[f1:] = _blended(pose[f1 - 1], np.repeat(rest, frames - f1, 0), over)
        pace = _PACE.get(ACTIONS[act.predicate].move)
        x[f0:f1] = act.x0 + (act.x1 - act.x0) * (pace(u) if pace else u)
        x[f1:] = act.x1
        facing[f0:] = act.facing
    return ActorTrack(x, facing, pose)


def prop_track(script: Script, prop: Prop, frames: int) -> PropTrack:
    """A prop stands still unless it is pushed or kicked."""
    x, lift = np.full(frames, prop.x, float), np.zeros(frames)
    for act in script.acts:
        if act.target != prop.id or act.predicate not in ("push", "kick"):
            continue
        f0, f1, u = _frames(script, act, frames)
        flown = u if act.predicate == "push" else ease(u, 0.45, 1.0)
        x[f0:f1] = act.target_x0 + (act.target_x1 - act.target_x0) * flown
        x[f1:] = act.target_x1
        if act.predicate == "kick":
            lift[f0:f1] = 9 * 4 * flown * (1 - flown)
    if prop.radius:
        return PropTrack(x, lift, 0.6 - (x - prop.x) / prop.radius)
    return PropTrack(x, lift, np.full(frames, np.pi if prop.flipped else 0.0))


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
