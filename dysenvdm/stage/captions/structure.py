"""How a caption is put together: which groups of acts share a sentence, in which order, with which connectives.

A *group* are acts that happen at the same time. Groups are cut into runs of one to three; every run is told by one
template, and runs follow one another as they happen. Only templates that leave one reading are listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from dysenvdm.stage.script import Act

LASTING = frozenset(
    action
    for action in (
        *("dance", "wave", "wave at", "spin", "jump", "flap its wings", "clap", "bounce", "chase", "follow"),
        *("point at", "sit down", "lie down"),
        *("walk to the left", "walk to the right", "run to the left", "run to the right"),
    )
)
"""Actions that go on by themselves, so that "until" can end them."""


_REFERRING = re.compile(r"\b(before|after)\b(?! that)|\b(once|as soon as|until|having)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Template:
    """A way to tell groups of acts. ``{1}`` is the first group to happen, ``{1s}`` one that may leave out its subject,
    ``{1g}`` one in the -ing form, ``{1p}`` one in the perfect, ``{1h}`` a participle without a subject.

    ``single`` groups have one act; ``same`` needs one agent in all of these groups, ``other`` needs several;
    ``lasting`` groups have an act that goes on by itself. ``first`` templates only open a caption, ``last`` ones only
    end it.
    """

    text: str
    single: str = ""
    same: str = ""
    other: str = ""
    lasting: str = ""
    first: bool = False
    last: bool = False

    def suits(self, groups: Sequence[Sequence[Act]], *, first: bool, last: bool) -> bool:
        agents = {groups[int(i) - 1][0].agent for i in self.same}
        others = [groups[int(i) - 1][0].agent for i in self.other]
        alone = all(len(groups[int(i) - 1]) == 1 for i in self.single + self.same + self.other + self.lasting)
        lasts = all(groups[int(i) - 1][0].predicate in LASTING for i in self.lasting)
        told = alone and lasts and len(agents) <= 1 and len(set(others)) == len(others)
        return told and (first or not self.first) and (last or not self.last)

    @property
    def refers(self) -> bool:
        """Whether it places an act in time by another, which must be the only one of its words then."""
        return _REFERRING.search(self.text) is not None

    @property
    def turned(self) -> bool:
        """Whether it begins with a subordinate clause."""
        return self.text.startswith(("before ", "after ", "once ", "as soon as ", "having "))


PLAIN: dict[int, tuple[Template, ...]] = {
    1: (Template("{1}"),),
    2: (
        Template("{1}, then {2s}"),
        Template("{1} and then {2s}", single="1"),
        Template("first {1}, then {2s}", first=True),
        Template("first {1}. Then {2}", first=True),
        Template("{1}. After that, {2}"),
        Template("after {1}, {2}", single="1"),
        Template("{1} before {2}", single="12"),
        Template("{1} before {2g}", same="12"),
        Template("after {1g}, {2}", same="12"),
        Template("{2} after {1}", single="12", first=True),
        Template("{2} after {1g}", same="12", first=True),
        Template("before {2}, {1}", single="2"),
        Template("before {2g}, {1}", same="12"),
    ),
    3: (
        Template("{1}, then {2s}, then {3s}"),
        Template("{1}, then {2s}, and finally {3s}", last=True),
        Template("first {1}, then {2s}, and finally {3s}", first=True, last=True),
        Template("{1}. Then {2}. After that, {3}"),
        Template("after {1}, {2} and then {3s}", single="12"),
        Template("after {1g}, {2}, and then {3s}", same="12"),
        Template("{2} after {1}. Then {3}", single="12", first=True),
        Template("before {3}, {1} and then {2s}", single="13", first=True),
        Template("{1}, then {2s} before {3}", single="123"),
    ),
}
RICH: dict[int, tuple[Template, ...]] = {
    1: (Template("{1}"),),
    2: (
        *PLAIN[2],
        Template("{1}, and then {2s}"),
        Template("{1}. Next, {2}"),
        Template("{1}. Afterwards, {2}"),
        Template("once {1p}, {2}", single="1"),
        Template("{2} once {1p}", single="12", first=True),
        Template("as soon as {1p}, {2}", single="1"),
        Template("{1} until {2}", other="12", lasting="1"),
        Template("having {1h}, {2}", same="12"),
        Template("{2} only after {1g}", same="12", first=True),
        Template("{2}, but before that {1}", single="12", first=True, last=True),
        Template("{2}. Before that, {1}", first=True, last=True),
        Template("first {1}, and at last {2s}", first=True, last=True),
    ),
    3: (
        *PLAIN[3],
        Template("{1}. Next, {2}. Finally, {3}", last=True),
        Template("first {1}, then {2s}, and at last {3s}", first=True, last=True),
        Template("once {1p}, {2} and then {3s}", single="12"),
        Template("in the end, {3}. Before that, {1}, and then {2s}", first=True, last=True),
        Template("before {3g}, {1} and then {2s}", same="13", single="1", first=True),
        Template("after {1} and {2s}, {3}", single="12", same="12"),
        Template("{1}. Then, before {3}, {2}", single="3"),
    ),
}
TERSE: dict[int, tuple[Template, ...]] = {
    1: (Template("{1}"),),
    2: (
        Template("{1}, then {2s}"),
        Template("{1}, then {2s}"),
        Template("{1} before {2g}", same="12"),
        Template("{2} after {1g}", same="12", first=True),
        Template("{1} before {2}", single="12"),
    ),
    3: (
        Template("{1}, then {2s}, then {3s}"),
        Template("{1}, {2s}, then {3s}", same="123"),
        Template("{1}, then {2s}, finally {3s}", last=True),
    ),
}
_OPENERS = {
    "plain": ("then ", "after that, "),
    "rich": ("then ", "after that, ", "next, ", "afterwards, "),
    "terse": ("then ",),
}
_TURNED_OPENERS = ("then, ", "next, ")
"""Before a subordinate clause."""
_ENDINGS = {
    "plain": ("finally, ",),
    "rich": ("finally, ", "at last, ", "in the end, ", "lastly, "),
    "terse": ("finally ",),
}
_TEMPLATES = {"plain": PLAIN, "rich": RICH, "terse": TERSE}


@dataclass(frozen=True)
class Run:
    """A template for the groups from number ``at`` on, behind an ``opener``."""

    at: int
    template: Template
    opener: str = ""


def outline(groups: Sequence[Sequence[Act]], style: str, rng: Random) -> list[Run]:
    """Draw how to tell the groups, run after run."""
    said = Counter(_said(act) for group in groups for act in group)
    runs: list[Run] = []
    at = 0
    while at < len(groups):
        size = _run_length(groups, at, style, rng)
        first, last = at == 0, at + size == len(groups)
        part = groups[at : at + size]
        once = all(said[_said(act)] == 1 for group in part for act in group)
        fitting = [t for t in _TEMPLATES[style][size] if t.suits(part, first=first, last=last)]
        template = rng.choice([t for t in fitting if once or not t.refers])
        opener = "" if first else _opener(template, style, runs[-1].opener, rng, ends=last and size == 1)
        runs.append(Run(at, template, opener))
        at += size
    return runs


def _said(act: Act) -> tuple[str, str, str | None]:
    return act.agent, act.predicate, act.target


def _opener(template: Template, style: str, before: str, rng: Random, *, ends: bool) -> str:
    """How a run after the first begins, not as the one before it."""
    if template.turned:
        return rng.choice(_TURNED_OPENERS)
    openers = [opener for opener in _OPENERS[style] if opener != before] or [*_OPENERS[style]]
    return rng.choice([*openers, *(_ENDINGS[style] if ends else ())])


def _run_length(groups: Sequence[Sequence[Act]], at: int, style: str, rng: Random) -> int:
    """One to three groups; a group of three acts or more has a run of its own, and short captions are one run."""
    left = len(groups) - at
    crowd = next((i for i, group in enumerate(groups[at:]) if len(group) > 2), left)
    most = min(3, left, max(1, crowd))
    if style != "rich" and left <= 3 and most == left:
        return left
    return rng.choices(range(1, most + 1), (1, 3, 3)[:most])[0]
