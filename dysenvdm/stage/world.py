"""The vocabulary of the Stage world: who and what there is, how big it is, and which actions suit whom.

Lengths are pixels of a 64-pixel picture, times are eighths of a clip; both scale with the picture and the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

EIGHTHS = 8
"""Scripts are timed in eighths of a clip, whatever the number of ticks and frames."""

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
    "girl": ActorKind(5.5, "she", ("coat", "dress"), CLOTHES),
    "boy": ActorKind(5.5, "he", ("shirt", "coat"), CLOTHES),
    "woman": ActorKind(6, "she", ("dress", "coat"), CLOTHES),
    "man": ActorKind(6, "he", ("shirt", "coat"), CLOTHES),
    "dog": ActorKind(11, "it", (), ("brown", "white", "black"), "four legs"),
    "cat": ActorKind(10, "it", (), ("orange", "grey", "black", "white"), "four legs"),
    "horse": ActorKind(13, "it", (), ("brown", "white", "black"), "four legs"),
    "duck": ActorKind(9, "it", (), ("yellow", "white", "brown"), "bird"),
    "elephant": ActorKind(13, "it", (), ("grey", "pink", "blue"), "four legs"),
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


PROPS: dict[str, PropKind] = {
    "box": PropKind(6, 12, seat=11.5),
    "ball": PropKind(4.5, 9.2, grip=4.6, radius=4.6),
    "chair": PropKind(5, 19, seat=7.5),
    "bench": PropKind(9, 14.5, seat=7.5),
    "tree": PropKind(6, 38.5),
    "table": PropKind(8, 13.5),
    "rock": PropKind(6, 9.5, seat=8.5),
    "wagon": PropKind(8, 11.5, radius=3.4),
}

SETTINGS: dict[str, str] = {"park": "in", "beach": "on", "street": "on", "room": "in", "snow field": "in"}
"""Settings with the preposition of somebody who is there."""
INDOORS = frozenset({"room"})
"""Settings without weather and without trees."""
WEATHERS: dict[str, str] = {}
"""Weathers and times of day with the preposition of somebody who is out in it; "" is a clear day."""

SEATS: dict[str, float] = {kind: prop.seat for kind, prop in PROPS.items() if prop.seat}
"""What people sit on, with the height of the seat."""


@dataclass(frozen=True)
class Action:
    """One verb: its lemma is the event's predicate, ``third`` and ``gerund`` are its forms in captions.

    ``move`` is how it changes places: ``stay``, ``left``, ``right``, ``go`` (ends beside the target), ``over`` (jumps
    to the target's other side), ``onto`` (sits on it), ``hug``, and ``push`` / ``kick``, which move the target.
    ``targets`` are kinds of props, or "actor" / "person". ``speed`` is in pixels per eighth, lowest and highest;
    ``shortest`` and ``longest`` bound the duration in eighths; ``last`` ends the agent's part.
    """

    lemma: str
    third: str
    gerund: str
    move: str
    agents: frozenset[str]
    targets: frozenset[str] = frozenset()
    speed: tuple[float, float] = (0, 0)
    shortest: int = 2
    longest: int = EIGHTHS
    last: bool = False
    weight: float = 1.0


_PEOPLE = frozenset(kind for kind, actor in ACTORS.items() if actor.person)
_ALL = frozenset(ACTORS)
_FOUR_LEGGED = frozenset(kind for kind, actor in ACTORS.items() if actor.body == "four legs")
_BIRDS = frozenset(kind for kind, actor in ACTORS.items() if actor.body == "bird")
_WALK, _RUN = (3.4, 5.0), (6.2, 7.6)
_STROLL = (4.2, 4.8)
_RUNNERS = _ALL - _BIRDS
_LOW = frozenset({"box", "ball", "rock"})
_ROLLING = frozenset({"box", "wagon"})
_GOALS = frozenset(PROPS) | {"actor"}

ACTIONS: dict[str, Action] = {
    action.lemma: action
    for action in (
        Action("walk to", "walks to", "walking to", "go", _ALL, _GOALS, _WALK, weight=4),
        Action("run to", "runs to", "running to", "go", _RUNNERS, _GOALS, _RUN, longest=5, weight=3),
        Action("walk to the left", "walks to the left", "walking to the left", "left", _ALL, speed=_STROLL, weight=1.1),
        Action(
            "walk to the right", "walks to the right", "walking to the right", "right", _ALL, speed=_STROLL, weight=1.1
        ),
        Action(
            "run to the left",
            "runs to the left",
            "running to the left",
            "left",
            _RUNNERS,
            speed=_RUN,
            longest=6,
            weight=1.1,
        ),
        Action(
            "run to the right",
            "runs to the right",
            "running to the right",
            "right",
            _RUNNERS,
            speed=_RUN,
            longest=6,
            weight=1.1,
        ),
        Action("jump over", "jumps over", "jumping over", "over", _ALL, _LOW, shortest=3, longest=5, weight=3),
        Action("kick", "kicks", "kicking", "kick", _PEOPLE | {"horse"}, frozenset({"ball"}), longest=5, weight=2.0),
        Action("push", "pushes", "pushing", "push", _ALL - _BIRDS - {"cat"}, _ROLLING, (3.0, 3.6), 3, weight=1.6),
        Action("sit on", "sits on", "sitting on", "onto", _PEOPLE, frozenset(SEATS), shortest=3, weight=2.4),
        Action("hug", "hugs", "hugging", "hug", _PEOPLE, frozenset({"person"}), shortest=3, weight=5),
        Action("wave at", "waves at", "waving at", "stay", _PEOPLE, frozenset({"actor"}), weight=1.4),
        Action("wave", "waves", "waving", "stay", _PEOPLE),
        Action("jump", "jumps", "jumping", "stay", _ALL, weight=0.8),
        Action("spin", "spins", "spinning", "stay", _PEOPLE | _BIRDS | {"dog", "cat"}, weight=0.6),
        Action("dance", "dances", "dancing", "stay", _PEOPLE, weight=1.5),
        Action("fall down", "falls down", "falling down", "stay", _PEOPLE, longest=6, last=True, weight=2.0),
        Action(
            "lie down", "lies down", "lying down", "stay", _PEOPLE | _FOUR_LEGGED, shortest=3, last=True, weight=0.6
        ),
        Action("sit down", "sits down", "sitting down", "stay", frozenset({"dog", "cat"}), shortest=3),
        Action("flap its wings", "flaps its wings", "flapping its wings", "stay", _BIRDS, weight=1.6),
    )
}
