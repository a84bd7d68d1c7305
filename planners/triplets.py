"""Triplets in base forms, so that graphs of different planners and annotators can be compared word by word."""

from __future__ import annotations

from planners.dsg import DynamicSceneGraph
from planners.language import DETERMINERS, base_form, singular, words_of

Triplet = tuple[str, str, str]
"""(subject, predicate, object); "is" stands before an attribute and before an action without a target."""


def triplets(dsg: DynamicSceneGraph, tick: int | None = None) -> frozenset[Triplet]:
    """The triplets of a graph's tick, or of all of it, in base forms; copies of one count once."""
    labels = {thing.id: thing.label for thing in dsg.objects}
    return frozenset(
        normal(labels[fact.subject], fact.label, labels[fact.object])
        if fact.object is not None
        else normal(labels[fact.subject], "is", fact.label)
        for fact in (dsg.facts if tick is None else dsg.at(tick).facts)
    )


def normal(subject: str, predicate: str, other: str) -> Triplet:
    """A triplet in base forms; a predicate of nothing but "be" is "is"."""
    relation = _base(predicate)
    return _thing(subject), relation or "is", _thing(other) if relation else _base(other)


def _thing(label: str) -> str:
    return " ".join(singular(word) for word in words_of(label) if word not in DETERMINERS)


def _base(text: str) -> str:
    bases = (base_form(word) for word in words_of(text) if word not in DETERMINERS)
    return " ".join(base for base in bases if base != "be")
