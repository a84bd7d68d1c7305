"""The vocabulary of the Stage world: who and what there is and how big it is; what they do is in ``actions``.

Lengths are pixels of a 64-pixel picture and scale with it.
"""

from __future__ import annotations

from dataclasses import dataclass

COLORS: dict[str, str] = {
    "red": "#e0282e",
    "blue": "#2457d6",
    "yellow": "#f7cf1d",
    "green": "#12803c",
    "orange": "#f5811f",
    "purple": "#7d2fb8",
    "pink": "#f56fb0",
    "white": "#fafafa",
    "brown": "#84502a",
    "black": "#26262c",
    "grey": "#9a9da8",
}
CLOTHES = ("red", "blue", "yellow", "green", "orange", "purple", "pink", "white")


SIZES: dict[str, float] = {"small": 0.72, "big": 1.3}
"""How much smaller or bigger than usual; "" is the usual size."""


@dataclass(frozen=True)
class ActorKind:
    """A kind of person or animal: half its width, its grammar, what it wears, the colours and sizes it comes in.

    ``body`` is the figure it is drawn with and moves as: "person", "four legs" or "bird".
    """

    half: float
    pronoun: str
    garments: tuple[str, ...]
    colors: tuple[str, ...]
    body: str = "person"
    sizes: tuple[str, ...] = ()

    @property
    def person(self) -> bool:
        return self.body == "person"


ACTORS: dict[str, ActorKind] = {
    "girl": ActorKind(5.5, "she", ("coat", "dress", "skirt", "cape"), CLOTHES),
    "boy": ActorKind(5.5, "he", ("shirt", "coat", "sweater", "cape"), CLOTHES),
    "woman": ActorKind(6, "she", ("dress", "coat", "skirt", "uniform"), CLOTHES),
    "man": ActorKind(6, "he", ("shirt", "coat", "jumpsuit", "uniform"), CLOTHES),
    "toddler": ActorKind(5, "he", ("sweater", "jumpsuit"), CLOTHES),
    "grandmother": ActorKind(6, "she", ("dress", "coat", "sweater"), CLOTHES),
    "grandfather": ActorKind(6, "he", ("coat", "sweater", "jumpsuit"), CLOTHES),
    "dog": ActorKind(11, "it", (), ("brown", "white", "black"), "four legs", ("small", "big")),
    "cat": ActorKind(10, "it", (), ("orange", "grey", "black", "white"), "four legs", ("small", "big")),
    "horse": ActorKind(13, "it", (), ("brown", "white", "black"), "four legs", ("small",)),
    "duck": ActorKind(9, "it", (), ("yellow", "white", "brown"), "bird", ("small", "big")),
    "elephant": ActorKind(13, "it", (), ("grey", "pink", "blue"), "four legs", ("small",)),
    "rabbit": ActorKind(7, "it", (), ("white", "brown", "grey"), "four legs", ("big",)),
    "cow": ActorKind(13, "it", (), ("white", "brown", "black"), "four legs", ("small",)),
    "bear": ActorKind(12, "it", (), ("brown", "black", "white"), "four legs", ("small",)),
    "sheep": ActorKind(10, "it", (), ("white", "grey", "brown"), "four legs", ("small", "big")),
    "pig": ActorKind(10.5, "it", (), ("pink", "black", "brown"), "four legs", ("small", "big")),
    "giraffe": ActorKind(11, "it", (), ("yellow", "orange", "white"), "four legs", ("small",)),
    "chicken": ActorKind(8, "it", (), ("white", "brown", "black"), "bird", ("small", "big")),
    "penguin": ActorKind(6, "it", (), ("black", "blue", "purple"), "bird", ("small", "big")),
}


@dataclass(frozen=True)
class PropKind:
    """A kind of prop: half its width and its height; what can be done with it, the colours and sizes it comes in.

    ``grip`` is how high above its foot a hand holds it; only what has one (``portable``) can be carried, handed over
    and thrown. ``radius`` is that of its wheels, or its own, where it rolls; ``seat`` the height at which people sit on
    it. All pixels, 0 where it is not for that. Kinds without colours have one of their own.
    """

    half: float
    height: float
    grip: float = 0.0
    radius: float = 0.0
    seat: float = 0.0
    colors: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()

    @property
    def portable(self) -> bool:
        return self.grip > 0


_BRIGHT = ("red", "blue", "yellow", "green", "purple")
PROPS: dict[str, PropKind] = {
    "box": PropKind(6, 12, seat=11.5, colors=("brown", "red", "blue", "green")),
    "ball": PropKind(4.5, 9.2, grip=4.6, radius=4.6, colors=_BRIGHT, sizes=("small", "big")),
    "chair": PropKind(5, 19, seat=7.5, colors=("blue", "red", "green", "white")),
    "bench": PropKind(9, 14.5, seat=7.5),
    "tree": PropKind(6, 38.5, sizes=("small",)),
    "table": PropKind(8, 13.5),
    "rock": PropKind(6, 9.5, seat=8.5),
    "wagon": PropKind(8, 11.5, radius=3.4, colors=("purple", "red", "blue", "green")),
    "suitcase": PropKind(6, 11.6, grip=11, colors=("brown", "red", "blue", "black"), sizes=("small", "big")),
    "umbrella": PropKind(6, 22, grip=3, colors=("red", "blue", "yellow", "purple", "black")),
    "bucket": PropKind(4.5, 12.8, grip=12, colors=("blue", "red", "yellow", "grey"), sizes=("small", "big")),
    "basket": PropKind(6, 13.6, grip=13),
    "cake": PropKind(5.5, 12.2, grip=0.8, colors=("pink", "white", "brown"), sizes=("small", "big")),
    "flower": PropKind(4, 14.8, grip=4, colors=("red", "yellow", "purple", "pink", "white"), sizes=("big",)),
    "hat": PropKind(6, 7.2, grip=2, colors=("black", "red", "blue", "green"), sizes=("big",)),
    "book": PropKind(4.5, 10, grip=4, colors=("red", "blue", "green", "purple")),
    "balloon": PropKind(4.5, 20.8, grip=1, colors=("red", "blue", "yellow", "green", "pink"), sizes=("small", "big")),
    "bicycle": PropKind(9, 14.4, radius=4.6, colors=("red", "blue", "green", "black")),
    "fence": PropKind(8, 12, colors=("white", "brown")),
    "sofa": PropKind(9.5, 14, seat=7.6, colors=("green", "red", "purple", "grey")),
    "lamp": PropKind(4.5, 34),
}
"""The first colour of a kind is the one it has where none is chosen."""

SETTINGS: dict[str, str] = {
    "park": "in",
    "beach": "on",
    "street": "on",
    "room": "in",
    "snow field": "in",
    "desert": "in",
    "forest": "in",
    "playground": "on",
    "kitchen": "in",
    "farm": "on",
    "lake shore": "on",
}
"""Settings with the preposition of somebody who is there."""
INDOORS = frozenset({"room", "kitchen"})
"""Settings without weather."""
WEATHERS: dict[str, str] = {"rain": "in", "snow": "in", "fog": "in", "night": "at", "sunset": "at"}
"""Weathers and times of day with the preposition of somebody who is out then; "" is a clear day."""


def weathers_of(setting: str) -> tuple[str, ...]:
    """The weathers that a setting can have, the clear day "" first; there is no snow in the desert."""
    if setting in INDOORS:
        return ("",)
    return ("", *(weather for weather in WEATHERS if (setting, weather) != ("desert", "snow")))


SEATS: dict[str, float] = {kind: prop.seat for kind, prop in PROPS.items() if prop.seat}
"""What people sit on, with the height of the seat."""
