"""Saying in English what the facts of a dynamic scene graph predicate: "walks to", "begins to walk to", "walking to".

Source: ours.
"""

from __future__ import annotations

from typing import Literal

from planners.dsg import Fact
from planners.language import PREPOSITIONS, base_form, present_participle, third_person, word_set

Phase = Literal["whole", "begin", "middle", "end"]
"""What is told of an event: all of it, or how far it has run."""
STATES = word_set("sit stand lie sleep hold wear look watch see wait rest kneel crouch hang lean own stay")
"""Verbs of which no phase is told: who sits does not begin to sit."""


PLACES = frozenset(("next to", "away from", "left of", "right of"))
"""Relations that begin with a word which is no preposition alone."""


def is_relation(fact: Fact) -> bool:
    """Whether a predicate says where or how something is and not what it does: "in", "next to", "taller than"."""
    words = [word for word in fact.label.split() if word not in ("be", "is", "are")]
    return not words or words[0] in PREPOSITIONS or " ".join(words[:2]) in PLACES or words[1:] == ["than"]


def conjugated(predicate: str, form: Phase | Literal["doing"], *, several: bool = False) -> str:
    """A predicate as it is said of one subject or several: "walks to", "begins to walk to", "walking to"."""
    verb, *rest = _base(predicate.split())
    state = verb in STATES and not set(rest) & {"up", "down"}
    be = "are" if several else "is"
    if form == "doing":
        said = present_participle(verb)
    elif form == "whole" or verb in ("be", "have"):
        said = ({"be": "are"}.get(verb, verb)) if several else third_person(verb)
    elif form == "middle" or state:
        said = f"{be} {present_participle(verb)}"
    elif form == "begin":
        said = f"{'begin' if several else 'begins'} to {verb}"
    else:
        said = f"{'finish' if several else 'finishes'} {present_participle(verb)}"
    return " ".join([said, *rest])


def _base(words: list[str]) -> list[str]:
    """A predicate's words with its verb in the base form, which most have: "is holding" is "hold"."""
    if len(words) > 1 and words[0] in ("is", "are", "being") and words[1].endswith("ing"):
        words = words[1:]
    return [base_form(words[0]) if words[0].endswith("ing") else words[0], *words[1:]]
