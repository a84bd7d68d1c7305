"""How actions with things in hand and with others look, by their move; for agents and for those who take part.

Letters: ``n`` frames of the act. Tables are ``(n, channels)``, see :data:`dysenvdm.stage.figure.CHANNELS`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dysenvdm.stage.postures import STEPS, TAU, Span, ease, run, standing, steps, walk
from dysenvdm.stage.shapes import Real

HOLDING = {"arm1": 0.35, "hand1": 1.6, "arm2": 0.25, "hand2": 1.5}
"""The arms of somebody who holds a thing."""
MOUNTED = 0.35
"""How much of a ride its rider needs to get on."""
_SADDLE = {"horse": 12.5, "elephant": 13.5}
"""How high the feet of a rider are, pixels."""


def _towards_holding(w: Real, **arms: Real | float) -> dict[str, Real]:
    """From these arms to those of somebody who holds a thing, with ``w`` ``(n,)`` from 0 to 1."""
    return {name: (1 - w) * angle + w * HOLDING[name] for name, angle in arms.items()}


def _stoop(down: Real) -> dict[str, Real]:
    """Knees and back bent, ``down`` ``(n,)`` from 0 to 1."""
    return {
        "lean": 0.75 * down,
        "leg1": 0.12 + 1.1 * down,
        "shin1": 0.08 - 0.9 * down,
        "leg2": -0.12 + 1.1 * down,
        "shin2": -0.16 - 0.8 * down,
    }


def _pick_up(span: Span) -> Real:
    down = ease(span.u, 0, 0.4) - ease(span.u, 0.6, 1)
    reach = ease(span.u, 0, 0.4)
    arms = {"arm1": 0.7 * reach, "hand1": 0.8 * reach, "arm2": 0.6 * reach, "hand2": 0.7 * reach}
    return span.pose(**_stoop(down), **_towards_holding(ease(span.u, 0.6, 1), **arms))


def _put_down(span: Span) -> Real:
    down = ease(span.u, 0, 0.4) - ease(span.u, 0.6, 1)
    held = 1 - ease(span.u, 0, 0.4)
    let_go = 1 - ease(span.u, 0.65, 1)
    arms = {"arm1": 0.7 * let_go, "hand1": 0.8 * let_go, "arm2": 0.6 * let_go, "hand2": 0.7 * let_go}
    return span.pose(**_stoop(down), **_towards_holding(held, **arms))


def _throw(span: Span) -> Real:
    """The near arm goes up over the head and comes forward."""
    back, forth = ease(span.u, 0, 0.3), ease(span.u, 0.32, 0.5)
    down = ease(span.u, 0.65, 1)
    arm = 0.7 + 1.9 * back - 1.3 * forth - 1.1 * down
    return span.pose(
        lean=-0.25 * back + 0.55 * forth - 0.3 * down, leg1=0.12 + 0.5 * forth * (1 - down),
        arm1=arm, hand1=arm + 0.4 * (1 - forth), arm2=0.6 * (1 - back), hand2=1.0 * (1 - back),
    )  # fmt: skip


def bouncing(u: Real, lasts: int) -> Real:
    """How far a ball is on its way to the ground ``(n,)``, from 0 in the hand to 1, in an act of ``lasts`` beats."""
    way: Real = 0.5 - 0.5 * np.cos(TAU * 0.5 * u * lasts)
    return way


def _bounce(span: Span) -> Real:
    pat = bouncing(span.u, span.lasts)
    return span.pose(lean=0.2, arm1=1.3 - 0.5 * pat, hand1=1.9 - 0.9 * pat, arm2=-0.3, hand2=0.2, leg1=0.35)


def _hand_over(span: Span) -> Real:
    out, back = ease(span.u, 0, 0.4), ease(span.u, 0.7, 1)
    arm = 0.7 + 0.65 * out - 1.25 * back
    return span.pose(
        lean=0.15 * (out - back), arm1=arm, hand1=1.5 - 1.2 * back, arm2=0.6 - 0.8 * back, hand2=1.4 - 1.3 * back
    )


def _take_over(span: Span) -> Real:
    out, near = ease(span.u, 0.1, 0.4), ease(span.u, 0.65, 1)
    arms = {"arm1": 1.35 * out, "hand1": 1.5 * out, "arm2": 1.2 * out, "hand2": 1.4 * out}
    return span.pose(lean=0.15 * (out - near), **_towards_holding(near, **arms))


def _catch(span: Span) -> Real:
    out, near = ease(span.u, 0.1, 0.5), ease(span.u, 0.75, 1)
    arms = {"arm1": 1.9 * out, "hand1": 2.0 * out, "arm2": 1.7 * out, "hand2": 1.9 * out}
    return span.pose(**_towards_holding(near, **arms))


def _push(span: Span) -> Real:
    if not span.role.person:
        return walk(span)
    legs = steps(TAU * STEPS * span.time + 0.4, 0.6, 0.6)
    return span.pose(lean=0.42, **legs, arm1=1.35, hand1=1.5, arm2=1.2, hand2=1.4)


def _stagger(span: Span) -> Real:
    """Backwards, the arms before the chest."""
    legs = steps(-TAU * STEPS * span.time + 0.4, 0.5, 0.5)
    return span.pose(lean=-0.3, **legs, arm1=0.6, hand1=2.2, arm2=0.5, hand2=2.0)


def _pull(span: Span) -> Real:
    """What is pulled is behind."""
    if not span.role.person:
        return walk(span)
    legs = steps(TAU * STEPS * span.time + 0.4, 0.6, 0.6)
    return span.pose(lean=0.5, **legs, arm1=-0.95, hand1=-1.05, arm2=-0.8, hand2=-0.95)


def _shake(span: Span) -> Real:
    out = ease(span.u, 0, 0.3)
    shaken = 0.28 * np.sin(TAU * 0.5 * span.time) * out
    return span.pose(arm1=1.1 * out + shaken, hand1=1.4 * out + shaken)


def _pet(span: Span) -> Real:
    down = ease(span.u, 0, 0.3)
    stroke = 0.3 * np.sin(TAU * 0.25 * span.time) * down
    return span.pose(
        lean=0.6 * down, leg1=0.12 + 0.4 * down, shin1=0.08 - 0.4 * down, arm1=0.9 * down + stroke,
        hand1=1.15 * down + stroke, arm2=-0.25 - 0.3 * down, hand2=-0.2 * down,
    )  # fmt: skip


def _ride(span: Span) -> Real:
    up = ease(span.u, 0, MOUNTED)
    return span.pose(
        lift=_SADDLE[(span.act.target or "").split("_")[0]] * up, leg1=0.12 + 0.75 * up, shin1=0.08 + 0.1 * up,
        leg2=-0.12 + 0.85 * up, shin2=-0.16 + 0.3 * up, arm1=0.1 + 0.8 * up, hand1=0.3 + 0.9 * up,
        arm2=-0.25 + 1.0 * up, hand2=1.1 * up,
    )  # fmt: skip


def _carry(span: Span) -> Real:
    """Whoever is ridden stands until the rider is on."""
    ridden = Span(np.maximum(span.u - MOUNTED, 0), span.lasts, span.role, span.act)
    return np.where((span.u > MOUNTED)[:, None], walk(ridden), standing(len(span.u), span.role.kind))


Pose = Callable[[Span], Real]
AGENTS: dict[str, Pose] = {
    "pick": _pick_up,
    "put": _put_down,
    "throw": _throw,
    "toss": _throw,
    "bounce": _bounce,
    "hand": _hand_over,
    "push": _push,
    "pull": _pull,
    "shake": _shake,
    "pet": _pet,
    "chase": run,
    "follow": walk,
    "ride": _ride,
}
"""By move: what the agent does."""
PARTNERS: dict[str, Pose] = {
    "toss": _catch,
    "hand": _take_over,
    "push": _stagger,
    "shake": _shake,
    "chase": run,
    "follow": walk,
    "ride": _carry,
}
"""By move: what its target does, where that is an actor who takes part."""
