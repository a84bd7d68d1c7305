"""Drawing props: shapes around the origin, ground at y = 0, moved to their place by the renderer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, disc, polygon

_WOOD, _DARK_WOOD = "#c98a4b", "#8a5527"


def _slab(color: str, at: Complex, x0: float, y0: float, x1: float, y1: float) -> Shape:
    return polygon(color, *(at + corner for corner in (x0 + 1j * y0, x1 + 1j * y0, x1 + 1j * y1, x0 + 1j * y1)))


def _box(at: Complex) -> list[Shape]:
    return [
        _slab("#a9652a", at, -6.5, 0, 6.5, 12),
        _slab("#d9964f", at, -5.2, 1.3, 5.2, 10.7),
        _slab("#f3e0b0", at, -1.3, 0, 1.3, 12),
    ]


def _ball(at: Complex, turn: Real) -> list[Shape]:
    center = at + 4.6j
    tilt = np.exp(1j * turn)
    return [
        disc("#e0282e", center, 4.6),
        capsule("#ffffff", center - 3.1 * tilt, center + 3.1 * tilt, 2.6),
    ]


def _chair(at: Complex, turn: Real) -> list[Shape]:
    side = np.cos(turn)
    back = at + 5 * side
    return [
        capsule("#1d4fb0", back, back + 18j, 2.4),
        capsule("#1d4fb0", at - 4.6 * side + 1.2j, at - 4.6 * side + 7j, 2.4),
        capsule("#3f7be8", at - 5 * side + 6.5j, back + 6.5j, 2.8),
    ]


def _bench(at: Complex) -> list[Shape]:
    return [
        _slab(_DARK_WOOD, at, -8, 0, -5.6, 14),
        _slab(_DARK_WOOD, at, 5.6, 0, 8, 14),
        _slab(_WOOD, at, -10, 10.5, 10, 14.5),
        _slab(_WOOD, at, -10, 5, 10, 8),
    ]


def _tree(at: Complex) -> list[Shape]:
    return [
        _slab("#7a4a21", at, -2.6, 0, 2.6, 18),
        disc("#1e7a34", at - 5 + 23j, 7),
        disc("#1e7a34", at + 5 + 23j, 7),
        disc("#27943f", at + 30j, 8.5),
    ]


def _table(at: Complex) -> list[Shape]:
    return [
        _slab(_DARK_WOOD, at, -7.5, 0, -5, 11),
        _slab(_DARK_WOOD, at, 5, 0, 7.5, 11),
        _slab("#e9b872", at, -9.5, 10, 9.5, 13.5),
    ]


def _rock(at: Complex) -> list[Shape]:
    corners = (-7, -5.5 + 5.5j, -1.5 + 9.5j, 3.5 + 8j, 7 + 3j, 7)
    light = (-4 + 5j, -1.2 + 8j, 2.6 + 6.8j, 0 + 4.6j)
    return [polygon("#7c828f", *(at + c for c in corners)), polygon("#b9bfca", *(at + c for c in light))]


def _wagon(at: Complex, turn: Real) -> list[Shape]:
    spoke = 1.9 * np.exp(1j * turn)
    shapes = [_slab("#7d2fb8", at, -9, 4.5, 9, 11.5), _slab("#b06be0", at, -9, 9.5, 9, 11.5)]
    for wheel in (at - 5 + 3.4j, at + 5 + 3.4j):
        shapes += [disc("#26262c", wheel, 3.4), capsule("#e8e8ee", wheel - spoke, wheel + spoke, 1.3)]
    return shapes


_STILL: dict[str, Callable[[Complex], list[Shape]]] = {
    "box": _box,
    "bench": _bench,
    "tree": _tree,
    "table": _table,
    "rock": _rock,
}
_TURNING: dict[str, Callable[[Complex, Real], list[Shape]]] = {"ball": _ball, "chair": _chair, "wagon": _wagon}


def draw_prop(kind: str, at: Complex, turn: Real) -> list[Shape]:
    """Shapes of a prop whose foot is at ``at`` ``(f,)``; ``turn`` ``(f,)`` rolls balls and wheels; pi flips a chair."""
    return _STILL[kind](at) if kind in _STILL else _TURNING[kind](at, turn)
