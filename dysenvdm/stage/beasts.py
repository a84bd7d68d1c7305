"""Drawing four-legged animals: far legs, tail, body and its marks, near legs, neck and head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dysenvdm.stage.beast_heads import HEADS, mane, spot
from dysenvdm.stage.figure import channel, darker, draw_limb, limb, moved
from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, disc, ellipse
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
    "cow": _Beast(13.5, 10, 8.2, 3.0, 2.0),
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
    return shapes + HEADS[kind](paint, chest, along), build.leg + build.girth / 2


# -- tails: from the back, ``along`` the body's direction --------------------------------------------------------------


def _dog_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [capsule(paint, back + (-2.5 + 1.5j) * along, back + (-6 + 7j) * along, 2.6, 1.8)]


def _cat_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    root, bend = back + (-1.5 + 1j) * along, back + (-6.5 + 4.5j) * along
    return [capsule(paint, root, bend, 2.2), capsule(paint, bend, bend + (0.5 + 7j) * along, 2.2)]


def _horse_tail(paint: str, back: Complex, along: Complex) -> list[Shape]:
    return [capsule(mane(paint), back + (-3.6 + 2j) * along, back + (-7 - 6j) * along, 2.6, 3.6)]


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
        ellipse(_patch(paint), back + (1.2 + 1.4j) * along, 4.2, 3.0, along),
        ellipse(_patch(paint), chest + (-2.8 - 0.8j) * along, 3.2, 3.0, along),
    ]


def _sheep_marks(paint: str, back: Complex, _chest: Complex, along: Complex) -> list[Shape]:
    """Wool: a ring of curls."""
    curls = [(x + 1j * y) * along for x, y in ((-3.6, 0.6), (-2.6, 3.4), (1.2, 4.6), (5, 4.8), (8.6, 3.6), (9.8, 0.8))]
    low = [(x - 3.4j) * along for x in (-1.6, 2.2, 6.0, 8.8)]
    wool = [disc(paint, back + curl, 2.5) for curl in (*curls, *low)]
    return [*wool, *(disc(darker(paint, 0.88), back + x * along, 1.5) for x in (0.6 + 1.2j, 4.6 + 2j, 7.4 - 0.8j))]


def _giraffe_marks(paint: str, back: Complex, chest: Complex, along: Complex) -> list[Shape]:
    places = (back + (-1.6 + 1j) * along, back + (1.8 - 1.4j) * along, back + (3.6 + 2j) * along, chest - 1.6j * along)
    return [disc(spot(paint), place, 1.6) for place in places]


_Part = Callable[[str, Complex, Complex], list[Shape]]
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
