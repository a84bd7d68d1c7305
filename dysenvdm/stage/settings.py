"""The backgrounds: flat regions and a few landmarks each, on a clear day. The sky comes first, from edge to edge."""

from __future__ import annotations

from collections.abc import Callable

from dysenvdm.stage.shapes import Shape, rectangle, still, still_disc

GROUND = 57.0
"""The line on which everybody stands, in pixels from the top of a 64-pixel picture."""
HORIZON = 12.0
"""Where the ground ends, in pixels above :data:`GROUND`."""

LIT = "#fff3c4"
"""The colour of windows behind which light burns."""

_TOP, _BOTTOM = GROUND, GROUND - 64


def _regions(sky: str, ground: str, horizon: float = HORIZON) -> list[Shape]:
    return [rectangle(sky, 0, horizon, 64, _TOP), rectangle(ground, 0, _BOTTOM, 64, horizon)]


def _park() -> list[Shape]:
    return _regions("#8fd3f7", "#63bf4e")


def _beach() -> list[Shape]:
    return [*_regions("#bdeaf5", "#f3dc9f", 9), rectangle("#1f97c9", 0, 9, 64, 22)]


def _street() -> list[Shape]:
    shapes = [*_regions("#d8b4a0", "#555a6b", 10), rectangle("#b9bcc4", 0, 7, 64, 12)]
    for x in (5, 27, 49):
        shapes += [rectangle(LIT, x, 36, x + 10, 50)]
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


def _desert() -> list[Shape]:
    cactus = "#2f7d4a"
    return [
        *_regions("#a5def0", "#e6ae5c", 10),
        still("#c98242", -4 + 10j, 12 + 22j, 30 + 10j),
        still("#d6934d", 22 + 10j, 46 + 27j, 72 + 10j),
        rectangle(cactus, 8, 9, 12, 30),
        rectangle(cactus, 2, 17, 8, 20),
        rectangle(cactus, 2, 17, 5, 26),
        rectangle(cactus, 12, 14, 18, 17),
        rectangle(cactus, 15, 14, 18, 23),
    ]


def _forest() -> list[Shape]:
    shapes = [*_regions("#a8d8b4", "#6b8f3a", 10), rectangle("#2c6a45", 0, 34, 64, _TOP)]
    for x, width in ((4, 5), (17, 4), (30, 6), (44, 4), (56, 5)):
        shapes += [rectangle("#5c4028", x, 9, x + width, 46)]
    for x, r in ((2, 11), (18, 10), (34, 12), (50, 10), (64, 11)):
        shapes += [still_disc("#1f5236", x + 46j, r)]
    return shapes


def _playground() -> list[Shape]:
    steel = "#e8857c"
    return [
        *_regions("#bfe4ff", "#66c2a5", 11),
        still("#f2b632", 6 + 11j, 9 + 11j, 25 + 33j, 22 + 33j),  # a slide
        rectangle("#a58fdc", 23, 11, 28, 34),
        still(steel, 38 + 11j, 40 + 11j, 44 + 40j, 42 + 40j),  # a swing
        still(steel, 60 + 11j, 58 + 11j, 56 + 40j, 58 + 40j),
        rectangle(steel, 42, 38, 58, 41),
        rectangle("#9aa5ba", 47, 19, 48, 38),
        rectangle("#9aa5ba", 52, 19, 53, 38),
        rectangle("#8a5527", 46, 17, 54, 19.5),
    ]


def _kitchen() -> list[Shape]:
    shapes = _regions("#bfe3dc", "#d8d3c8", 8)
    for x in range(0, 64, 16):
        shapes += [rectangle("#a9a498", x, 0, x + 8, 8), rectangle("#a9a498", x + 8, _BOTTOM, x + 16, 0)]
    shapes += [
        rectangle("#f4f7fa", 2, 8, 15, 42),  # a fridge
        rectangle("#b4bcc8", 2, 27, 15, 28),
        rectangle("#b4bcc8", 12, 30, 13.4, 37),
        rectangle("#e9c38a", 19, 8, 64, 21),  # cupboards
        rectangle("#6f5a48", 18, 21, 64, 23.5),
        rectangle("#4b4f5c", 34, 8, 48, 21),  # an oven
        rectangle(LIT, 36.5, 11, 45.5, 17),
    ]
    return [*shapes, *(rectangle("#d99a52", x, 38, x + 12, 52) for x in (22, 36, 50))]


def _farm() -> list[Shape]:
    shapes = [*_regions("#a9dcf7", "#c9b04a", 12)]
    for y in (-4.5, 0.5, 5.5):
        shapes += [rectangle("#bba23f", 0, y, 64, y + 2)]
    return [
        *shapes,
        rectangle("#7fae3f", 0, 10, 64, 14),
        rectangle("#b5322c", 30, 12, 56, 32),  # a barn
        still("#7d2420", 27 + 31j, 35 + 43j, 51 + 43j, 59 + 31j),
        rectangle("#fafafa", 37, 12, 49, 26),
        rectangle("#b5322c", 38.2, 12, 47.8, 24.8),
        still("#fafafa", 38 + 12j, 39.6 + 12j, 48 + 25j, 46.4 + 25j),
        still("#fafafa", 48 + 12j, 46.4 + 12j, 38 + 25j, 39.6 + 25j),
    ]


def _lake_shore() -> list[Shape]:
    shapes = [
        *_regions("#c5e3f0", "#8c9a6a", 8),
        still("#6d86a8", -6 + 24j, 14 + 42j, 34 + 24j),
        still("#58739a", 20 + 24j, 44 + 46j, 70 + 24j),
        rectangle("#2f6fb0", 0, 8, 64, 25),
        still("#7fb2dd", 6 + 18j, 20 + 18j, 18 + 19.4j, 8 + 19.4j),
        still("#7fb2dd", 34 + 13j, 54 + 13j, 52 + 14.4j, 36 + 14.4j),
    ]
    for x in (3, 6, 58, 61):  # reeds
        shapes += [rectangle("#3f6b34", x, 6, x + 1, 20), rectangle("#7a4a21", x - 0.4, 18, x + 1.4, 24)]
    return shapes


BACKGROUNDS: dict[str, Callable[[], list[Shape]]] = {
    "park": _park,
    "beach": _beach,
    "street": _street,
    "room": _room,
    "snow field": _snow_field,
    "desert": _desert,
    "forest": _forest,
    "playground": _playground,
    "kitchen": _kitchen,
    "farm": _farm,
    "lake shore": _lake_shore,
}
SUNS: dict[str, Shape] = {
    "park": still_disc("#ffdf4a", 9 + 48j, 5.5),
    "beach": still_disc("#ff9d3b", 54 + 47j, 5.5),
    "desert": still_disc("#ffdf4a", 30 + 49j, 5),
    "farm": still_disc("#ffdf4a", 10 + 48j, 5.5),
}
"""Drawn over the background on clear days."""
