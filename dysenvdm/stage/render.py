"""From a script to pixels and boxes. Shapes are rounded to a fixed grid before the drawing library sees them.

Letters: ``f`` frames, ``k`` corners of a polygon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import aggdraw
import numpy as np
from numpy.typing import NDArray

from dysenvdm.stage.actors import draw_actor
from dysenvdm.stage.motion import actor_track, prop_track
from dysenvdm.stage.props import draw_prop
from dysenvdm.stage.script import Script
from dysenvdm.stage.settings import GROUND
from dysenvdm.stage.shapes import Shape
from dysenvdm.stage.weather import background, drifting, falling

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
    """A prop or actor over time: a colour per polygon, all corners ``(f, 2k)`` as x, y, x, y…, where polygons end.

    ``held`` ``(f,)`` are the frames in which it is before all that is not; None for none.
    """

    id: str
    colors: tuple[str, ...]
    corners: NDArray[np.float64]
    ends: tuple[int, ...]
    held: NDArray[np.bool_] | None = None

    def before(self, frame: int) -> bool:
        return self.held is not None and bool(self.held[frame])


def figures(script: Script, frames: int, size: int) -> Iterator[Figure]:
    """All props and actors from back to front, corners in pixels of a ``size``-pixel picture, y downwards."""
    for prop in script.props:
        prop_path = prop_track(script, prop, frames)
        foot = prop_path.x + 1j * prop_path.lift
        shapes = draw_prop(prop.kind, foot, prop_path.turn, prop.color, prop.scale)
        yield replace(_figure(prop.id, shapes, size), held=prop_path.held)
    for role in sorted(script.roles, key=lambda role: _BEHIND.index(role.kind)):
        path = actor_track(script, role, frames)
        shapes = draw_actor(role.kind, role.garment, role.color, path.pose, role.scale)
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


@lru_cache(maxsize=1024)
def _brush(color: str) -> aggdraw.Brush:
    """Of "#rrggbb", or "#rrggbbaa" where one sees through it."""
    return aggdraw.Brush(color[:7], int(color[7:], 16)) if color[7:] else aggdraw.Brush(color)


@lru_cache(maxsize=256)
def _background(setting: str, weather: str, size: int) -> bytes:
    canvas = aggdraw.Draw("RGB", (size, size))
    _paint(canvas, _figure(setting, background(setting, weather), size), 0)
    pixels: bytes = canvas.tobytes()
    return pixels


@lru_cache(maxsize=64)
def _weather(weather: str, beats: int, frames: int, size: int) -> tuple[Figure | None, Figure | None]:
    """What moves in the air behind everybody and before everybody."""
    time = beats * np.arange(frames) / frames
    layers = (drifting(weather, time), falling(weather, time))
    behind, before = (_figure(weather, shapes, size) if shapes else None for shapes in layers)
    return behind, before


def _paint(canvas: aggdraw.Draw, figure: Figure, frame: int) -> None:
    row = figure.corners[frame].tolist()
    begin = 0
    for color, end in zip(figure.colors, figure.ends, strict=True):
        canvas.polygon(row[begin:end], _brush(color))
        begin = end


def render(script: Script, frames: int, size: int) -> NDArray[np.uint8]:
    """Draw the clip: ``(f, size, size, 3)`` RGB, writable."""
    canvas = aggdraw.Draw("RGB", (size, size))
    backdrop = _background(script.setting, script.weather, size)
    behind, before = _weather(script.weather, script.beats, frames, size)
    cast = list(figures(script, frames, size))
    pictures = []
    for frame in range(frames):
        canvas.frombytes(backdrop)
        nearer = [figure for figure in cast if figure.before(frame)]
        farther = [figure for figure in cast if not figure.before(frame)]
        for figure in (behind, *farther, *nearer, before):
            if figure is not None:
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
