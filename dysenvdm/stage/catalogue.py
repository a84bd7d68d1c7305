"""A picture of all that the Stage world has: its actors in their clothes, colours and sizes, props, and places."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, ImageDraw

from dysenvdm.stage.render import render
from dysenvdm.stage.script import Prop, Role, Script
from dysenvdm.stage.world import ACTORS, PROPS, SETTINGS, weathers_of

_COLUMNS = 8
_LABEL = 14
"""Pixels below each picture for its name."""
_GAP = 4


def scene(setting: str, *, weather: str = "", roles: tuple[Role, ...] = (), props: tuple[Prop, ...] = ()) -> Script:
    """A script in which nothing happens."""
    return Script(1, setting, False, roles, props, (), (), weather=weather)


def looks() -> Iterator[tuple[str, Script]]:
    """A name and a script for every kind in every garment, colour and size, and for every setting in every weather."""
    for kind, actor in ACTORS.items():
        for i, garment in enumerate(actor.garments or ("",)):
            color = actor.colors[i % len(actor.colors)]
            yield f"{kind}, {color} {garment}".strip(), scene("park", roles=(_role(kind, garment, color),))
        if not actor.person:
            for color in actor.colors[1:]:
                yield f"{color} {kind}", scene("park", roles=(_role(kind, "", color),))
        for size in actor.sizes:
            yield f"{size} {kind}", scene("park", roles=(_role(kind, "", actor.colors[0], size),))
    for kind, prop in PROPS.items():
        for color in prop.colors or ("",):
            yield f"{color} {kind}".strip(), scene("park", props=(Prop(kind, 32, color=color),))
        for size in prop.sizes:
            yield f"{size} {kind}", scene("park", props=(Prop(kind, 32, size=size),))
    for setting in SETTINGS:
        for weather in weathers_of(setting):
            said = f", {weather}" if weather else ""
            yield f"{setting}{said}", scene(setting, weather=weather, roles=(_role("girl", "coat", "red"),))


def _role(kind: str, garment: str, color: str, size: str = "") -> Role:
    return Role(kind, kind, garment, color, says_color=True, x=32, size=size)


def catalogue(size: int = 96) -> Image.Image:
    """Every look as a picture of ``size`` pixels with its name."""
    shown = list(looks())
    rows = -(-len(shown) // _COLUMNS)
    tile, line = size + _GAP, size + _LABEL + _GAP
    picture = Image.new("RGB", (_COLUMNS * tile + _GAP, rows * line + _GAP), "white")
    pen = ImageDraw.Draw(picture)
    for i, (name, script) in enumerate(shown):
        x, y = _GAP + i % _COLUMNS * tile, _GAP + i // _COLUMNS * line
        picture.paste(Image.fromarray(render(script, 1, size)[0]), (x, y))
        pen.text((x, y + size), name, fill="black")
    return picture
