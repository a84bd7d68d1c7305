"""Stage II, event-to-DSG conversion: deterministic, no language model. Source: Dysen-VDM section 3.2, step II."""

from __future__ import annotations

from planners.dsg import ActionPlan, DynamicSceneGraph, Fact
from planners.language import LOCATIVE, words_of


def convert(plan: ActionPlan) -> DynamicSceneGraph:
    """The plan as facts: each event in its ticks (source "plan"), what the prompt states in all ticks (source
    "prompt").

    An object that neither acts nor is acted on is a place: every agent is there, with the prompt's own preposition
    ("on" the beach, "in" where the prompt has none). Events that say the same in overlapping ticks become one fact.
    """
    whole = {"start": 0, "end": plan.ticks, "source": "prompt"}
    agents = list(dict.fromkeys(event.agent for event in plan.events))
    involved = set(agents) | {event.target for event in plan.events}
    facts = [
        Fact(subject=e.agent, predicate=e.predicate, object=e.target, start=e.start, end=e.end, source="plan")
        for e in plan.events
    ]
    facts += [Fact(subject=ident, attribute=text, **whole) for ident, text in plan.attributes]
    for place in plan.objects:
        if place.id not in involved:
            preposition = _preposition(plan.prompt, place.label)
            facts += [Fact(subject=agent, predicate=preposition, object=place.id, **whole) for agent in agents]
    return DynamicSceneGraph(prompt=plan.prompt, ticks=plan.ticks, objects=plan.objects).extended(facts)


def _preposition(prompt: str, label: str) -> str:
    """The preposition of place before the label's last mention, at most three words earlier ("on a wide beach")."""
    words, name = words_of(prompt), words_of(label)
    for i in reversed(range(len(words) - len(name) + 1)):
        if words[i : i + len(name)] == name:
            found = [word for word in words[max(0, i - 3) : i] if word in LOCATIVE]
            if found:
                return found[-1]
    return "in"
