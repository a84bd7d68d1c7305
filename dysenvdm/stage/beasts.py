"""Drawing four-legged animals: far legs, tail, body and its marks, near legs, neck and head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dysenvdm.stage.figure import EYE, channel, darker, draw_limb, limb, moved
from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, disc, ellipse, polygon
from dysenvdm.stage.world import COLORS


@dataclass(frozen=True)
class _Beast:
    """Measures of a four-legged animal, pixels."""

    body: float
    girth: float
    leg: float
    thick: float
    ahead: float  # how much farther its head reaches than its tail, halved
    taper: float = 1.0  # the chest's girth to the back's
    near: float = 1.0  # shade of the near legs
    legs: str = ""  # their colour, if not the body's


_BEASTS = {
    "dog": _Beast(10, 6.6, 6, 2.5, 2.0, taper=0.92),
    "cat": _Beast(9, 5.2, 5, 2.1, 0.0),
    "horse": _Beast(13, 8.4, 11, 2.8, 2.0),
    "elephant": _Beast(11, 13, 7, 4.6, 2.0, near=0.88),
    "rabbit": _Beast(5, 6.8, 2.4, 2.4, 1.0, taper=0.84),
    "cow": _Beast(13, 10.5, 7, 3.2, 2.0),
    "bear": _Beast(10, 12.5, 5, 5.2, 1.6, taper=0.9, near=0.86),
    "sheep": _Beast(8, 8, 5, 2.2, 1.6, legs="#3a3230"),
    "pig": _Beast(9, 9.6, 3.4, 2.8, 1.6, near=0.9),
    "giraffe": _Beast(9, 8, 14, 2.6, 0.0, taper=1.1),
}


def beast(kind: str, paint: str, pose: Real) -> tuple[list[Shape], float]:
    """Shapes of a four-legged animal whose feet are on y = 0, from back to front, and the height of its middle."""
    build = _BEASTS[kind]
    back = np.full(len(pose), -build.body / 2 - build.ahead, np.complex128)
    along = np.exp(1j * channel(pose, "lean"))
    chest = back + build.body * along
    hind = [limb(back, pose, f"leg{i}", f"shin{i}", build.leg + build.girth / 3) for i in (1, 2)]
    front = [limb(chest, pose, f"arm{i}", f"hand{i}", build.leg + build.girth / 3) for i in (1, 2)]
    ground = np.max([-limb[i].imag for limb in (*hind, *front) for i in (1, 2)], 0) + build.thick * 0.4
    height = 1j * np.maximum(np.maximum(ground, build.girth / 2), build.girth / 2 - chest.imag)
    back, chest = back + height, chest + height
    hind, front = [moved(leg, height) for leg in hind], [moved(leg, height) for leg in front]

    color = build.legs or paint
    shade, near = darker(color, 0.72), color if build.near == 1.0 else darker(color, build.near)
    shapes = draw_limb(shade, hind[1], build.thick) + draw_limb(shade, front[1], build.thick)
    shapes += _TAILS[kind](paint, back, along)
    shapes.append(capsule(paint, back, chest, build.girth, build.girth * build.taper))
    if kind in _MARKS:
        shapes += _MARKS[kind](paint, back, chest, along)
    shapes += draw_limb(near, hind[0], build.thick) + draw_limb(near, front[0], build.thick)
    return shapes + _HEADS[kind](paint, chest, along), build.leg + build.girth / 2


# -- tails: from the back, ``along`` the body's direction --------------------------------------------------------------


def _dog_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [capsule(paint, back + (-2.5 + 1.5j) * along, back + (-6 + 7j) * along, 2.6, 1.8)]


def _cat_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    root, bend = back + (-1.5 + 1j) * along, back + (-6.5 + 4.5j) * along
    return [capsule(paint, root, bend, 2.2), capsule(paint, bend, bend + (0.5 + 7j) * along, 2.2)]


def _horse_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [capsule(_mane(paint), back + (-3.6 + 2j) * along, back + (-7 - 6j) * along, 2.6, 3.6)]


def _elephant_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [capsule(darker(paint), back + (-5.5 + 2j) * along, back + (-8 - 4j) * along, 1.6)]


def _rabbit_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [disc("#ffffff" if paint != COLORS["white"] else "#c9ccd6", back + (-3.6 + 0.6j) * along, 2.3)]


def _cow_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    root, tip = back + (-4.6 + 3j) * along, back + (-6.6 - 5j) * along
    return [capsule(darker(paint, 0.8), root, tip, 1.5), disc(_patch(paint), tip, 1.7)]


def _bear_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [disc(paint, back + (-6 + 2.4j) * along, 2.0)]


def _sheep_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [disc(darker(paint, 0.86), back + (-5.2 + 0.6j) * along, 2.0)]


def _pig_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    root, bend = back + (-4.4 + 1.6j) * along, back + (-6.8 + 3.4j) * along
    return [capsule(darker(paint), root, bend, 1.3), capsule(darker(paint), bend, bend + (0.6 + 2j) * along, 1.3)]


def _giraffe_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    root, tip = back + (-3.4 + 1.4j) * along, back + (-5.6 - 5.4j) * along
    return [capsule(paint, root, tip, 1.5), disc("#5a3216", tip, 1.6)]


# -- marks on the body -------------------------------------------------------------------------------------------------


def _patch(paint: str) -> str:
    return "#2b2b31" if paint == COLORS["white"] else "#f4f1ea"


def _cow_marks(paint: str, back: Complex, chest: Complex, along: Complex) -> list[Shape]:
    return [
        disc("#f5a3b5", back + (1.2 - 5j) * along, 2.4),
        ellipse(_patch(paint), back + (1.5 + 1.2j) * along, 3.2, 2.4, along),
        ellipse(_patch(paint), chest + (-3.4 - 1.2j) * along, 2.6, 2.2, along),
    ]


def _sheep_marks(paint: str, back: Complex, chest: Complex, along: Complex) -> list[Shape]:
    """Wool: a ring of curls."""
    curls = [(x + 1j * y) * along for x, y in ((-3.6, 0.6), (-2.6, 3.4), (1.2, 4.6), (5, 4.8), (8.6, 3.6), (9.8, 0.8))]
    low = [(x - 3.4j) * along for x in (-1.6, 2.2, 6.0, 8.8)]
    wool = [disc(paint, back + curl, 2.5) for curl in (*curls, *low)]
    return [*wool, *(disc(darker(paint, 0.88), back + x * along, 1.5) for x in (0.6 + 1.2j, 4.6 + 2j, 7.4 - 0.8j))]


def _giraffe_marks(paint: str, back: Complex, chest: Complex, along: Complex) -> list[Shape]:
    spots = (back + (-1.6 + 1j) * along, back + (1.8 - 1.4j) * along, back + (3.6 + 2j) * along, chest - 1.6j * along)
    return [disc(_spot(paint), spot, 1.6) for spot in spots]


def _spot(paint: str) -> str:
    return "#8a4a1c" if paint != COLORS["brown"] else "#e9c48d"


# -- heads -------------------------------------------------------------------------------------------------------------


def _mane(paint: str) -> str:
    return "#2a1a12" if paint != COLORS["black"] else "#6a6a74"


def _dog_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + 3.4 * along + 6j
    ear = darker(paint, 0.6) if paint != COLORS["black"] else "#5a5a66"
    return [
        capsule(paint, chest + 1.0 * along, head, 5.5),
        disc(paint, head, 3.9),
        capsule(paint, head + 1.5 - 1j, head + 5.2 - 1.4j, 3.8, 3.2),
        disc(EYE if paint != COLORS["black"] else "#f0a0a0", head + 6.4 - 0.8j, 1.2),
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
        disc("#8df03c" if paint != COLORS["orange"] else EYE, head - 0.7 + 0.8j, 0.9),
        disc("#8df03c" if paint != COLORS["orange"] else EYE, head + 2.4 + 0.8j, 0.9),
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
    return [disc("#ffffff" if paint in (COLORS["black"], COLORS["brown"]) else EYE, at, 0.9)]


def _rabbit_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (2.6 + 3.8j) * along
    inner = "#f7a8bc"
    shapes = []
    for root, tip, color in ((-1.0 + 2.4j, -4.2 + 9.4j, darker(paint, 0.8)), (0.6 + 2.4j, -0.4 + 10.4j, paint)):
        shapes.append(capsule(color, head + root, head + tip, 2.8, 2.4))
    shapes.append(capsule(inner, head + 0.5 + 4j, head - 0.3 + 9.4j, 1.1))
    return [
        *shapes, disc(paint, head, 3.5), disc("#ffffff" if paint != COLORS["white"] else "#e6e2ea", head + 2 - 1.6j, 1.5),
        disc("#e8718f", head + 3.4 - 0.4j, 0.9), *_eye(paint, head + 1.2 + 0.9j),
    ]  # fmt: skip


def _cow_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (5.2 + 4.6j) * along
    muzzle = head + 3.6 - 2.8j
    return [
        capsule(paint, chest + 1.6j * along, head, 7.0, 5.0),
        capsule("#efe6d2", head - 0.6 + 2.6j, head - 1.4 + 6j, 1.7, 1.0),
        capsule("#efe6d2", head + 2.0 + 2.4j, head + 3.4 + 5.6j, 1.7, 1.0),
        capsule(darker(paint, 0.8), head - 2.4 + 1.6j, head - 5 + 0.8j, 2.4, 1.8),
        capsule(paint, head, muzzle, 6.0, 4.8),
        ellipse("#f5a3b5", muzzle + 0.6 - 0.6j, 2.7, 2.3, along),
        disc("#b8566c", muzzle + 1.8 - 0.2j, 0.7),
        *_eye(paint, head + 1.2 + 1.2j),
    ]


def _bear_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (4.6 + 4.8j) * along
    pale = "#d8a873" if paint == COLORS["brown"] else "#8a8a94" if paint == COLORS["black"] else "#d9d5cc"
    return [
        disc(darker(paint, 0.8) if paint != COLORS["black"] else "#4a4a52", head - 3.6 + 4.2j, 2.3),
        disc(paint, head + 2.6 + 4.8j, 2.3),
        disc(pale, head + 2.6 + 4.8j, 1.1),
        disc(paint, head, 5.6),
        ellipse(pale, head + 4.2 - 1.6j, 3.0, 2.5, along),
        disc(EYE, head + 6.2 - 0.6j, 1.3),
        *_eye(paint, head + 2.4 + 1.8j),
    ]


def _sheep_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (4.8 + 3.4j) * along
    face = "#3a3230"
    return [
        capsule(face, head, head + 2.2 - 2.8j, 5.0, 3.8),
        capsule(face, head - 1.6 + 0.8j, head - 4.2 - 0.6j, 2.0, 1.6),
        disc(paint, head - 0.6 + 2.6j, 2.4),
        disc("#ffffff", head + 1.4 + 0.2j, 0.9),
    ]


def _pig_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (3.8 + 1.4j) * along
    snout = "#ff9fbf" if paint != COLORS["pink"] else "#d94f8a"
    return [
        disc(paint, head, 4.4),
        polygon(darker(paint, 0.8), head - 3.4 + 2.4j, head - 2.2 + 6.2j, head + 0.2 + 3.8j),
        polygon(darker(paint, 0.8), head + 0.6 + 3.8j, head + 2.6 + 6.2j, head + 3.2 + 2.4j),
        capsule(snout, head + 3.6 - 1.2j, head + 5.2 - 1.2j, 4.2, 4.0),
        disc(EYE, head + 6 - 1.0j, 0.7),
        *_eye(paint, head + 1.8 + 1.4j),
    ]


def _giraffe_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    root, poll = chest + (0.6 + 1j) * along, chest + (4.2 + 15.6j) * along
    muzzle = poll + 4.4 - 2j
    neck = [root + share * (poll - root) for share in (0.26, 0.52, 0.78)]
    return [
        capsule(paint, root, poll, 5.4, 3.8),
        *(disc(_spot(paint), spot, 1.3) for spot in neck),
        capsule("#5a3216", poll - 0.8 + 1.4j, poll - 1.4 + 4.4j, 1.2),
        disc("#5a3216", poll - 1.4 + 4.6j, 1.1),
        polygon(darker(paint, 0.8), poll - 1.4 + 1.2j, poll - 4.8 + 1.6j, poll - 1.6 - 0.8j),
        capsule(paint, poll, muzzle, 4.2, 3.2),
        disc(darker(paint, 0.7), muzzle + 0.6 - 0.2j, 1.3),
        *_eye(paint, poll + 1.2 + 0.6j),
    ]


_Part = Callable[[str, Complex, Complex], list[Shape]]
_HEADS: dict[str, _Part] = {
    "dog": _dog_head,
    "cat": _cat_head,
    "horse": _horse_head,
    "elephant": _elephant_head,
    "rabbit": _rabbit_head,
    "cow": _cow_head,
    "bear": _bear_head,
    "sheep": _sheep_head,
    "pig": _pig_head,
    "giraffe": _giraffe_head,
}
_TAILS: dict[str, _Part] = {
    "dog": _dog_tail,
    "cat": _cat_tail,
    "horse": _horse_tail,
    "elephant": _elephant_tail,
    "rabbit": _rabbit_tail,
    "cow": _cow_tail,
    "bear": _bear_tail,
    "sheep": _sheep_tail,
    "pig": _pig_tail,
    "giraffe": _giraffe_tail,
}
_MARKS: dict[str, Callable[[str, Complex, Complex, Complex], list[Shape]]] = {
    "cow": _cow_marks,
    "sheep": _sheep_marks,
    "giraffe": _giraffe_marks,
}
