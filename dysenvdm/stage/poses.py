"""How every action looks: one function per action gives the poses over its time.

Letters: ``n`` frames of the act. Tables are ``(n, channels)``, see :data:`dysenvdm.stage.actors.CHANNELS`. Steps have a
pace of their own: a longer act has more of them, not slower ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dysenvdm.stage.figure import CHANNELS, INDEX
from dysenvdm.stage.people import seated_hip
from dysenvdm.stage.script import Act, Role
from dysenvdm.stage.shapes import Real
from dysenvdm.stage.world import ACTORS, SEATS

_TAU = 2 * np.pi
_STEPS, _QUICK_STEPS = 0.375, 0.5
"""Cycles of two steps per eighth of a clip, walking and running."""
_PERSON = {
    "leg1": 0.12, "shin1": 0.08, "leg2": -0.12, "shin2": -0.16,
    "arm1": 0.1, "hand1": 0.3, "arm2": -0.25, "hand2": 0.0,
}  # fmt: skip
_BEAST = {
    "leg1": 0.05, "shin1": -0.1, "leg2": 0.3, "shin2": 0.15,
    "arm1": 0.0, "hand1": 0.0, "arm2": 0.3, "hand2": 0.2,
}  # fmt: skip
_SITTING = {"leg1": 1.55, "shin1": 0.1, "leg2": 1.4, "shin2": -0.1}


@dataclass(frozen=True)
class Span:
    """One act while it runs: ``u`` ``(n,)`` in (0, 1) is how far, ``lasts`` its length in eighths of a clip."""

    u: Real
    lasts: int
    role: Role
    act: Act

    @property
    def time(self) -> Real:
        """Eighths of a clip since the act began ``(n,)``."""
        return self.u * self.lasts

    def pose(self, **channels: Real | float) -> Real:
        """The standing pose with some channels set, ``(n, channels)``."""
        table = standing(len(self.u), self.role.kind)
        for name, value in channels.items():
            table[:, INDEX[name]] = value
        return table


def standing(n: int, kind: str) -> Real:
    """``n`` rows of the pose in which this kind of actor stands."""
    stance: dict[str, float] = {} if ACTORS[kind].body == "bird" else _PERSON if ACTORS[kind].person else _BEAST
    row = [stance.get(name, 1.0 if name == "turn" else 0.0) for name in CHANNELS]
    return np.repeat(np.array([row]), n, 0)


def ease(u: Real, start: float, end: float) -> Real:
    """0 before ``start``, 1 after ``end``, smooth between."""
    w = np.clip((u - start) / (end - start), 0, 1)
    eased: Real = w * w * (3 - 2 * w)
    return eased


def _steps(phase: Real, swing: float, knee: float) -> dict[str, Real]:
    """Two legs in opposite phase; the knee bends while a leg swings forward."""
    legs = {}
    for i, offset in ((1, 0.0), (2, np.pi)):
        thigh = swing * np.sin(phase + offset)
        legs[f"leg{i}"] = thigh
        legs[f"shin{i}"] = thigh - knee * np.maximum(0, np.cos(phase + offset))
    return legs


def _as_front(legs: dict[str, Real]) -> dict[str, Real]:
    return {name.replace("leg", "arm").replace("shin", "hand"): angle for name, angle in legs.items()}


def _swinging_arms(phase: Real, swing: float, bend: float) -> dict[str, Real]:
    arm = swing * np.sin(phase)
    return {"arm1": -arm, "hand1": bend - arm, "arm2": arm, "hand2": bend + arm}


def _walk(span: Span) -> Real:
    phase = _TAU * _STEPS * span.time + 0.4
    if span.role.body == "bird":
        return span.pose(roll=0.14 * np.sin(phase), **_steps(phase, 0.8, 0.4))
    legs = _steps(phase, 0.62, 0.7)
    if span.role.person:
        return span.pose(lean=0.06, **legs, **_swinging_arms(phase, 0.75, 0.35))
    return span.pose(**legs, **_as_front(_steps(phase + 1.2, 0.55, 0.6)))


def _run(span: Span) -> Real:
    phase = _TAU * _QUICK_STEPS * span.time + 0.4
    if span.role.person:
        legs, arms = _steps(phase, 1.05, 1.5), _swinging_arms(phase, 1.1, 1.5)
        return span.pose(lift=2.2 * np.abs(np.sin(phase)), lean=0.38, **legs, **arms)
    reach = 0.6 if span.role.kind == "elephant" else 1.0
    hind = reach * np.sin(phase)
    return span.pose(
        lift=2.6 * reach * np.abs(np.cos(phase)), lean=0.16 * reach * np.sin(phase + 0.8),
        leg1=hind, shin1=hind - 0.3, leg2=hind + 0.35, shin2=hind + 0.1,
        arm1=-hind, hand1=-hind - 0.2, arm2=-hind + 0.35, hand2=-hind + 0.1,
    )  # fmt: skip


def _hop(span: Span, w: Real, height: float) -> Real:
    """One jump, ``w`` ``(n,)`` in (0, 1): crouch, fly with legs drawn up, land; people throw up their arms."""
    flight = np.clip((w - 0.18) / 0.68, 0, 1)
    air = 4 * flight * (1 - flight)
    crouch = np.where(air > 0, 0.0, 0.9)
    if span.role.body == "bird":
        legs = {"leg1": -0.5 * air, "shin1": -0.9 * air, "leg2": -0.3 * air, "shin2": -0.7 * air}
        return span.pose(lift=height * air, arm1=1.3 * air, **legs)
    if span.role.person:
        return span.pose(
            lift=height * air, lean=0.3 * crouch,
            leg1=crouch + air, shin1=-crouch - 0.5 * air, leg2=crouch + 0.3 * air, shin2=-crouch - 0.9 * air,
            arm1=-0.8 * crouch + 2.5 * air, hand1=-0.5 * crouch + 2.7 * air,
            arm2=-0.8 * crouch + 2.1 * air, hand2=-0.5 * crouch + 2.3 * air,
        )  # fmt: skip
    return span.pose(
        lift=height * air, lean=np.where(air > 0, 0.4 * (1 - 2 * flight), 0.0),
        leg1=-0.8 * air, shin1=-1.1 * air, leg2=-0.5 * air, shin2=-0.8 * air,
        arm1=1.1 * air, hand1=0.4 * air, arm2=0.8 * air, hand2=0.1 * air,
    )  # fmt: skip


def _jump(span: Span) -> Real:
    return _hop(span, span.u * _rounds(span) % 1, 12 if span.role.person else 9)


def _rounds(span: Span) -> int:
    """How often an act of about four eighths is repeated."""
    return max(1, round(span.lasts / 4))


def _jump_over(span: Span) -> Real:
    return _hop(span, span.u, 16)


def _kick(span: Span) -> Real:
    swing = -0.9 * ease(span.u, 0, 0.3) + 2.3 * ease(span.u, 0.3, 0.5) - 1.4 * ease(span.u, 0.65, 1)
    if not span.role.person:
        return span.pose(arm1=swing, hand1=swing, lean=0.06 * swing)
    return span.pose(
        lean=-0.15 * np.maximum(swing, 0), leg1=swing, shin1=swing + 0.8 * np.minimum(swing, 0), leg2=0.0, shin2=0.0,
        arm1=-0.6 * swing, hand1=-0.6 * swing, arm2=0.9 * swing, hand2=0.9 * swing,
    )  # fmt: skip


def _push(span: Span) -> Real:
    if not span.role.person:
        return _walk(span)
    legs = _steps(_TAU * _STEPS * span.time + 0.4, 0.6, 0.6)
    return span.pose(lean=0.42, **legs, arm1=1.35, hand1=1.5, arm2=1.2, hand2=1.4)


def _seat_lift(kind: str, seat: str) -> float:
    """How far the feet of somebody on that seat are above the ground."""
    return SEATS[seat] - seated_hip(kind)


def _sit_on(span: Span) -> Real:
    down = ease(span.u, 0.15, 0.55)
    legs = {name: angle * down for name, angle in _SITTING.items()}
    lift = down * _seat_lift(span.role.kind, span.act.target_kind)
    return span.pose(lift=lift, **legs, arm1=0.7 * down, hand1=1.2 * down, arm2=0.6 * down, hand2=1.1 * down)


def _hug(span: Span) -> Real:
    hold = ease(span.u, 0.1, 0.5)
    legs = _steps(_TAU * span.u, 0.3, 0.3)
    return span.pose(lean=0.2 * hold, **legs, arm1=1.5 * hold, hand1=1.75 * hold, arm2=1.2 * hold, hand2=1.9 * hold)


def _wave(span: Span) -> Real:
    hand = 2.2 + 0.65 * np.sin(_TAU * 0.5 * span.time)
    if not span.act.seated:
        return span.pose(arm1=2.05, hand1=hand)
    return span.pose(lift=_seat_lift(span.role.kind, span.act.seated), **_SITTING, arm1=2.05, hand1=hand)


def _spin(span: Span) -> Real:
    turn = np.cos(_TAU * _rounds(span) * span.u)
    turn = np.where(np.abs(turn) < 0.2, np.where(turn < 0, -0.2, 0.2), turn)  # never thinner than a fifth
    arms = {"arm1": 1.6, "hand1": 1.7, "arm2": -1.6, "hand2": -1.7} if span.role.person else {}
    return span.pose(turn=turn, **arms)


def _dance(span: Span) -> Real:
    beat = np.sin(_TAU * _STEPS * span.time)
    one, two = np.maximum(beat, 0), np.maximum(-beat, 0)
    return span.pose(
        lift=2.5 * np.abs(beat), roll=0.16 * beat,
        arm1=0.5 + 2.2 * one, hand1=0.9 + 2.2 * one, arm2=-0.5 - 2.2 * two, hand2=-0.9 - 2.2 * two,
        leg1=0.2 + 0.9 * two, shin1=0.1 - 0.5 * two, leg2=-0.2 - 0.9 * one, shin2=-0.2 - 0.2 * one,
    )  # fmt: skip


def _fall_down(span: Span) -> Real:
    down = np.clip(span.time / 2.0, 0, 1) ** 2
    return span.pose(
        roll=-1.5 * down, arm1=2.7 * down, hand1=2.8 * down, arm2=2.3 * down, hand2=2.5 * down,
        leg1=0.25, shin1=0.1 - 0.6 * down, leg2=-0.2, shin2=-0.3 - 0.2 * down,
    )  # fmt: skip


def _lie_down(span: Span) -> Real:
    down = ease(span.time, 0, 2.6)
    if not span.role.person:
        hind = {"leg1": 1.5 * down, "shin1": 1.5 * down, "leg2": 1.3 * down, "shin2": 1.4 * down}
        return span.pose(**hind, arm1=1.5 * down, hand1=1.55 * down, arm2=1.4 * down, hand2=1.5 * down)
    bent = 4 * down * (1 - down)
    return span.pose(
        roll=1.53 * down, arm1=0.4 * down, hand1=0.9 * down, arm2=0.0, hand2=0.0,
        leg1=0.8 * bent + 0.05, shin1=-0.8 * bent, leg2=0.7 * bent - 0.05, shin2=-0.9 * bent,
    )  # fmt: skip


def _sit_down(span: Span) -> Real:
    down = ease(span.time, 0, 2.2)
    hind = {"leg1": 1.4 * down, "shin1": 1.55 * down, "leg2": 1.3 * down, "shin2": 1.5 * down}
    return span.pose(lean=0.75 * down, **hind, arm1=0.1 * down, hand1=0.0, arm2=0.25, hand2=0.1)


def _flap(span: Span) -> Real:
    beat = np.sin(_TAU * 0.5 * span.time)
    return span.pose(arm1=0.9 + beat, lift=1.5 - 1.5 * beat)


POSES: dict[str, Callable[[Span], Real]] = {
    **dict.fromkeys(("walk to", "walk to the left", "walk to the right"), _walk),
    **dict.fromkeys(("run to", "run to the left", "run to the right"), _run),
    **dict.fromkeys(("wave", "wave at"), _wave),
    "jump": _jump,
    "jump over": _jump_over,
    "kick": _kick,
    "push": _push,
    "sit on": _sit_on,
    "hug": _hug,
    "spin": _spin,
    "dance": _dance,
    "fall down": _fall_down,
    "lie down": _lie_down,
    "sit down": _sit_down,
    "flap its wings": _flap,
}
KEPT = frozenset(("fall down", "lie down", "sit on", "sit down"))
"""Actions whose last pose is kept until the actor does something else."""
