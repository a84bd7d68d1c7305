"""Drawing people: far limbs, legs, garment, head, hair and hat, near arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dysenvdm.stage.figure import EYE, Limb, channel, darker, draw_limb, drop, limb, moved
from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, direction, disc, polygon
from dysenvdm.stage.world import COLORS


@dataclass(frozen=True)
class _Build:
    """Measures of a person, pixels, and the colours that never change; ``girth`` is of trunk and limbs."""

    leg: float
    torso: float
    head: float
    skin: str
    hair: str
    legs: str
    shoes: str
    girth: float = 1.0


_BUILDS = {
    "toddler": _Build(4.6, 6.2, 5.0, "#ffdcc0", "#d99a2b", "#e9e3d6", "#b23a48", 0.92),
    "girl": _Build(8.2, 8.4, 5.2, "#ffd3b0", "#b8440f", "#ffd3b0", "#5a2c1c"),
    "boy": _Build(8.2, 8.4, 5.2, "#f0b684", "#f2c531", "#2e3350", "#1a1a20"),
    "woman": _Build(11, 10, 4.9, "#8e5634", "#1c1718", "#8e5634", "#1c1718"),
    "man": _Build(11.6, 10.4, 4.9, "#f6c39a", "#5d3517", "#39405e", "#15151a"),
    "grandmother": _Build(8.0, 9.0, 4.8, "#f7cfae", "#a79cc4", "#6b5a52", "#3a2c28", 1.2),
    "grandfather": _Build(10.4, 9.6, 4.8, "#e6ab82", "#eef0f4", "#5f5346", "#2b2420", 1.06),
}
_CHARCOAL, _GOLD = "#3b3f4c", "#f2c12e"


@dataclass(frozen=True)
class _Garment:
    """How far it reaches below the hip and half its width there; ``over`` what is worn with it, if not its own colour.

    ``legs``: its legs are of its own colour.
    """

    reach: float
    flare: float
    top: str = ""
    legs: bool = False


_GARMENTS = {
    "shirt": _Garment(0.6, 3.6),
    "coat": _Garment(3.6, 4.4),
    "dress": _Garment(4.2, 6.6),
    "sweater": _Garment(1.6, 4.4),
    "skirt": _Garment(4.4, 6.4, top=_CHARCOAL),
    "cape": _Garment(0.6, 3.6, top=_CHARCOAL),
    "jumpsuit": _Garment(0.6, 3.6, legs=True),
    "uniform": _Garment(2.6, 4.0, legs=True),
}


@dataclass(frozen=True)
class _Bones:
    """Joints of a person over time, the feet on y = 0; ``up`` is the trunk's direction; near limbs come first."""

    hip: Complex
    shoulder: Complex
    up: Complex
    legs: tuple[Limb, Limb]
    arms: tuple[Limb, Limb]


def _bones(build: _Build, pose: Real) -> _Bones:
    origin = np.zeros(len(pose), np.complex128)
    near, far = (limb(origin, pose, f"leg{i}", f"shin{i}", build.leg - 1.2) for i in (1, 2))
    hip = 1j * (np.maximum(drop(near), drop(far)) + 1.2)
    up = -direction(-channel(pose, "lean"))  # the body's upward direction, forward with growing lean
    shoulder = hip + build.torso * up
    arm1, arm2 = (limb(shoulder - 1.0 * up, pose, f"arm{i}", f"hand{i}", build.torso + 0.6) for i in (1, 2))
    return _Bones(hip, shoulder, up, (moved(near, hip), moved(far, hip)), (arm1, arm2))


def seated_hip(kind: str) -> float:
    """How high the hip of a person of this kind is above the feet when it sits, pixels."""
    return _BUILDS[kind].leg / 2 - 0.6


def hand(kind: str, pose: Real) -> Complex:
    """The near hand of a person ``(f,)`` who faces right and does not roll, from between the feet, pixels."""
    place: Complex = _bones(_BUILDS[kind], pose).arms[0][2] + 1j * channel(pose, "lift")
    return place


