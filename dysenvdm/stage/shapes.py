"""Flat shapes as polygons over time, in complex numbers: ``x + iy`` with y upwards, in pixels of a 64-pixel picture.

Letters: ``f`` frames, ``k`` a polygon's corners. A point over time is a complex array ``(f,)``, a polygon ``(f, k)``.
Curves are polygons of our own, so that no picture depends on how a drawing library flattens them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complexfloating[Any, Any]]
Real = NDArray[np.floating[Any]]

_CIRCLE: Complex = np.exp(1j * np.arange(14) * (2 * np.pi / 14))
_HALF: Complex = np.exp(1j * np.linspace(np.pi / 2, 3 * np.pi / 2, 6))


@dataclass(frozen=True)
class Shape:
    """One filled polygon: ``color`` as "#rrggbb" and ``points`` complex ``(f, k)``."""

    color: str
    points: Complex


def direction(angle: Real) -> Complex:
    """Unit vectors ``(f,)``: straight down at angle 0, swinging forward (to +x) with growing angle, radians."""
    hanging: Complex = -1j * np.exp(1j * angle)
    return hanging


def disc(color: str, center: Complex, radius: float) -> Shape:
    """A circle around ``center`` ``(f,)``."""
    return Shape(color, center[:, None] + radius * _CIRCLE)


def ellipse(color: str, center: Complex, a: float, b: float, tilt: Complex) -> Shape:
    """An ellipse with half axes ``a`` along the unit vectors ``tilt`` ``(f,)`` and ``b`` across."""
    return Shape(color, center[:, None] + tilt[:, None] * (a * _CIRCLE.real + 1j * b * _CIRCLE.imag))


def capsule(color: str, p: Complex, q: Complex, width_p: float, width_q: float | None = None) -> Shape:
    """A thick line with round ends from ``p`` to ``q``, both ``(f,)``; it may taper from one width to the other."""
    along = q - p
    length = np.abs(along)
    unit = np.where(length > 1e-6, along / np.maximum(length, 1e-6), 1.0)[:, None]
    radius_p, radius_q = width_p / 2, (width_p if width_q is None else width_q) / 2
    return Shape(color, np.concatenate([p[:, None] + unit * _HALF * radius_p, q[:, None] - unit * _HALF * radius_q], 1))


def polygon(color: str, *corners: Complex) -> Shape:
    """A polygon through corner points, each ``(f,)``."""
    return Shape(color, np.stack(np.broadcast_arrays(*corners), 1))


def rectangle(color: str, x0: float, y0: float, x1: float, y1: float) -> Shape:
    """A still rectangle, one frame."""
    return Shape(color, np.array([[x0 + 1j * y0, x1 + 1j * y0, x1 + 1j * y1, x0 + 1j * y1]]))


def still(color: str, *corners: complex) -> Shape:
    """A still polygon, one frame."""
    return Shape(color, np.array([corners], dtype=np.complex128))


def still_disc(color: str, center: complex, radius: float) -> Shape:
    """A still circle, one frame."""
    return disc(color, np.array([center], dtype=np.complex128), radius)
