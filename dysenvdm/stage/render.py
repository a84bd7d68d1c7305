"""From a script to pixels and boxes. Shapes are rounded to a fixed grid before the drawing library sees them.

Letters: ``f`` frames, ``k`` corners of a polygon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import aggdraw
import numpy as np
from numpy.typing import NDArray

from dysenvdm.stage.actors import draw_actor
from dysenvdm.stage.motion import actor_track, prop_track
from dysenvdm.stage.props import draw_prop
from dysenvdm.stage.script import Script
from dysenvdm.stage.settings import BACKGROUNDS, GROUND
from dysenvdm.stage.shapes import Shape

_UNIT = 64
"""The picture's side in the world's own pixels."""
_GRID = 64
"""Corners lie on multiples of 1/64 pixel, so that rounding errors of machines never reach the picture."""
_BEHIND = (
    "giraffe", "horse", "elephant", "cow", "bear", "man", "grandfather", "woman", "grandmother", "boy", "girl",
    "toddler", "sheep", "pig", "dog", "cat", "penguin", "rabbit", "chicken", "duck",
)  # fmt: skip
"""Who stands behind whom, from back to front."""


@dataclass(frozen=True)
class Figure:
    """A prop or actor over time: a colour per polygon, all corners ``(f, 2k)`` as x, y, x, y…, where polygons end."""

    id: str
    colors: tuple[str, ...]
    corners: NDArray[np.float64]
    ends: tuple[int, ...]


def figures(script: Script, frames: int, size: int) -> Iterator[Figure]:
    """All props and actors from back to front, corners in pixels of a ``size``-pixel picture, y downwards."""
    for prop in script.props:
        prop_path = prop_track(script, prop, frames)
        shapes = draw_prop(prop.kind, prop_path.x + 1j * prop_path.lift, prop_path.turn)
        yield _figure(prop.id, shapes, size)
    for role in sorted(script.roles, key=lambda role: _BEHIND.index(role.kind)):
        path = actor_track(script, role, frames)
        shapes = draw_actor(role.kind, role.garment, role.color, path.pose)
        placed = [
            Shape(shape.color, path.facing[:, None] * shape.points.real + path.x[:, None] + 1j * shape.points.imag)
            for shape in shapes
        ]
        yield _figure(role.id, placed, size)


def _figure(ident: str, shapes: list[Shape], size: int) -> Figure:
    points = np.concatenate([shape.points for shape in shapes], 1)
    pairs = np.stack([points.real, GROUND - points.imag], -1).reshape(len(points), -1)
    corners = np.round(pairs * (size / _UNIT * _GRID)) / _GRID
    ends = np.cumsum([2 * shape.points.shape[1] for shape in shapes])
    return Figure(ident, tuple(shape.color for shape in shapes), corners, tuple(ends.tolist()))


@lru_cache(maxsize=512)
def _brush(color: str) -> aggdraw.Brush:
    return aggdraw.Brush(color)


@lru_cache(maxsize=64)
def _background(setting: str, size: int) -> bytes:
    canvas = aggdraw.Draw("RGB", (size, size))
    figure = _figure(setting, BACKGROUNDS[setting](), size)
    _paint(canvas, figure, 0)
    pixels: bytes = canvas.tobytes()
    return pixels


def _paint(canvas: aggdraw.Draw, figure: Figure, frame: int) -> None:
    row = figure.corners[frame].tolist()
    begin = 0
    for color, end in zip(figure.colors, figure.ends, strict=True):
        canvas.polygon(row[begin:end], _brush(color))
        begin = end


def render(script: Script, frames: int, size: int) -> NDArray[np.uint8]:
    """Draw the clip: ``(f, size, size, 3)`` RGB, writable."""
    canvas = aggdraw.Draw("RGB", (size, size))
    background = _background(script.setting, size)
    cast = list(figures(script, frames, size))
    pictures = []
    for frame in range(frames):
        canvas.frombytes(background)
        for figure in cast:
            _paint(canvas, figure, frame)
        pictures.append(canvas.tobytes())
    return np.frombuffer(bytearray().join(pictures), np.uint8).reshape(frames, size, size, 3)


def boxes(script: Script, frames: int) -> dict[str, NDArray[np.float32]]:
    """For every actor and prop ``(f, 4)``: x0, y0, x1, y1 in 0..1 of the picture, y downwards, cut at its edges."""
    found = {}
    for figure in figures(script, frames, _UNIT):
        x, y = figure.corners[:, 0::2], figure.corners[:, 1::2]
        edges = np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], 1) / _UNIT
        found[figure.id] = np.clip(edges, 0, 1).astype(np.float32)
    return found