def person(kind: str, garment: str, paint: str, pose: Real) -> tuple[list[Shape], float]:
    """Shapes of a person whose feet are on y = 0, from back to front, and the height of its middle."""
    build, wear = _BUILDS[kind], _GARMENTS[garment]
    bones = _bones(build, pose)
    hip, shoulder, up = bones.hip, bones.shoulder, bones.up
    top, legs = wear.top or paint, darker(paint, 0.93) if wear.legs else build.legs
    thigh = direction(channel(pose, "leg1")) + direction(channel(pose, "leg2"))
    hem = hip + wear.reach * thigh / np.maximum(np.abs(thigh), 1e-6)

    shoes = [capsule(build.shoes, c + 0.2, c + 2.1, 2.7 * build.girth) for _, _, c in bones.legs]
    near, far = bones.legs
    shapes = _cape(paint, bones) if garment == "cape" else []
    shapes += _arm(darker(top, 0.64), build, bones.arms[1])
    shapes += [*draw_limb(darker(legs), far, 3.4 * build.girth), shoes[1]]
    shapes += [*draw_limb(legs, near, 3.5 * build.girth), shoes[0]]
    shapes += _dressed(garment, paint, build, bones, hem)
    shapes += _head(build, kind, garment, paint, shoulder, up)
    shapes += _arm(darker(top, 0.93 if garment in ("sweater", "jumpsuit") else 0.78), build, bones.arms[0])
    return shapes, (build.leg + build.torso + 2 * build.head) / 2


def _arm(sleeve: str, build: _Build, arm: Limb) -> list[Shape]:
    a, b, c = arm
    g = build.girth
    return [capsule(sleeve, a, b, 3.0 * g), capsule(sleeve, b, c, 2.7 * g), disc(build.skin, c, 1.7 * g)]


def _cape(paint: str, bones: _Bones) -> list[Shape]:
    """Down the back to the calves, flying a little."""
    behind, up = 1j * bones.up, bones.up
    tail = bones.hip * 0.45
    return [polygon(paint, bones.shoulder - 2.4 * behind, bones.shoulder + 3.2 * behind,
                    tail + 10.5 * behind, tail + 3.0 * behind - up)]  # fmt: skip


def _dressed(garment: str, paint: str, build: _Build, bones: _Bones, hem: Complex) -> list[Shape]:
    """The garment from shoulders to hem, with what marks it."""
    wear, g = _GARMENTS[garment], build.girth
    hip, shoulder, up = bones.hip, bones.shoulder, bones.up
    down = (hem - shoulder) / np.abs(hem - shoulder)
    across = 1j * down
    waist = hip + 2.0 * up
    wide, flare = 3.1 * g, wear.flare * g
    body = polygon(
        wear.top or paint, shoulder + wide * across, shoulder - wide * across, waist - wide * across,
        hem - flare * across, hem + flare * across, waist + wide * across,
    )  # fmt: skip
    if garment == "coat":
        return [body, capsule(darker(paint), shoulder + 0.9 - 1.4 * up, hem + 1.2, 0.9)]
    if garment == "sweater":  # two bands
        band = "#fafafa" if paint != COLORS["white"] else "#8d93a3"
        rows = [shoulder + share * (hem - shoulder) for share in ((0.36, 0.72) if build.torso > 7 else (0.55,))]
        return [body, *(capsule(band, row - 2.7 * g * across, row + 2.7 * g * across, 1.1) for row in rows)]
    if garment == "skirt":
        high = waist + 0.4 * up
        corners = (high - wide * across, hem - flare * across, hem + flare * across, high + wide * across)
        return [body, polygon(paint, *corners)]
    if garment == "cape":  # its collar
        return [body, capsule(paint, shoulder - 3.0 * across - 0.6 * up, shoulder + 3.0 * across - 0.6 * up, 2.4)]
    if garment == "jumpsuit":  # a zip
        return [body, capsule("#fafafa" if paint != COLORS["white"] else "#8d93a3", shoulder - 0.8 * up, hip, 1.3)]
    if garment == "uniform":  # belt and buttons
        belt = capsule(
            _GOLD if paint != COLORS["yellow"] else _CHARCOAL, waist - 3.2 * across, waist + 3.2 * across, 1.6
        )
        buttons = [disc(belt.color, waist + 1.6 + rise * up, 0.75) for rise in (2.2, 4.6)]
        return [body, belt, *buttons]
    return [body]


