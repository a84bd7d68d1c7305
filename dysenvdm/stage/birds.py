"""Drawing birds: legs, tail, body, head and bill, wing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dysenvdm.stage.figure import EYE, channel, darker, draw_limb, drop, limb, moved
from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, disc, ellipse, polygon
from dysenvdm.stage.world import COLORS

_ORANGE, _STRAW = "#ef6c14", "#e8a21c"


def _legs(color: str, pose: Real, place: float, length: float, thick: float) -> tuple[list[Shape], Complex]:
    """Far and near leg with feet, around x = ``place``, and the hip above the ground ``(f,)``."""
    zero = np.zeros(len(pose), np.complex128)
    legs = [limb(zero + x + place, pose, f"leg{i}", f"shin{i}", length) for i, x in ((1, 0.6), (2, -0.6))]
    hip = 1j * (np.maximum(drop(legs[0]), drop(legs[1])) + 0.6)
    shapes = []
    for i in (1, 0):
        a, b, c = moved(legs[i], hip)
        shapes += [*draw_limb(color, (a + 1j, b, c), thick), capsule(color, c, c + (2.4 + 0j), thick)]
    return shapes, hip


def _duck(paint: str, pose: Real) -> tuple[list[Shape], float]:
    shapes, hip = _legs(_ORANGE, pose, -1.5, 4.6, 1.9)
    body = hip + (4.2j - 1.5)
    tilt = np.exp(1j * channel(pose, "lean"))
    head = body + 6.0 + 7.2j
    swept = np.exp(-1j * channel(pose, "arm1"))
    wing = body - 0.2 + 1.6j - 3.2 * swept
    shapes += [
        polygon(paint, body - 4 + 3.8j, body - 11 + 5.6j, body - 5 - 1.5j),
        ellipse(paint, body, 8.2, 5.2, tilt),
        capsule(paint, body + 5 + 1j, head, 4.6),
        disc(paint, head, 3.9),
        polygon(_ORANGE, head + 2.8 + 1.6j, head + 8 - 0.6j, head + 2.8 - 2j),
        disc(EYE, head + 1.3 + 1.1j, 0.95),
        ellipse(darker(paint, 0.8), wing, 5.0, 3.0, swept),
    ]
    return shapes, 7.0


def _chicken(paint: str, pose: Real) -> tuple[list[Shape], float]:
    shapes, hip = _legs(_STRAW, pose, 0.0, 5.0, 1.6)
    body = hip + 4.0j
    tilt = np.exp(1j * channel(pose, "lean"))
    head = body + 4.4 + 7.6j
    swept = np.exp(-1j * channel(pose, "arm1"))
    wing = body + 0.6 + 1.2j - 2.6 * swept
    tail, red = darker(paint, 0.72), "#e0282e"
    shapes += [
        polygon(tail, body - 3 - 1j, body - 9.4 + 6.4j, body - 7 + 9.4j, body - 4 + 8.6j, body - 1 + 3.4j),
        ellipse(paint, body, 6.4, 5.0, tilt),
        capsule(paint, body + 2.8 + 1.4j, head, 6.0, 4.2),
        disc(red, head - 1.6 + 3.2j, 1.5),
        disc(red, head + 0.4 + 3.8j, 1.7),
        disc(paint, head, 3.0),
        disc(red, head + 2.4 - 3j, 1.4),
        polygon(_STRAW, head + 2.2 + 1.2j, head + 5.6 - 0.4j, head + 2.2 - 1.4j),
        disc(EYE, head + 1.0 + 0.8j, 0.9),
        ellipse(darker(paint, 0.84), wing, 4.0, 2.5, swept),
    ]
    return shapes, 7.0


def _penguin(paint: str, pose: Real) -> tuple[list[Shape], float]:
    shapes, hip = _legs(_ORANGE, pose, -0.8, 2.6, 2.2)
    body = hip + 7.0j
    upright = 1j * np.exp(1j * channel(pose, "lean"))
    head = body + 0.8 + 8.6j
    swept = np.exp(-1j * channel(pose, "arm1"))
    shoulder = body - 0.6 + 3.6j
    shapes += [
        polygon(paint, body - 3 - 4j, body - 7 - 8j, body - 1 - 6.6j),
        ellipse(paint, body, 8.0, 5.4, upright),
        ellipse("#ffffff", body + 2.0 - 0.8j, 6.4, 3.6, upright),
        disc(paint, head, 4.0),
        disc("#ffffff", head + 1.6 - 0.8j, 2.0),
        polygon(_ORANGE, head + 3.0 + 0.8j, head + 7.0 - 0.8j, head + 2.8 - 1.6j),
        disc(EYE if paint != COLORS["black"] else "#15151a", head + 1.6 + 0.2j, 0.9),
        capsule(darker(paint, 0.8) if paint != COLORS["black"] else "#4a4a55",
                shoulder, shoulder - 7.0 * swept * np.exp(0.85j), 3.4, 2.0),
    ]  # fmt: skip
    return shapes, 9.0


BIRDS: dict[str, Callable[[str, Real], tuple[list[Shape], float]]] = {
    "duck": _duck,
    "chicken": _chicken,
    "penguin": _penguin,
}
"""Shapes of a bird whose feet are on y = 0, from back to front, and the height of its middle, by its kind."""
