"""How every action looks: one function per action gives the poses over its time.

Letters: ``n`` frames of the act. Tables are ``(n, channels)``, see :data:`dysenvdm.stage.figure.CHANNELS`. Steps have a
pace of their own: a longer act has more of them, not slower ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dysenvdm.stage.actions import ACTIONS, STANDS
from dysenvdm.stage.handling import AGENTS, PARTNERS
from dysenvdm.stage.postures import SITTING, STEPS, TAU, Span, ease, run, seat_lift, steps, walk
from dysenvdm.stage.shapes import Real


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
    """How often an act of about four beats is repeated."""
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


def _sit_on(span: Span) -> Real:
    down = ease(span.u, 0.15, 0.55)
    legs = {name: angle * down for name, angle in SITTING.items()}
    lift = down * seat_lift(span.role.kind, span.act.target_kind)
    return span.pose(lift=lift, **legs, arm1=0.7 * down, hand1=1.2 * down, arm2=0.6 * down, hand2=1.1 * down)


def _hug(span: Span) -> Real:
    hold = ease(span.u, 0.1, 0.5)
    legs = steps(TAU * span.u, 0.3, 0.3)
    return span.pose(lean=0.2 * hold, **legs, arm1=1.5 * hold, hand1=1.75 * hold, arm2=1.2 * hold, hand2=1.9 * hold)


def _wave(span: Span) -> Real:
    return span.pose(arm1=2.05, hand1=2.2 + 0.65 * np.sin(TAU * 0.5 * span.time))


def _spin(span: Span) -> Real:
    turn = np.cos(TAU * _rounds(span) * span.u)
    turn = np.where(np.abs(turn) < 0.2, np.where(turn < 0, -0.2, 0.2), turn)  # never thinner than a fifth
    arms = {"arm1": 1.6, "hand1": 1.7, "arm2": -1.6, "hand2": -1.7} if span.role.person else {}
    return span.pose(turn=turn, **arms)


def _dance(span: Span) -> Real:
    beat = np.sin(TAU * STEPS * span.time)
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
    beat = np.sin(TAU * 0.5 * span.time)
    return span.pose(arm1=0.9 + beat, lift=1.5 - 1.5 * beat)


def _clap(span: Span) -> Real:
    apart = 0.5 + 0.5 * np.cos(TAU * 0.5 * span.time)
    return span.pose(
        arm1=1.25 + 0.75 * apart, hand1=1.65 + 0.5 * apart, arm2=1.15 - 0.7 * apart, hand2=1.6 - 0.3 * apart
    )


def _bow(span: Span) -> Real:
    down = ease(span.u, 0, 0.35) - ease(span.u, 0.65, 1)
    return span.pose(lean=1.15 * down, arm1=0.1 + 0.2 * down, hand1=0.1, arm2=-0.5 * down, hand2=0.9 * down)


def _stretch(span: Span) -> Real:
    up = ease(span.u, 0, 0.3) - ease(span.u, 0.85, 1)
    sway = 0.3 * np.sin(TAU * 0.25 * span.time)
    return span.pose(lean=sway * up, arm1=2.95 * up, hand1=3.0 * up, arm2=3.2 * up, hand2=3.25 * up)


def _crouch_down(span: Span) -> Real:
    down = ease(span.time, 0, 1.8)
    return span.pose(
        lean=0.45 * down, leg1=1.75 * down, shin1=-0.75 * down, leg2=1.5 * down, shin2=-0.95 * down,
        arm1=0.9 * down, hand1=1.3 * down, arm2=0.7 * down, hand2=1.1 * down,
    )  # fmt: skip


def _turn_a_cartwheel(span: Span) -> Real:
    roll = -TAU * _rounds(span) * np.clip((span.u - 0.12) / 0.76, 0, 1)
    roll = (roll + np.pi) % TAU - np.pi  # upright again in the end, not once round
    out = ease(span.u, 0, 0.15) - ease(span.u, 0.88, 1)
    return span.pose(
        roll=roll, lift=8.5 * np.abs(np.sin(roll)), leg1=0.65 * out, shin1=0.65 * out, leg2=-0.65 * out,
        shin2=-0.65 * out, arm1=2.5 * out, hand1=2.6 * out, arm2=3.8 * out, hand2=3.7 * out,
    )  # fmt: skip


def _roll_over(span: Span) -> Real:
    over = ease(span.u, 0.05, 0.35) - ease(span.u, 0.7, 1)
    kick = 0.5 * np.sin(TAU * 0.5 * span.time) * over
    return span.pose(
        roll=np.pi * over, lift=7.5 * np.abs(np.sin(np.pi * over)) + 6 * over,
        leg1=0.3 + kick, shin1=-0.5 + kick, leg2=0.5 - kick, shin2=-0.2 - kick,
        arm1=-0.3 - kick, hand1=0.5 - kick, arm2=0.1 + kick, hand2=0.8 + kick,
    )  # fmt: skip


def _rear_up(span: Span) -> Real:
    up = ease(span.u, 0.05, 0.35) - ease(span.u, 0.75, 1)
    beat = 0.35 * np.sin(TAU * 0.5 * span.time) * up
    return span.pose(
        lean=0.85 * up, leg1=0.35 * up, shin1=-0.1, leg2=0.3 - 0.1 * up, shin2=0.1,
        arm1=1.7 * up + beat, hand1=0.5 * up + beat, arm2=1.5 * up - beat, hand2=0.2 * up - beat,
    )  # fmt: skip


def _point_at(span: Span) -> Real:
    out = ease(span.time, 0, 1.0)
    return span.pose(arm1=1.5 * out, hand1=1.55 * out)


def _climb_onto(span: Span) -> Real:
    """A knee up first, then the whole figure."""
    up = ease(span.u, 0.2, 0.6)
    knee = ease(span.u, 0, 0.25) - ease(span.u, 0.35, 0.65)
    return span.pose(
        lift=STANDS[span.act.target_kind] * up + 3 * knee, lean=0.4 * knee,
        leg1=0.12 + 1.5 * knee, shin1=0.08 - 0.3 * knee, arm1=0.1 + 1.6 * knee, hand1=0.3 + 1.6 * knee,
    )  # fmt: skip


POSES: dict[str, Callable[[Span], Real]] = {
    **dict.fromkeys(("walk to", "walk to the left", "walk to the right"), walk),
    **dict.fromkeys(("run to", "run to the left", "run to the right"), run),
    **dict.fromkeys(("wave", "wave at"), _wave),
    "jump": _jump,
    "jump over": _jump_over,
    "kick": _kick,
    "sit on": _sit_on,
    "hug": _hug,
    "spin": _spin,
    "dance": _dance,
    "fall down": _fall_down,
    "lie down": _lie_down,
    "sit down": _sit_down,
    "flap its wings": _flap,
    "clap": _clap,
    "bow": _bow,
    "stretch": _stretch,
    "crouch down": _crouch_down,
    "turn a cartwheel": _turn_a_cartwheel,
    "roll over": _roll_over,
    "rear up": _rear_up,
    "point at": _point_at,
    "climb onto": _climb_onto,
    **{lemma: AGENTS[action.move] for lemma, action in ACTIONS.items() if action.move in AGENTS},
    **{lemma: walk for lemma, action in ACTIONS.items() if action.move == "go" and action.thing},
}
PARTNER_POSES: dict[str, Callable[[Span], Real]] = {
    lemma: PARTNERS[action.move] for lemma, action in ACTIONS.items() if action.move in PARTNERS
}
"""How an actor looks in whose company the action is done."""
KEPT = frozenset(("fall down", "lie down", "sit on", "sit down", "climb onto", "crouch down", "ride"))
"""Actions whose last pose is kept until the actor does something else."""
