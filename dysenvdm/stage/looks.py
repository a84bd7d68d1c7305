"""Sampling looks: weather, garments, colours and sizes, and which of them captions state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from dysenvdm.stage.script import Prop, Role
from dysenvdm.stage.world import ACTORS, INDOORS, PROPS, weathers_of

_HIDDEN: dict[str, frozenset[str]] = {
    setting: frozenset(colors.split())
    for setting, colors in {
        "snow field": "white",
        "beach": "yellow",
        "street": "grey black",
        "desert": "orange brown",
        "forest": "brown green",
        "kitchen": "white grey",
        "farm": "yellow red",
        "lake shore": "blue",
        "snow": "white",
        "fog": "white",
        "night": "black",
        "sunset": "orange",
    }.items()
}
"""Colours that are hard to see in a setting, or in a weather."""
_OUTDOORS = frozenset({"tree", "fence"})
_FINE = 0.55
"""How likely it is a clear day where there is weather."""
_USUAL_SIZE = 0.6
_SAID = {"color": 0.6, "size": 0.7, "prop color": 0.5, "weather": 0.6}
"""How likely captions state what is to be seen."""


def sample_weather(rng: Random, setting: str) -> tuple[str, bool]:
    """The weather of a clip, "" on a clear day, and whether captions state it."""
    _, *others = weathers_of(setting)
    if not others or rng.random() < _FINE:
        return "", False
    return rng.choice(others), rng.random() < _SAID["weather"]


def hidden(setting: str, weather: str) -> frozenset[str]:
    """Colours that nobody has there, since one would hardly see them."""
    return _HIDDEN.get(setting, frozenset()) | _HIDDEN.get(weather, frozenset())


def fits(kind: str, setting: str) -> bool:
    """Whether a kind of prop can be in a setting."""
    return not (setting in INDOORS and kind in _OUTDOORS)


def sample_role(
    rng: Random, ident: str, kind: str, hard_to_see: Collection[str], others: Sequence[Role]
) -> Role | None:
    """Somebody of that kind, dressed; None where no colour is left.

    No two people, and no two animals, of a clip have one colour; ``others`` are those there already. Who is not alone
    of its kind, and has another ident than that, is told apart by a stated colour.
    """
    actor = ACTORS[kind]
    taken = {role.color for role in others if role.person == actor.person}
    free = [color for color in actor.colors if color not in taken and color not in hard_to_see]
    if not free:
        return None
    color = rng.choice(free)
    garment = rng.choice(actor.garments) if actor.garments else ""
    size = _size(rng, actor.sizes)
    says_color = rng.random() < _SAID["color"] or ident != kind
    says_size = bool(size) and rng.random() < _SAID["size"]
    return Role(ident, kind, garment, color, says_color, size=size, says_size=says_size)


def sample_prop(rng: Random, kind: str, hard_to_see: Collection[str]) -> Prop:
    """A prop of that kind, coloured, at x = 0."""
    prop = PROPS[kind]
    colors = [color for color in prop.colors if color not in hard_to_see] or prop.colors
    color, size = rng.choice(colors) if colors else "", _size(rng, prop.sizes)
    says_color = bool(color) and rng.random() < _SAID["prop color"]
    says_size = bool(size) and rng.random() < _SAID["size"]
    return Prop(kind, 0.0, color=color, says_color=says_color, size=size, says_size=says_size)


def _size(rng: Random, sizes: Sequence[str]) -> str:
    return "" if not sizes or rng.random() < _USUAL_SIZE else rng.choice(sizes)
