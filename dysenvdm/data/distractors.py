"""Facts that a planner may imagine and a video of the Stage world does not show.

A language model adds "smiling" or "wooden" to a scene; a network that has only seen colours would take it for
something to draw. Trained with some, it learns to pass them over.
"""

from __future__ import annotations

import numpy as np

from planners.dsg import DynamicSceneGraph, Fact

ATTRIBUTES = (
    *("smiling", "happy", "tired", "wet", "dusty", "wooden", "old", "new", "shiny", "soft", "heavy", "clean", "quiet"),
    *("excited", "calm", "curious", "friendly", "hungry", "barefoot", "long-haired", "concentrated", "surprised"),
    *("proud", "playful", "careful", "relaxed", "nervous", "thirsty", "striped", "spotted", "fluffy", "muddy"),
    *("broken", "open", "empty", "full", "round", "square", "small", "tall", "young", "fast", "slow", "warm", "cold"),
)
RELATIONS = (
    *("near", "next to", "in front of", "behind", "look at", "far from", "left of", "right of", "face", "beside"),
    *("close to", "watch", "belong to", "larger than", "smaller than", "hear", "like", "across from", "follow", "with"),
)
MOST = 4


def distracted(dsg: DynamicSceneGraph, rng: np.random.Generator) -> DynamicSceneGraph:
    """The DSG with one to ``MOST`` imagined facts about its objects, true in some run of ticks; empty stays empty."""
    names = [thing.id for thing in dsg.objects]
    if not names:
        return dsg
    facts = []
    for _ in range(rng.integers(1, MOST + 1)):
        start, end = (
            (0, dsg.ticks) if rng.random() < 0.5 else sorted(rng.choice(dsg.ticks + 1, 2, replace=False).tolist())
        )
        subject, *others = rng.permutation(names).tolist()
        said: dict[str, str] = {"attribute": ATTRIBUTES[rng.integers(len(ATTRIBUTES))]}
        if others and rng.random() < 0.5:
            said = {"predicate": RELATIONS[rng.integers(len(RELATIONS))], "object": others[0]}
        facts.append(
            Fact.model_validate({"subject": subject, **said, "start": start, "end": end, "source": "imagined"})
        )
    return dsg.extended(facts)
