"""What the poses of all actions are made of: standing, steps, walking and running.

Letters: ``n`` frames of the act. Tables are ``(n, channels)``, see :data:`dysenvdm.stage.figure.CHANNELS`. Steps have a
pace of their own: a longer act has more of them, not slower ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dysenvdm.stage.actions import ACTIONS
from dysenvdm.stage.figure import CHANNELS, INDEX
from dysenvdm.stage.people import seated_hip
from dysenvdm.stage.script import Act, Role
from dysenvdm.stage.shapes import Real
from dysenvdm.stage.world import ACTORS, SEATS

TAU = 2 * np.pi
STEPS, QUICK_STEPS = 0.375, 0.5
"""Cycles of two steps per beat, walking and running."""
_STANDING = {
    "leg1": 0.12, "shin1": 0.08, "leg2": -0.12, "shin2": -0.16,
    "arm1": 0.1, "hand1": 0.3, "arm2": -0.25, "hand2": 0.0,
}  # fmt: skip
_BEAST = {
    "leg1": 0.05, "shin1": -0.1, "leg2": 0.3, "shin2": 0.15,
    "arm1": 0.0, "hand1": 0.0, "arm2": 0.3, "hand2": 0.2,
}  # fmt: skip
SITTING = {"leg1": 1.55, "shin1": 0.1, "leg2": 1.4, "shin2": -0.1}


@dataclass(frozen=True)
class Span:
    """One act while it runs: ``u`` ``(n,)`` in (0, 1) is how far, ``lasts`` its length in beats."""

    u: Real
    lasts: int
    role: Role
    act: Act

    @property
    def time(self) -> Real:
        """Beats since the act began ``(n,)``."""
        return self.u * self.lasts

    def pose(self, **channels: Real | float) -> Real:
        """The standing pose with some channels set, ``(n, channels)``."""
        table = standing(len(self.u), self.role.kind)
        stays = ACTIONS[self.act.predicate].move == "stay"
        if self.act.seated and stays and self.act.agent == self.role.id:
            channels = {"lift": seat_lift(self.role.kind, self.act.seated), **SITTING, **channels}
        for name, value in channels.items():
            table[:, INDEX[name]] = value
        return table


def standing(n: int, kind: str) -> Real:
    """``n`` rows of the pose in which this kind of actor stands."""
    stance: dict[str, float] = {} if ACTORS[kind].body == "bird" else _STANDING if ACTORS[kind].person else _BEAST
    row = [stance.get(name, 1.0 if name == "turn" else 0.0) for name in CHANNELS]
    return np.repeat(np.array([row]), n, 0)


def ease(u: Real, start: float, end: float) -> Real:
    """0 before ``start``, 1 after ``end``, smooth between."""
    w = np.clip((u - start) / (end - start), 0, 1)
    eased: Real = w * w * (3 - 2 * w)
    return eased


def steps(phase: Real, swing: float, knee: float) -> dict[str, Real]:
    """Two legs in opposite phase; the knee bends while a leg swings forward."""
    legs = {}
    for i, offset in ((1, 0.0), (2, np.pi)):
        thigh = swing * np.sin(phase + offset)
        legs[f"leg{i}"] = thigh
        legs[f"shin{i}"] = thigh - knee * np.maximum(0, np.cos(phase + offset))
    return legs


def as_front(legs: dict[str, Real]) -> dict[str, Real]:
    return {name.replace("leg", "arm").replace("shin", "hand"): angle for name, angle in legs.items()}


def swinging_arms(phase: Real, swing: float, bend: float) -> dict[str, Real]:
    arm = swing * np.sin(phase)
    return {"arm1": -arm, "hand1": bend - arm, "arm2": arm, "hand2": bend + arm}


def walk(span: Span) -> Real:
    phase = TAU * STEPS * span.time + 0.4
    if span.role.body == "bird":
        return span.pose(roll=0.14 * np.sin(phase), **steps(phase, 0.8, 0.4))
    legs = steps(phase, 0.62, 0.7)
    if span.role.person:
        return span.pose(lean=0.06, **legs, **swinging_arms(phase, 0.75, 0.35))
    return span.pose(**legs, **as_front(steps(phase + 1.2, 0.55, 0.6)))


def run(span: Span) -> Real:
    phase = TAU * QUICK_STEPS * span.time + 0.4
    if span.role.person:
        legs, arms = steps(phase, 1.05, 1.5), swinging_arms(phase, 1.1, 1.5)
        return span.pose(lift=2.2 * np.abs(np.sin(phase)), lean=0.38, **legs, **arms)
    reach = 0.6 if span.role.kind == "elephant" else 1.0
    hind = reach * np.sin(phase)
    return span.pose(
        lift=2.6 * reach * np.abs(np.cos(phase)), lean=0.16 * reach * np.sin(phase + 0.8),
        leg1=hind, shin1=hind - 0.3, leg2=hind + 0.35, shin2=hind + 0.1,
        arm1=-hind, hand1=-hind - 0.2, arm2=-hind + 0.35, hand2=-hind + 0.1,
    )  # fmt: skip


def seat_lift(kind: str, seat: str) -> float:
    """How far the feet of somebody on that seat are above the ground."""
    return SEATS[seat] - seated_hip(kind)
