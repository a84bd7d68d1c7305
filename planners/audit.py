"""What a scene graph's facts rest on: which words of the prompt say them, and which facts contradict each other.

No language model is asked: words are compared by their base forms. Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from planners.dsg import DynamicSceneGraph, Fact
from planners.language import FUNCTION_WORDS, base_form, singular, words_of

_OPPOSITES = """
on/under above/below over/under above/under in_front_of/behind left_of/right_of near/far_from next_to/far_from
inside/outside open/closed wet/dry young/old tall/short big/small large/small empty/full clean/dirty hot/cold
awake/asleep happy/sad alive/dead fast/slow heavy/light standing/sitting standing/lying sitting/lying
"""
OPPOSITES = frozenset(frozenset(pair.replace("_", " ").split("/")) for pair in _OPPOSITES.split())
"""Pairs that cannot both be said of one thing, or of one pair of things, at one time."""
ONE_WAY = frozenset(("on", "under", "above", "below", "in", "inside", "behind", "in front of", "holding", "wearing"))
"""Relations that cannot hold both ways round."""


@dataclass(frozen=True)
class Finding:
    """One fact and what it rests on. ``number`` counts facts from 1, in the graph's order."""

    number: int
    fact: Fact
    words: tuple[int, ...]
    """Places in :func:`planners.language.words_of` of the prompt, ascending."""
    missing: tuple[str, ...]
    """Content words of the fact that the prompt lacks."""
    against: tuple[int, ...]
    """Numbers of the facts that it contradicts in some tick."""

    @property
    def ungrounded(self) -> bool:
        """Whether the fact claims to be stated by prompt or plan while the prompt lacks its words."""
        return self.fact.source in ("prompt", "plan") and bool(self.missing)


def audit(dsg: DynamicSceneGraph) -> list[Finding]:
    """One finding per fact, in the graph's order."""
    prompt = [_roots(word) for word in words_of(dsg.prompt)]
    against: dict[int, list[int]] = {}
    for i, j in contradictions(dsg):
        against.setdefault(i, []).append(j)
        against.setdefault(j, []).append(i)
    findings = []
    for number, fact in enumerate(dsg.facts, 1):
        words, missing = _ground(fact, dsg, prompt)
        findings.append(Finding(number, fact, words, missing, tuple(against.get(number, ()))))
    return findings


def quoted(prompt: str, words: Iterable[int]) -> str:
    """Those words of the prompt, with "…" where others stand between them."""
    said, parts, last = words_of(prompt), [], None
    for place in words:
        parts += [said[place]] if last is None or place == last + 1 else ["…", said[place]]
        last = place
    return " ".join(parts)


def contradictions(dsg: DynamicSceneGraph) -> list[tuple[int, int]]:
    """Numbers of the facts, from 1 in the graph's order, that contradict each other, pair by pair."""
    return [(i, j) for (i, a), (j, b) in combinations(enumerate(dsg.facts, 1), 2) if contradict(a, b)]


def contradict(a: Fact, b: Fact) -> bool:
    """Whether two facts cannot both hold, and share a tick."""
    if a.end <= b.start or b.end <= a.start or (a.attribute is None) != (b.attribute is None):
        return False
    if (a.subject, a.object) == (b.subject, b.object):
        return frozenset((a.label.lower(), b.label.lower())) in OPPOSITES
    both_ways = a.object is not None and (a.subject, a.object) == (b.object, b.subject)
    return both_ways and a.label == b.label and a.label.lower() in ONE_WAY


def _ground(
    fact: Fact, dsg: DynamicSceneGraph, prompt: list[frozenset[str]]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Places of the fact's words in the prompt, the object's preferably behind its label's; and what is missing."""
    places, missing = _find(words_of(fact.label), prompt, 0)
    anchor = places[0] if places else 0
    for ident, towards in ((fact.subject, -1), (fact.object, 1)):
        if ident is not None:
            found, not_found = _find(words_of(dsg.object(ident).label), prompt, anchor, towards)
            places, missing = [*places, *found], [*missing, *not_found]
    return tuple(sorted(set(places))), tuple(dict.fromkeys(missing))


def _find(words: list[str], prompt: list[frozenset[str]], anchor: int, towards: int = 1) -> tuple[list[int], list[str]]:
    """Each content word's place in the prompt, preferably from ``anchor`` on in one direction, and what is missing.

    Function words count where they stand beside a word that was found.
    """
    places: list[int] = []
    missing = []
    content = [word for word in words if word not in FUNCTION_WORDS]
    function = [word for word in words if word in FUNCTION_WORDS]
    for word in content or function:
        fits = _places(word, prompt)
        if fits:
            places.append(min(fits, key=lambda place: ((place - anchor) * towards < 0, abs(place - anchor))))
        else:
            missing.append(word)
    for word in (*function, *reversed(function)) if content else ():
        places += [place for place in _places(word, prompt) if {place - 1, place + 1} & {*places}][:1]
    return places, missing


def _places(word: str, prompt: list[frozenset[str]]) -> list[int]:
    return [place for place, said in enumerate(prompt) if said & _roots(word)]


def _roots(word: str) -> frozenset[str]:
    return frozenset((word, base_form(word), singular(word)))
