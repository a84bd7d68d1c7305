"""The five backgrounds: two or three flat regions and at most two landmarks each."""

from __future__ import annotations

from collections.abc import Callable

from dysenvdm.stage.shapes import Shape, rectangle, still, still_disc

GROUND = 57.0
"""The line on which everybody stands, in pixels from the top of a 64-pixel picture."""
HORIZON = 12.0
"""Where the ground ends, in pixels above :data:`GROUND`."""

_TOP, _BOTTOM = GROUND, GROUND - 64


def _regions(sky: str, ground: str, horizon: float = HORIZON) -> list[Shape]:
    return [rectangle(sky, 0, horizon, 64, _TOP), rectangle(ground, 0, _BOTTOM, 64, horizon)]


def _park() -> list[Shape]:
    return [*_regions("#8fd3f7", "#63bf4e"), still_disc("#ffdf4a", 9 + 48j, 5.5)]


def _beach() -> list[Shape]:
    sea, sun = rectangle("#1f97c9", 0, 9, 64, 22), still_disc("#ff9d3b", 54 + 47j, 5.5)
    return [*_regions("#bdeaf5", "#f3dc9f", 9), sea, sun]


def _street() -> list[Shape]:
    shapes = [*_regions("#d8b4a0", "#555a6b", 10), rectangle("#b9bcc4", 0, 7, 64, 12)]
    for x in (5, 27, 49):
        shapes += [rectangle("#fff3c4", x, 36, x + 10, 50)]
    return shapes


def _room() -> list[Shape]:
    return [
        *_regions("#f8e8c8", "#b06f45", 9),
        rectangle("#ffffff", 39, 32, 59, 53),
        rectangle("#7cc4ee", 41, 34, 48, 51),
        rectangle("#7cc4ee", 50, 34, 57, 51),
    ]


def _snow_field() -> list[Shape]:
    return [
        *_regions("#a9b8e8", "#eef3fb"),
        still("#7f8fc9", -6 + HORIZON * 1j, 18 + 46j, 42 + HORIZON * 1j),
        still("#eef3fb", 10 + 35j, 18 + 46j, 26 + 35j, 21 + 33j, 18 + 36j, 14 + 33j),
    ]


BACKGROUNDS: dict[str, Callable[[], list[Shape]]] = {
    "park": _park,
    "beach": _beach,
    "street": _street,
    "room": _room,
    "snow field": _snow_field,
}
