"""Weathers and times of day: how they tint a background, what hangs in the sky, and what falls or drifts.

Nothing here is drawn by lot: drops and flakes lie on a low-discrepancy sequence and move with the clip's time.
Letters: ``f`` frames.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dysenvdm.stage.settings import BACKGROUNDS, GROUND, LIT, SUNS
from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, ellipse, polygon, rectangle, still, still_disc

_WIDTH, _HEIGHT = 64.0, 76.0
"""What falls is seen anew at the top after so many pixels: beyond both edges of the picture."""
_STEPS = (0.7548776662466927, 0.5698402909980532)
"""Of the R2 sequence (Roberts 2018), which spreads any number of points evenly over a square."""
_Tone = Callable[[str], str]


def _mixed(color: str, other: str, share: float) -> str:
    """``share`` of the other colour in the first."""
    pairs = [(int(color[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


def _night(color: str) -> str:
    if color == LIT:
        return color
    parts = (round(int(color[i : i + 2], 16) * dim) for i, dim in ((1, 0.34), (3, 0.38), (5, 0.58)))
    return "#" + "".join(f"{part:02x}" for part in parts)


_TONES: dict[str, _Tone] = {
    "rain": lambda color: _mixed(color, "#5c6675", 0.42),
    "snow": lambda color: _mixed(color, "#eef2f8", 0.5),
    "fog": lambda color: _mixed(color, "#a4acb3", 0.6),
    "night": _night,
    "sunset": lambda color: _mixed(color, "#b4442f", 0.36),
}
_WALLED = frozenset({"street"})
"""Settings in which one sees a wall and no sky."""
_SKIES = {"rain": "#7d8896", "snow": "#b4bfd0", "fog": "#b0b8be", "night": "#131a40", "sunset": "#ef8a4e"}


def _clouds(color: str) -> list[Shape]:
    spots = ((6, 53, 8), (18, 55, 9), (33, 53, 8), (47, 55, 9), (60, 53, 8))
    return [still_disc(color, x + 1j * y, r) for x, y, r in spots]


def _heaven(weather: str) -> list[Shape]:
    """What hangs in the sky behind everything else."""
    if weather == "rain":
        return _clouds("#5d6774")
    if weather == "snow":
        return _clouds("#d5dce8")
    if weather == "sunset":
        return [
            rectangle("#f9b25e", 0, 22, 64, 36),
            rectangle("#d8607a", 0, 50, 64, GROUND),
            still_disc("#fff0a0", 32 + 27j, 9),
        ]
    if weather == "night":
        places = ((5, 52), (14, 43), (22, 54), (31, 47), (38, 39), (46, 54), (60, 36), (27, 36), (6, 34))
        stars = [
            still("#fdf6cf", x - 1 + 1j * y, x + 1j * (y + 1), x + 1 + 1j * y, x + 1j * (y - 1)) for x, y in places
        ]
        return [*stars, still_disc("#fdf3c0", 53 + 47j, 5.5), still_disc(_SKIES["night"], 50.6 + 48.6j, 4.6)]
    return []


def background(setting: str, weather: str) -> list[Shape]:
    """The still shapes of a setting, from back to front."""
    shapes = BACKGROUNDS[setting]()
    if not weather:
        return [*shapes, SUNS[setting]] if setting in SUNS else shapes
    tone = _TONES[weather]
    if setting in _WALLED:
        return [Shape(tone(shape.color), shape.points) for shape in shapes]
    sky, *others = shapes
    toned = [Shape(tone(shape.color), shape.points) for shape in others]
    return [Shape(_SKIES[weather], sky.points), *_heaven(weather), *toned]


def drifting(weather: str, time: Real) -> list[Shape]:
    """What moves behind everybody at each ``time`` ``(f,)`` in beats; colours may be see-through, "#rrggbbaa"."""
    if weather != "fog":
        return []
    level = np.ones(len(time), np.complex128)
    banks = (
        (2.0, 1.6, 26.0, 3.5, 4.0), (11.0, -1.3, 24.0, 3.0, 34.0), (19.0, 1.0, 28.0, 3.5, 84.0),
        (28.0, -0.8, 24.0, 4.0, 60.0), (39.0, 0.9, 30.0, 4.0, 20.0),
    )  # fmt: skip
    shapes = []
    for height, speed, a, b, start in banks:
        span = _WIDTH + 2 * a
        x = (start + speed * time) % span - a
        shapes.append(ellipse("#eef1f480", x + 1j * height, a, b, level))
    return shapes


def falling(weather: str, time: Real) -> list[Shape]:
    """What falls before everybody at each ``time`` ``(f,)`` in beats."""
    if weather == "rain":
        return [_drop(*_fallen(i, time, 9.0)) for i in range(26)]
    if weather == "snow":
        return [_flake(i, *_fallen(i, time, 2.6), time) for i in range(34)]
    return []


def _fallen(i: int, time: Real, speed: float) -> tuple[float, Real]:
    """Where the ``i``-th thing is: x where it starts, and its height over time ``(f,)``."""
    x, start = (i + 1) * _STEPS[0] % 1 * _WIDTH, (i + 1) * _STEPS[1] % 1 * _HEIGHT
    pace = speed * (1 + 0.2 * (i % 3))
    return x, GROUND + 6 - (start + pace * time) % _HEIGHT


def _drop(x: float, height: Real) -> Shape:
    top: Complex = x + 0.12 * height + 1j * height
    return capsule("#d9ecff", top, top - 0.7 - 4.6j, 0.9)


def _flake(i: int, x: float, height: Real, time: Real) -> Shape:
    center = x + 1.8 * np.sin(0.7 * time + i) + 1j * height
    r = 0.9 + 0.25 * (i % 3)
    return polygon("#ffffff", *(center + r * np.exp(1j * a) for a in np.arange(6) * (np.pi / 3)))
