"""A clip as a script: who is there, where, and who does what when.

Times are beats (a quarter of a second), lengths pixels of a 64-pixel picture, whatever the ticks, frames and size.
"""

from __future__ import annotations

from dataclasses import dataclass

from dysenvdm.stage.actions import BEATS
from dysenvdm.stage.world import ACTORS, PROPS, SIZES


@dataclass(frozen=True)
class Role:
    """An actor of a clip: ``x`` and ``facing`` (+1 right, -1 left) at the start; ``garment`` is "" for animals.

    ``size`` is one of its kind's sizes or "", the usual one. Looks are stated by captions that ``says_…`` them.
    """

    id: str
    kind: str
    garment: str
    color: str
    says_color: bool
    x: float = 0.0
    facing: int = 1
    size: str = ""
    says_size: bool = False

    @property
    def person(self) -> bool:
        return ACTORS[self.kind].person

    @property
    def body(self) -> str:
        return ACTORS[self.kind].body

    @property
    def half(self) -> float:
        return ACTORS[self.kind].half * self.scale

    @property
    def scale(self) -> float:
        return SIZES.get(self.size, 1.0)

    @property
    def attribute(self) -> str:
        """ "in a red coat" or, of an animal, "brown"."""
        return f"in {with_article(f'{self.color} {self.garment}')}" if self.garment else self.color

    @property
    def attributes(self) -> tuple[tuple[str, bool], ...]:
        """All that can be said of its looks, and whether captions do."""
        return ((self.attribute, self.says_color), *(((self.size, self.says_size),) if self.size else ()))


@dataclass(frozen=True)
class Prop:
    """A prop of a clip; its id is its kind. A ``flipped`` chair has its back on the left.

    ``color`` and ``size`` are among those of its kind, or "": the kind's own colour, the usual size. ``holder`` has it
    in its hands from the start; "" where it stands on the ground.
    """

    kind: str
    x: float
    flipped: bool = False
    color: str = ""
    says_color: bool = False
    size: str = ""
    says_size: bool = False
    holder: str = ""

    @property
    def id(self) -> str:
        return self.kind

    @property
    def shown_color(self) -> str:
        """The colour it is drawn in; "" where its kind has no choice of them."""
        colors = PROPS[self.kind].colors
        return self.color or (colors[0] if colors else "")

    @property
    def scale(self) -> float:
        return SIZES.get(self.size, 1.0)

    @property
    def half(self) -> float:
        return PROPS[self.kind].half * self.scale

    @property
    def grip(self) -> float:
        return PROPS[self.kind].grip * self.scale

    @property
    def radius(self) -> float:
        return PROPS[self.kind].radius * self.scale

    @property
    def attributes(self) -> tuple[tuple[str, bool], ...]:
        """All that can be said of its looks, and whether captions do."""
        looks = ((self.color, self.says_color), (self.size, self.says_size))
        return tuple(look for look in looks if look[0])


@dataclass(frozen=True)
class Act:
    """One event as it is played, in beats ``[start, end)``: the agent's way ``x0`` to ``x1``, and its target's.

    ``target_x0`` and ``target_x1`` are the way of a target that the act moves (0 for others); a ``partner`` is an actor
    who takes part, ``target_facing`` where it looks then. ``target_kind`` is "" when the target is no prop; ``thing``
    is the prop that the agent holds in an act on two things. ``seated`` is what the agent sits on before ("" when
    standing), ``stands_on`` the prop on which it stands.
    """

    agent: str
    predicate: str
    target: str | None
    start: int
    end: int
    x0: float
    x1: float
    facing: int
    target_x0: float = 0.0
    target_x1: float = 0.0
    target_kind: str = ""
    seated: str = ""
    stands_on: str = ""
    thing: str = ""
    partner: bool = False
    target_facing: int = 0


Relation = tuple[str, str, str]
"""(subject, relation, object), both by id: ``("dog", "next to", "box")``."""


@dataclass(frozen=True)
class Hold:
    """``holder`` has ``prop`` in its hands in beats ``[start, end)``."""

    holder: str
    prop: str
    start: int
    end: int


@dataclass(frozen=True)
class Script:
    """A whole clip. ``groups`` are the indices of acts that happen at the same time, group after group.

    ``weather`` is "" on a clear day. ``relations`` hold at the start; ``holds`` say who has what in its hands when.
    """

    ticks: int
    setting: str
    says_setting: bool
    roles: tuple[Role, ...]
    props: tuple[Prop, ...]
    acts: tuple[Act, ...]
    groups: tuple[tuple[int, ...], ...]
    weather: str = ""
    says_weather: bool = False
    beats: int = BEATS
    relations: tuple[Relation, ...] = ()
    holds: tuple[Hold, ...] = ()

    def acts_of(self, agent: str) -> list[Act]:
        return [act for act in self.acts if act.agent == agent]

    def parts_of(self, role: str) -> list[Act]:
        """The acts in which this actor takes part, as agent or as partner, in order."""
        return [act for act in self.acts if act.agent == role or (act.partner and act.target == role)]

    def ticks_of(self, act: Act) -> tuple[int, int]:
        """The act's ticks ``[start, end)``."""
        return self.tick(act.start), self.tick(act.end)

    def frames_of(self, act: Act, frames: int) -> tuple[int, int]:
        """The frames ``[f0, f1)`` whose tick lies in the act."""
        start, end = self.ticks_of(act)
        return -(-start * frames // self.ticks), -(-end * frames // self.ticks)

    def tick(self, beat: int) -> int:
        """The tick that begins with a beat."""
        return (beat * self.ticks + self.beats // 2) // self.beats


def with_article(noun: str) -> str:
    """``a`` or ``an`` before a noun phrase."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
