"""A clip as a script: who is there, where, and who does what when.

Times are eighths of a clip, lengths pixels of a 64-pixel picture, whatever the clip's ticks, frames and size.
"""

from __future__ import annotations

from dataclasses import dataclass

from dysenvdm.stage.world import ACTORS, EIGHTHS


@dataclass(frozen=True)
class Role:
    """An actor of a clip: ``x`` and ``facing`` (+1 right, -1 left) at the start; ``garment`` is "" for animals."""

    id: str
    kind: str
    garment: str
    color: str
    says_color: bool
    x: float = 0.0
    facing: int = 1

    @property
    def person(self) -> bool:
        return ACTORS[self.kind].person

    @property
    def half(self) -> float:
        return ACTORS[self.kind].half

    @property
    def attribute(self) -> str:
        """ "in a red coat" or, of an animal, "brown"."""
        return f"in {with_article(f'{self.color} {self.garment}')}" if self.garment else self.color


@dataclass(frozen=True)
class Prop:
    """A prop of a clip; its id is its kind. A ``flipped`` chair has its back on the left."""

    kind: str
    x: float
    flipped: bool = False

    @property
    def id(self) -> str:
        return self.kind


@dataclass(frozen=True)
class Act:
    """One event as it is played, in eighths ``[start, end)``: the agent's way ``x0`` to ``x1`` and the moved prop's.

    ``target_kind`` is "" when the target is no prop; ``seated`` is what the agent sits on before ("" when standing).
    """

    agent: str
    predicate: str
    target: str | None
    start: int
    end: int
    x0: float
    x1: float
    facing: int
    prop_x0: float = 0.0
    prop_x1: float = 0.0
    target_kind: str = ""
    seated: str = ""


@dataclass(frozen=True)
class Script:
    """A whole clip. ``groups`` are the indices of acts that happen at the same time, group after group."""

    ticks: int
    setting: str
    says_setting: bool
    roles: tuple[Role, ...]
    props: tuple[Prop, ...]
    acts: tuple[Act, ...]
    groups: tuple[tuple[int, ...], ...]

    def acts_of(self, agent: str) -> list[Act]:
        return [act for act in self.acts if act.agent == agent]

    def ticks_of(self, act: Act) -> tuple[int, int]:
        """The act's ticks ``[start, end)``."""
        return _scaled(act.start, self.ticks), _scaled(act.end, self.ticks)

    def frames_of(self, act: Act, frames: int) -> tuple[int, int]:
        """The frames ``[f0, f1)`` whose tick lies in the act."""
        start, end = self.ticks_of(act)
        return -(-start * frames // self.ticks), -(-end * frames // self.ticks)


def _scaled(eighth: int, ticks: int) -> int:
    return (eighth * ticks + EIGHTHS // 2) // EIGHTHS


def with_article(noun: str) -> str:
    """``a`` or ``an`` before a noun phrase."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
