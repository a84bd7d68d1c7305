"""How much of a gold scene a scene graph states, what nobody said among it."""

from __future__ import annotations

from collections import Counter

from dysenvdm.metrics import Figure
from dysenvdm.metrics.contract import Pair
from planners.dsg import DynamicSceneGraph

CAPTION_WORDS = "words"
SCENE_FIGURES = (
    Figure("scene precision", "higher", "micro"),
    Figure("scene recall", "higher", "micro"),
    Figure(CAPTION_WORDS, "neither", "mean"),
)
"""Of all facts, imagined ones too; and how many words the caption has."""


def triplets(dsg: DynamicSceneGraph) -> Counter[tuple[str, str, str]]:
    """What the graph states at any time, by labels: (subject, predicate, object), attributes without an object.

    A fact that ends and begins again counts once; what two dogs do counts for each of them.
    """
    labels = {thing.id: thing.label for thing in dsg.objects}
    statements = {(fact.subject, fact.label, fact.object) for fact in dsg.facts}
    return Counter((labels[who], what, labels[whom] if whom else "") for who, what, whom in statements)


def scene_parts(dsg: DynamicSceneGraph, gold: DynamicSceneGraph) -> dict[str, Pair]:
    """Scene precision and recall of one graph, as (right, judged)."""
    mine, theirs = triplets(dsg), triplets(gold)
    both = (mine & theirs).total()
    return {"scene precision": (both, mine.total()), "scene recall": (both, theirs.total())}
