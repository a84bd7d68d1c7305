"""Drawing actors: a table of poses becomes coloured polygons; a figure for people, one for four legs, one for the duck.

A pose table is real ``(f, len(CHANNELS))``; angles are in radians, limbs hang down at 0 and swing forward with growing
angle. Figures are drawn around the origin, facing right, feet on y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, direction, disc, ellipse, polygon
from dysenvdm.stage.world import COLORS

CHANNELS = (
    "lift",  # height of the feet above the ground, pixels
    "turn",  # +1 faces the figure's way, -1 the other; between while it spins
    "roll",  # rotation of the whole figure: negative onto its face, positive onto its back
    "lean",  # people: the upper body forward; animals: the chest up
    "leg1", "shin1", "leg2", "shin2",  # near and far leg; animals: hind legs
    "arm1", "hand1", "arm2", "hand2",  # near and far arm; animals: front legs; arm1 of a duck: its wing
)  # fmt: skip
INDEX = {name: i for i, name in enumerate(CHANNELS)}


@dataclass(frozen=True)
class _Build:
    """Measures of a person, pixels, and the colours that never change."""

    leg: float
    torso: float
    head: float
    skin: str
    hair: str
    legs: str
    shoes: str


_BUILDS = {
    "girl": _Build(8.2, 8.4, 5.2, "#ffd3b0", "#b8440f", "#ffd3b0", "#5a2c1c"),
    "boy": _Build(8.2, 8.4, 5.2, "#f0b684", "#f2c531", "#2e3350", "#1a1a20"),
    "woman": _Build(11, 10, 4.9, "#8e5634", "#1c1718", "#8e5634", "#1c1718"),
    "man": _Build(11.6, 10.4, 4.9, "#f6c39a", "#5d3517", "#39405e", "#15151a"),
}
_HEMS = {"shirt": (0.6, 3.6), "coat": (3.6, 4.4), "dress": (4.2, 6.6)}
"""How far a garment reaches below the hip and half its width there."""


@dataclass(frozen=True)
class _Beast:
    """Measures of a four-legged animal, pixels."""

    body: float
    girth: float
    leg: float
    thick: float
    ahead: float  # how much farther its head reaches than its tail, halved


_BEASTS = {
    "dog": _Beast(10, 6.6, 6, 2.5, 2.0),
    "cat": _Beast(9, 5.2, 5, 2.1, 0.0),
    "horse": _Beast(13, 8.4, 11, 2.8, 2.0),
    "elephant": _Beast(11, 13, 7, 4.6, 2.0),
}
_EYE = "#15151a"


def darker(color: str, factor: float = 0.74) -> str:
    """The same colour in the shade."""
    return "#" + "".join(f"{round(int(color[i : i + 2], 16) * factor):02x}" for i in (1, 3, 5))


def seated_hip(kind: str) -> float:
    """How high the hip of a person of this kind is above the feet when it sits, pixels."""
    return _BUILDS[kind].leg / 2 - 0.6


def draw_actor(kind: str, garment: str, color: str, pose: Real) -> list[Shape]:
    """Shapes of an actor at the origin facing right, from back to front; ``pose`` is ``(f, len(CHANNELS))``."""
    paint = COLORS[color]
    if kind in _BUILDS:
        shapes, middle = _person(_BUILDS[kind], kind, garment, paint, pose)
    elif kind == "duck":
        shapes, middle = _duck(paint, pose)
    else:
        shapes, middle = _beast(kind, paint, pose)
    return _placed(shapes, middle, pose)


def _placed(shapes: list[Shape], middle: float, pose: Real) -> list[Shape]:
    """Roll the figure about its middle, which comes down to the ground on the way, then turn and lift it."""
    roll, turn, lift = pose[:, INDEX["roll"]], pose[:, INDEX["turn"]], pose[:, INDEX["lift"]]
    pivot = 1j * middle
    rest = 1j * (middle + (3.6 - middle) * np.abs(np.sin(roll)) + lift)
    spin = np.exp(1j * roll)[:, None]
    placed = []
    for shape in shapes:
        z = (shape.points - pivot) * spin + rest[:, None]
        placed.append(Shape(shape.color, turn[:, None] * z.real + 1j * z.imag))
    return placed


def _channel(pose: Real, name: str) -> Real:
    column: Real = pose[:, INDEX[name]]
    return column


def _limb(start: Complex, pose: Real, upper: str, lower: str, length: float) -> tuple[Complex, Complex, Complex]:
    joint = start + length / 2 * direction(_channel(pose, upper))
    return start, joint, joint + length / 2 * direction(_channel(pose, lower))


def _drop(limb: tuple[Complex, Complex, Complex]) -> Real:
    """How far a limb reaches below its start ``(f,)``."""
    lowest: Real = np.maximum(limb[0].imag - limb[1].imag, limb[0].imag - limb[2].imag)
    return lowest


def _draw_limb(color: str, limb: tuple[Complex, Complex, Complex], width: float) -> list[Shape]:
    a, b, c = limb
    return [capsule(color, a, b, width), capsule(color, b, c, width, width * 0.85)]


def _person(build: _Build, kind: str, garment: str, paint: str, pose: Real) -> tuple[list[Shape], float]:
    """People: far limbs, legs, garment, head and hair, near arm."""
    origin = np.zeros(len(pose), np.complex128)
    legs = [_limb(origin, pose, f"leg{i}", f"shin{i}", build.leg - 1.2) for i in (1, 2)]
    hip = 1j * (np.maximum(_drop(legs[0]), _drop(legs[1])) + 1.2)
    legs = [(a + hip, b + hip, c + hip) for a, b, c in legs]
    up = -direction(-_channel(pose, "lean"))  # the body's upward direction, forward with growing lean
    shoulder = hip + build.torso * up
    arms = [_limb(shoulder - 1.0 * up, pose, f"arm{i}", f"hand{i}", build.torso + 0.6) for i in (1, 2)]

    reach, flare = _HEMS[garment]
    thigh = direction(_channel(pose, "leg1")) + direction(_channel(pose, "leg2"))
    hem = hip + reach * thigh / np.maximum(np.abs(thigh), 1e-6)
    down = (hem - shoulder) / np.abs(hem - shoulder)
    across = 1j * down
    waist = hip + 2.0 * up
    body = polygon(
        paint, shoulder + 3.1 * across, shoulder - 3.1 * across, waist - 3.1 * across,
        hem - flare * across, hem + flare * across, waist + 3.1 * across,
    )  # fmt: skip

    shoes = [capsule(build.shoes, c + 0.2, c + 2.1, 2.7) for _, _, c in legs]
    shapes = _draw_arm(darker(paint, 0.64), build.skin, arms[1])
    shapes += [*_draw_limb(darker(build.legs), legs[1], 3.4), shoes[1], *_draw_limb(build.legs, legs[0], 3.5), shoes[0]]
    shapes += [body]
    if garment == "coat":
        shapes.append(capsule(darker(paint), shoulder + 0.9 - 1.4 * up, hem + 1.2, 0.9))
    shapes += _head(build, kind, shoulder, up)
    shapes += _draw_arm(darker(paint, 0.78), build.skin, arms[0])
    return shapes, (build.leg + build.torso + 2 * build.head) / 2


def _draw_arm(sleeve: str, skin: str, arm: tuple[Complex, Complex, Complex]) -> list[Shape]:
    a, b, c = arm
    return [capsule(sleeve, a, b, 3.0), capsule(sleeve, b, c, 2.7), disc(skin, c, 1.7)]


def _head(build: _Build, kind: str, shoulder: Complex, up: Complex) -> list[Shape]:
    ahead = -1j * up
    center = shoulder + (build.head - 0.3) * up + 0.4 * ahead
    r = build.head
    shapes = []
    if kind == "woman":  # long hair down the back
        shapes.append(capsule(build.hair, center - 1.6 * ahead + up, center - 3.2 * ahead - 8.5 * up, 6.4, 4.6))
    shapes += [disc(build.skin, center, r), disc(build.skin, center + (r - 0.2) * ahead - 0.6 * up, 1.1)]
    cap = [center + r * 1.12 * (ahead * np.cos(a) + up * np.sin(a)) for a in np.linspace(0.5, 3.9, 9)]
    shapes.append(polygon(build.hair, *cap, center - 0.2 * ahead + 0.6 * up))
    if kind == "girl":  # pigtails
        knot = center - (r - 0.2) * ahead + 0.4 * up
        shapes += [capsule(build.hair, knot, knot - 3.2 * ahead - 4.2 * up, 3.2, 2.2), disc(COLORS["pink"], knot, 1.3)]
    elif kind == "boy":  # a tuft
        tip, front = center + (r + 2.2) * up + 2.4 * ahead, center + (r - 0.4) * up + 2.6 * ahead
        shapes.append(polygon(build.hair, tip, front, center + (r - 0.2) * up - 2.2 * ahead))
    elif kind == "man":  # a beard
        chin = [center + r * 1.08 * (ahead * np.cos(a) + up * np.sin(a)) for a in np.linspace(-0.55, -2.6, 6)]
        shapes.append(polygon(build.hair, *chin))
    shapes.append(disc(_EYE, center + 2.1 * ahead + 0.5 * up, 0.85))
    return shapes


def _beast(kind: str, paint: str, pose: Real) -> tuple[list[Shape], float]:
    """Four legs: far legs, tail, body, neck and head, near legs."""
    beast = _BEASTS[kind]
    back = np.full(len(pose), -beast.body / 2 - beast.ahead, np.complex128)
    along = np.exp(1j * _channel(pose, "lean"))
    chest = back + beast.body * along
    hind = [_limb(back, pose, f"leg{i}", f"shin{i}", beast.leg + beast.girth / 3) for i in (1, 2)]
    front = [_limb(chest, pose, f"arm{i}", f"hand{i}", beast.leg + beast.girth / 3) for i in (1, 2)]
    ground = np.max([-limb[i].imag for limb in (*hind, *front) for i in (1, 2)], 0) + beast.thick * 0.4
    height = 1j * np.maximum(np.maximum(ground, beast.girth / 2), beast.girth / 2 - chest.imag)
    back, chest = back + height, chest + height
    hind = [(a + height, b + height, c + height) for a, b, c in hind]
    front = [(a + height, b + height, c + height) for a, b, c in front]

    shade = darker(paint, 0.72)
    shapes = _draw_limb(shade, hind[1], beast.thick) + _draw_limb(shade, front[1], beast.thick)
    shapes += _tail(kind, paint, back, along)
    shapes.append(capsule(paint, back, chest, beast.girth, beast.girth * (0.92 if kind == "dog" else 1.0)))
    near = paint if kind != "elephant" else darker(paint, 0.88)
    shapes += _draw_limb(near, hind[0], beast.thick) + _draw_limb(near, front[0], beast.thick)
    return shapes + _HEADS[kind](paint, chest, along), beast.leg + beast.girth / 2


def _tail(kind: str, paint: str, back: Complex, along: Complex) -> list[Shape]:
    if kind == "dog":
        return [capsule(paint, back + (-2.5 + 1.5j) * along, back + (-6 + 7j) * along, 2.6, 1.8)]
    if kind == "cat":
        root, bend = back + (-1.5 + 1j) * along, back + (-6.5 + 4.5j) * along
        return [capsule(paint, root, bend, 2.2), capsule(paint, bend, bend + (0.5 + 7j) * along, 2.2)]
    if kind == "horse":
        return [capsule(_mane(paint), back + (-3.6 + 2j) * along, back + (-7 - 6j) * along, 2.6, 3.6)]
    return [capsule(darker(paint), back + (-5.5 + 2j) * along, back + (-8 - 4j) * along, 1.6)]


def _mane(paint: str) -> str:
    return "#2a1a12" if paint != COLORS["black"] else "#6a6a74"


def _dog_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + 3.4 * along + 6j
    ear = darker(paint, 0.6) if paint != COLORS["black"] else "#5a5a66"
    return [
        capsule(paint, chest + 1.0 * along, head, 5.5),
        disc(paint, head, 3.9),
        capsule(paint, head + 1.5 - 1j, head + 5.2 - 1.4j, 3.8, 3.2),
        disc(_EYE if paint != COLORS["black"] else "#f0a0a0", head + 6.4 - 0.8j, 1.2),
        capsule(ear, head - 1.6 + 2.4j, head - 3.0 - 3j, 2.8, 3.2),
        *_eye(paint, head + 1.5 + 1.1j),
    ]


def _cat_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + 3.0 * along + 4.6j
    shade = darker(paint, 0.7) if paint != COLORS["black"] else "#55555f"
    return [
        polygon(paint, head - 3.9 + 0.8j, head - 3.6 + 6.6j, head + 0.2 + 3j),
        polygon(paint, head + 3.9 + 0.8j, head + 3.8 + 6.6j, head + 0.2 + 3j),
        disc(paint, head, 3.9),
        disc("#f7f2e8", head + 1.9 - 1.7j, 1.7),
        disc("#8df03c" if paint != COLORS["orange"] else _EYE, head - 0.7 + 0.8j, 0.9),
        disc("#8df03c" if paint != COLORS["orange"] else _EYE, head + 2.4 + 0.8j, 0.9),
        *(capsule(shade, chest + (x + 2.2j) * along, chest + (x + 0.2j) * along, 1.2) for x in (-3.0, -6.0)),
    ]


def _horse_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    poll = chest + (4.6 + 9.6j) * along
    neck = chest + (0.8 + 1j) * along
    muzzle = poll + 5.6 - 3.6j
    return [
        capsule(_mane(paint), neck + (-2.2 + 2j) * along, poll - 1.8 + 1.2j, 3.6),
        capsule(paint, neck, poll, 6.0, 4.4),
        capsule(paint, poll, muzzle, 4.8, 3.8),
        polygon(paint, poll - 1.6 + 1.4j, poll - 0.6 + 4.6j, poll + 1 + 1.6j),
        disc(darker(paint, 0.6) if paint != COLORS["black"] else "#6a6a74", muzzle + 0.3 - 0.2j, 1.5),
        *_eye(paint, poll + 1.6 + 0.2j),
    ]


def _elephant_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (5.2 + 4.4j) * along
    bend = head + 5.4 - 4.4j
    ear = darker(paint, 0.74)
    return [
        disc(paint, head, 5.6),
        capsule(paint, head + 3.2 - 0.6j, bend, 4.4, 3.4),
        capsule(paint, bend, bend + 0.4 - 5j, 3.4, 2.6),
        capsule("#ffffff", head + 3.4 - 3.8j, head + 6.6 - 6.2j, 1.6, 1.0),
        ellipse(ear, head - 3.4 - 0.2j, 3.6, 5.4, along),
        *_eye(paint, head + 2.2 + 1.4j),
    ]


def _eye(paint: str, at: Complex) -> list[Shape]:
    return [disc("#ffffff" if paint in (COLORS["black"], COLORS["brown"]) else _EYE, at, 0.9)]


_HEADS = {"dog": _dog_head, "cat": _cat_head, "horse": _horse_head, "elephant": _elephant_head}


def _duck(paint: str, pose: Real) -> tuple[list[Shape], float]:
    """The duck: legs, tail, body, head and bill, wing."""
    zero = np.zeros(len(pose), np.complex128)
    legs = [_limb(zero + x - 1.5, pose, f"leg{i}", f"shin{i}", 4.6) for i, x in ((1, 0.6), (2, -0.6))]
    hip = 1j * (np.maximum(_drop(legs[0]), _drop(legs[1])) + 0.6)
    body = hip + (4.2j - 1.5)
    tilt = np.exp(1j * _channel(pose, "lean"))
    head = body + 6.0 + 7.2j
    orange = "#ef6c14"
    shapes = []
    for i in (1, 0):
        a, b, c = (p + hip for p in legs[i])
        shapes += [*_draw_limb(orange, (a + 1j, b, c), 1.9), capsule(orange, c, c + (2.4 + 0j), 1.9)]
    swept = np.exp(-1j * _channel(pose, "arm1"))
    wing = body - 0.2 + 1.6j - 3.2 * swept
    shapes += [
        polygon(paint, body - 4 + 3.8j, body - 11 + 5.6j, body - 5 - 1.5j),
        ellipse(paint, body, 8.2, 5.2, tilt),
        capsule(paint, body + 5 + 1j, head, 4.6),
        disc(paint, head, 3.9),
        polygon(orange, head + 2.8 + 1.6j, head + 8 - 0.6j, head + 2.8 - 2j),
        disc(_EYE, head + 1.3 + 1.1j, 0.95),
        ellipse(darker(paint, 0.8), wing, 5.0, 3.0, swept),
    ]
    return shapes, 7.0
