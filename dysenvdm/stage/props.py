"""Drawing props: shapes around the origin, ground at y = 0, moved to their place by the renderer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dysenvdm.stage.figure import darker
from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, disc, ellipse, polygon
from dysenvdm.stage.world import COLORS, PROPS

_WOOD, _DARK_WOOD = "#c98a4b", "#8a5527"
_INK, _STEEL = "#26262c", "#c3c8d2"


def _slab(color: str, at: Complex, x0: float, y0: float, x1: float, y1: float) -> Shape:
    return polygon(color, *(at + corner for corner in (x0 + 1j * y0, x1 + 1j * y0, x1 + 1j * y1, x0 + 1j * y1)))


def _box(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    edge, face = ("#a9652a", "#d9964f") if paint == COLORS["brown"] else (darker(paint, 0.7), paint)
    return [
        _slab(edge, at, -6.5, 0, 6.5, 12),
        _slab(face, at, -5.2, 1.3, 5.2, 10.7),
        _slab("#f3e0b0", at, -1.3, 0, 1.3, 12),
    ]


def _ball(at: Complex, turn: Real, paint: str) -> list[Shape]:
    center = at + 4.6j
    tilt = np.exp(1j * turn)
    return [
        disc(paint, center, 4.6),
        capsule("#ffffff", center - 3.1 * tilt, center + 3.1 * tilt, 2.6),
    ]


def _chair(at: Complex, turn: Real, paint: str) -> list[Shape]:
    side = np.cos(turn)
    back = at + 5 * side
    frame, seat = ("#1d4fb0", "#3f7be8") if paint == COLORS["blue"] else (darker(paint, 0.78), paint)
    return [
        capsule(frame, back, back + 18j, 2.4),
        capsule(frame, at - 4.6 * side + 1.2j, at - 4.6 * side + 7j, 2.4),
        capsule(seat, at - 5 * side + 6.5j, back + 6.5j, 2.8),
    ]


def _bench(at: Complex, _turn: Real, _paint: str) -> list[Shape]:
    return [
        _slab(_DARK_WOOD, at, -8, 0, -5.6, 14),
        _slab(_DARK_WOOD, at, 5.6, 0, 8, 14),
        _slab(_WOOD, at, -10, 10.5, 10, 14.5),
        _slab(_WOOD, at, -10, 5, 10, 8),
    ]


def _tree(at: Complex, _turn: Real, _paint: str) -> list[Shape]:
    return [
        _slab("#7a4a21", at, -2.6, 0, 2.6, 18),
        disc("#1e7a34", at - 5 + 23j, 7),
        disc("#1e7a34", at + 5 + 23j, 7),
        disc("#27943f", at + 30j, 8.5),
    ]


def _table(at: Complex, _turn: Real, _paint: str) -> list[Shape]:
    return [
        _slab(_DARK_WOOD, at, -7.5, 0, -5, 11),
        _slab(_DARK_WOOD, at, 5, 0, 7.5, 11),
        _slab("#e9b872", at, -9.5, 10, 9.5, 13.5),
    ]


def _rock(at: Complex, _turn: Real, _paint: str) -> list[Shape]:
    corners = (-7, -5.5 + 5.5j, -1.5 + 9.5j, 3.5 + 8j, 7 + 3j, 7)
    light = (-4 + 5j, -1.2 + 8j, 2.6 + 6.8j, 0 + 4.6j)
    return [polygon("#7c828f", *(at + c for c in corners)), polygon("#b9bfca", *(at + c for c in light))]


def _wagon(at: Complex, turn: Real, paint: str) -> list[Shape]:
    spoke = 1.9 * np.exp(1j * turn)
    side, rim = (paint, "#b06be0") if paint == COLORS["purple"] else (darker(paint, 0.8), paint)
    shapes = [_slab(side, at, -9, 4.5, 9, 11.5), _slab(rim, at, -9, 9.5, 9, 11.5)]
    for wheel in (at - 5 + 3.4j, at + 5 + 3.4j):
        shapes += [disc("#26262c", wheel, 3.4), capsule("#e8e8ee", wheel - spoke, wheel + spoke, 1.3)]
    return shapes


def _arch(color: str, at: Complex, half: float, low: float, high: float, width: float) -> list[Shape]:
    """A handle: up, across and down."""
    left, right = at - half + 1j * low, at + half + 1j * low
    top_left, top_right = at - 0.6 * half + 1j * high, at + 0.6 * half + 1j * high
    pairs = ((left, top_left), (top_left, top_right), (top_right, right))
    return [capsule(color, a, b, width) for a, b in pairs]


def _suitcase(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    strap = "#f3e0b0" if paint != COLORS["yellow"] else "#84502a"
    return [
        *_arch(_INK, at, 2.4, 8.5, 11, 1.3),
        _slab(darker(paint, 0.72), at, -6.5, 0, 6.5, 9),
        _slab(paint, at, -5.5, 1, 5.5, 8),
        _slab(strap, at, -4.0, 0, -2.6, 9),
        _slab(strap, at, 2.6, 0, 4.0, 9),
    ]


def _umbrella(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    arc = [8.5 * np.exp(1j * a) + 12.5j for a in np.linspace(0, np.pi, 9)]
    middle = [3.0 * np.cos(a) + 8.5j * np.sin(a) + 12.5j for a in np.linspace(0, np.pi, 9)]
    return [
        capsule(_INK, at + 1.2j, at + 21.4j, 1.2),
        capsule(_INK, at + 0.8j, at + 2.2 + 0.8j, 1.3),
        polygon(paint, *(at + corner for corner in arc)),
        polygon(darker(paint, 0.72), *(at + corner for corner in middle)),
    ]


def _bucket(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    corners = (-3.2, 3.2, 4.8 + 8j, -4.8 + 8j)
    return [
        *_arch(_INK, at, 4.4, 8, 12.4, 1.1),
        polygon(paint, *(at + corner for corner in corners)),
        capsule(darker(paint, 0.7), at - 4.6 + 7.8j, at + 4.6 + 7.8j, 1.7),
    ]


def _basket(at: Complex, _turn: Real, _paint: str) -> list[Shape]:
    corners = (-5.0, 5.0, 7.0 + 6.5j, -7.0 + 6.5j)
    fruit = (("#e0282e", -3.4 + 7j), ("#12803c", 0.2 + 7.6j), ("#f7cf1d", 3.6 + 7j))
    return [
        *_arch(_DARK_WOOD, at, 5.8, 6, 13, 1.5),
        *(disc(color, at + place, 2.3) for color, place in fruit),
        polygon("#c08a45", *(at + corner for corner in corners)),
        capsule("#8f5f28", at - 5.2 + 2.2j, at + 5.2 + 2.2j, 1.1),
        capsule("#8f5f28", at - 6.0 + 5.0j, at + 6.0 + 5.0j, 1.4),
    ]


def _cake(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    cream = "#fff6e6" if paint != COLORS["white"] else "#f56fb0"
    return [
        capsule(_STEEL, at - 6 + 0.6j, at + 6 + 0.6j, 1.3),
        _slab(paint, at, -5.4, 1, 5.4, 6.4),
        _slab(cream, at, -5.4, 5.2, 5.4, 7),
        *(disc(cream, at + x + 5j, 1.2) for x in (-4, -1.3, 1.4, 4.1)),
        capsule("#5aa9e6", at + 7j, at + 9.6j, 1.3),
        disc("#ffae1a", at + 11j, 1.2),
    ]


def _flower(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    head, green = at + 10.4j, "#1e7a34"
    heart = "#f7cf1d" if paint != COLORS["yellow"] else "#84502a"
    return [
        capsule(green, at, head, 1.4),
        capsule(green, at + 2.4j, at + 3.4 + 5j, 1.8, 0.8),
        capsule(green, at + 3.4j, at - 3.2 + 5.6j, 1.8, 0.8),
        *(disc(paint, head + 2.6 * np.exp(1j * a), 1.9) for a in np.arange(5) * (2 * np.pi / 5) + np.pi / 2),
        disc(heart, head, 1.7),
    ]


def _hat(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    crown = (-3.8 + 1j, 3.8 + 1j, 3.2 + 6.6j, 0.6 + 7.2j, -0.8 + 6.4j, -3.2 + 6.8j)
    band = "#fafafa" if paint == COLORS["black"] else _INK
    return [
        polygon(paint, *(at + corner for corner in crown)),
        capsule(band, at - 3.4 + 2.2j, at + 3.4 + 2.2j, 1.6),
        capsule(darker(paint, 0.82) if paint != COLORS["black"] else paint, at - 6.2 + 1j, at + 6.2 + 1j, 2.0),
    ]


def _book(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    return [
        _slab(darker(paint, 0.66), at, -5, 0, -3.2, 10),
        _slab(paint, at, -3.2, 0, 4, 10),
        _slab("#fffaf0", at, 4, 0.6, 5.4, 9.4),
        _slab("#fffaf0", at, -1.6, 5.4, 2.6, 8),
    ]


def _balloon(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    up = np.full(len(at), 1j)
    return [
        capsule("#55555f", at, at + 9j, 0.8),
        polygon(darker(paint), at + 10j, at - 1.3 + 8.2j, at + 1.3 + 8.2j),
        ellipse(paint, at + 15j, 5.8, 4.8, up),
        ellipse("#ffffff", at - 1.8 + 17j, 1.5, 0.9, up),
    ]


def _bicycle(at: Complex, turn: Real, paint: str) -> list[Shape]:
    rear, front, saddle, bar = at - 6 + 4.6j, at + 6 + 4.6j, at - 2.6 + 11.6j, at + 4.4 + 12.6j
    crank = at - 0.6 + 5j
    spoke = 3.4 * np.exp(1j * turn)
    shapes = []
    for wheel in (rear, front):
        shapes += [disc(_INK, wheel, 4.6), disc("#dfe6ee", wheel, 3.4)]
        shapes += [capsule("#8a8f9c", wheel - way * spoke, wheel + way * spoke, 0.8) for way in (1, 1j)]
    bones = ((rear, crank), (rear, saddle), (crank, saddle), (crank, bar), (saddle, bar), (front, bar))
    shapes += [capsule(paint, a, b, 1.5) for a, b in bones]
    return [*shapes, capsule(_INK, saddle - 1.6, saddle + 1.4, 1.7), capsule(_INK, bar, bar + 1.8 + 1j, 1.5)]


def _fence(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    rail = darker(paint, 0.8)
    shapes = [_slab(rail, at, -9, 2.6, 9, 4.4), _slab(rail, at, -9, 7, 9, 8.8)]
    for x in (-7.6, -2.6, 2.4, 7.4):
        corners = (x - 1.5, x + 1.5, x + 1.5 + 9.6j, x + 12j, x - 1.5 + 9.6j)
        shapes.append(polygon(paint, *(at + corner for corner in corners)))
    return shapes


def _sofa(at: Complex, _turn: Real, paint: str) -> list[Shape]:
    shade = darker(paint, 0.72)
    return [
        capsule(shade, at - 7 + 11j, at + 7 + 11j, 6),
        _slab(shade, at, -10, 4, 10, 11),
        *(_slab(_DARK_WOOD, at, x, 0, x + 2, 2.5) for x in (-9, 7)),
        _slab(paint, at, -9, 2, 9, 7.6),
        capsule(paint, at - 9.4 + 3.6j, at - 9.4 + 8j, 3.6),
        capsule(paint, at + 9.4 + 3.6j, at + 9.4 + 8j, 3.6),
        _slab(shade, at, -0.4, 2.4, 0.4, 7.6),
    ]


def _lamp(at: Complex, _turn: Real, _paint: str) -> list[Shape]:
    shade = (-5.6 + 26j, 5.6 + 26j, 3 + 34j, -3 + 34j)
    return [
        capsule(_INK, at - 3.4 + 0.9j, at + 3.4 + 0.9j, 1.8),
        capsule("#5a5f6e", at + 1j, at + 27j, 1.7),
        disc("#fff7c2", at + 26j, 2.2),
        polygon("#ffd75e", *(at + corner for corner in shade)),
    ]


_DRAWN: dict[str, Callable[[Complex, Real, str], list[Shape]]] = {
    "box": _box,
    "ball": _ball,
    "chair": _chair,
    "bench": _bench,
    "tree": _tree,
    "table": _table,
    "rock": _rock,
    "wagon": _wagon,
    "suitcase": _suitcase,
    "umbrella": _umbrella,
    "bucket": _bucket,
    "basket": _basket,
    "cake": _cake,
    "flower": _flower,
    "hat": _hat,
    "book": _book,
    "balloon": _balloon,
    "bicycle": _bicycle,
    "fence": _fence,
    "sofa": _sofa,
    "lamp": _lamp,
}


def draw_prop(kind: str, at: Complex, turn: Real, color: str = "", scale: float = 1.0) -> list[Shape]:
    """Shapes of a prop whose foot is at ``at`` ``(f,)``, from back to front.

    ``turn`` ``(f,)`` rolls balls and wheels; pi flips a chair. Without ``color`` it has the first of its kind's.
    """
    colors = PROPS[kind].colors
    paint = COLORS[color or colors[0]] if colors else ""
    if scale == 1.0:
        return _DRAWN[kind](at, turn, paint)
    shapes = _DRAWN[kind](np.zeros_like(at), turn, paint)
    return [Shape(shape.color, scale * shape.points + at[:, None]) for shape in shapes]