def _head(build: _Build, kind: str, garment: str, paint: str, shoulder: Complex, up: Complex) -> list[Shape]:
    ahead = -1j * up
    center = shoulder + (build.head - 0.3) * up + 0.4 * ahead
    r = build.head

    def arc(reach: float, start: float, end: float, steps: int) -> list[Complex]:
        """Points around the head, from ``start`` to ``end``: 0 is ahead, pi / 2 up."""
        return [center + r * reach * (ahead * np.cos(a) + up * np.sin(a)) for a in np.linspace(start, end, steps)]

    shapes = []
    if kind == "woman":  # long hair down the back
        shapes.append(capsule(build.hair, center - 1.6 * ahead + up, center - 3.2 * ahead - 8.5 * up, 6.4, 4.6))
    if kind == "grandmother":  # a bun
        shapes.append(disc(build.hair, center - 3.9 * ahead + 3.6 * up, 2.9))
    shapes += [disc(build.skin, center, r), disc(build.skin, center + (r - 0.2) * ahead - 0.6 * up, 1.1)]
    if kind == "toddler":  # nothing but a curl, and a dummy
        curl = center + (r - 0.4) * up
        shapes.append(polygon(build.hair, *arc(1.06, 1.2, 2.6, 5)))
        shapes.append(capsule(build.hair, curl, curl + 2.6 * up + 1.6 * ahead, 2.2, 1.4))
        shapes.append(disc("#2f9fe0", center + (r - 0.6) * ahead - 2.2 * up, 1.7))
    elif kind == "grandfather":  # hair at the back only
        shapes.append(polygon(build.hair, *arc(1.14, 2.3, 4.1, 6), center - 0.8 * ahead))
    else:
        shapes.append(polygon(build.hair, *arc(1.12, 0.5, 3.9, 9), center - 0.2 * ahead + 0.6 * up))
    if kind == "girl":  # pigtails
        knot = center - (r - 0.2) * ahead + 0.4 * up
        shapes += [capsule(build.hair, knot, knot - 3.2 * ahead - 4.2 * up, 3.2, 2.2), disc(COLORS["pink"], knot, 1.3)]
    elif kind == "boy":  # a tuft
        tip, front = center + (r + 2.2) * up + 2.4 * ahead, center + (r - 0.4) * up + 2.6 * ahead
        shapes.append(polygon(build.hair, tip, front, center + (r - 0.2) * up - 2.2 * ahead))
    elif kind == "man":  # a beard
        shapes.append(polygon(build.hair, *arc(1.08, -0.55, -2.6, 6)))
    elif kind == "grandfather":  # a long one
        beard = arc(1.08, -0.4, -2.5, 6)
        shapes.append(polygon(build.hair, *beard[:2], center - (r + 6.0) * up + 1.4 * ahead, *beard[3:]))
    if garment == "uniform":  # a peaked cap
        shapes.append(polygon(darker(paint, 0.93), *arc(1.3, 0.35, 2.9, 7)))
        brim = center + 1.6 * up
        shapes.append(capsule("#15151a", brim - 2.0 * ahead + 0.6 * up, brim + (r + 1.6) * ahead, 1.5))
    eye = center + 2.1 * ahead + 0.5 * up
    if kind == "grandmother":  # spectacles
        shapes += [disc("#3a2c28", eye, 2.0), disc("#eaf6ff", eye, 1.3)]
    shapes.append(disc(EYE, eye, 0.85))
    return shapes
