"""A picture of all that the Stage world has: its actors in their clothes, colours and sizes, props, and places."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, ImageDraw

from dysenvdm.stage.render import render
from dysenvdm.stage.script import Prop, Role, Script
from dysenvdm.stage.world import ACTORS, PROPS, SETTINGS, weathers_of

_COLUMNS = 8
_LABEL = 28
"""Pixels below each picture for its name, two lines."""
_NARROWEST = 76
"""Pixels that a name takes."""
_GAP = 4


def scene(setting: str, *, weather: str = "", roles: tuple[Role, ...] = (), props: tuple[Prop, ...] = ()) -> Script:
    """A script in which nothing happens."""
    return Script(1, setting, False, roles, props, (), (), weather=weather)


def looks() -> Iterator[tuple[str, str, Script]]:
    """Kind, look and script of every kind in every garment, colour and size, and of every setting in every weather."""
    for kind, actor in ACTORS.items():
        for garment, color in zip(actor.garments, actor.colors, strict=False):
            yield kind, f"{color} {garment}", scene("park", roles=(_role(kind, garment, color),))
        for color in () if actor.person else actor.colors:
            yield kind, color, scene("park", roles=(_role(kind, "", color),))
        for size in actor.sizes:
            yield kind, size, scene("park", roles=(_role(kind, "", actor.colors[0], size),))
    for kind, prop in PROPS.items():
        for color in prop.colors or ("",):
            yield kind, color, scene("park", props=(Prop(kind, 32, color=color),))
        for size in prop.sizes:
            yield kind, size, scene("park", props=(Prop(kind, 32, size=size),))
    for setting in SETTINGS:
        for weather in weathers_of(setting):
            yield setting, weather, scene(setting, weather=weather, roles=(_role("girl", "coat", "red"),))


def _role(kind: str, garment: str, color: str, size: str = "") -> Role:
    return Role(kind, kind, garment, color, says_color=True, x=32, size=size)


def catalogue(size: int = 96) -> Image.Image:
    """Every look as a picture of ``size`` pixels with its name."""
    shown = list(looks())
    rows = -(-len(shown) // _COLUMNS)
    tile, line = max(size, _NARROWEST) + _GAP, size + _LABEL + _GAP
    picture = Image.new("RGB", (_COLUMNS * tile + _GAP, rows * line + _GAP), "white")
    pen = ImageDraw.Draw(picture)
    for i, (name, look, script) in enumerate(shown):
        x, y = _GAP + i % _COLUMNS * tile, _GAP + i // _COLUMNS * line
        picture.paste(Image.fromarray(render(script, 1, size)[0]), (x, y))
        pen.text((x, y + size), f"{name}\n{look}", fill="black")
    return picture
