"""How well a plan agrees with a gold plan: events, their order, their intervals. Source: ours.

Objects are matched first, since two plans may give one thing different ids: equal labels, then most attributes in
common, then order of mention. Everything else is compared through that match.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from planners.dsg import ActionPlan, Event
from planners.event_conversion import convert
from planners.language import PREPOSITIONS, words_of

_WORN = re.compile(r"^(?:who wears|wearing|dressed in) ")
Statement = tuple[str, str, str | None]
"""(agent, predicate, target), the ids being those of the gold plan."""


@dataclass(frozen=True)
class PlanScore:
    """Counts of one prompt's plan, so that many can be added up."""

    planned: int
    """Events of the plan."""
    gold: int
    """Events of the gold plan."""
    matched: int
    """Events in both: agent, predicate and target are equal."""
    pairs: int
    """Pairs of matched events."""
    pairs_in_order: int
    """Those whose relation in time (before, at the same time, after) is the gold plan's."""
    overlap: float
    """Sum over matched events of the intersection over union of their intervals."""
    right: bool
    """Nothing is wrong but, perhaps, how long things last: objects, attributes, events, order."""


@dataclass(frozen=True)
class Summary:
    """Scores of many prompts; fractions in [0, 1], nan where there is nothing to divide by."""

    prompts: int
    precision: float
    recall: float
    f1: float
    order: float
    interval_iou: float
    right: float


def score(plan: ActionPlan | None, gold: ActionPlan) -> PlanScore:
    """Compare a plan with the gold plan of the same prompt; no plan at all has no events."""
    if plan is None:
        return PlanScore(0, len(gold.events), 0, 0, 0, 0.0, right=False)
    ids = _matched_objects(plan, gold)
    pairs = _matched_events(plan, gold, ids)
    relations = [(_relation(a, b), _relation(c, d)) for (a, c), (b, d) in combinations(pairs, 2)]
    in_order = sum(mine == golden for mine, golden in relations)
    everything = len(pairs) == len(plan.events) == len(gold.events) and in_order == len(relations)
    same_objects = len(ids) == len(plan.objects) == len(gold.objects)
    attributes = {(ids.get(ident, ident), text) for ident, text in _said(plan)}
    return PlanScore(
        planned=len(plan.events),
        gold=len(gold.events),
        matched=len(pairs),
        pairs=len(relations),
        pairs_in_order=in_order,
        overlap=sum(_interval_iou(mine, golden) for mine, golden in pairs),
        right=everything and same_objects and attributes == _said(gold),
    )


def reward(plan: ActionPlan | None, gold: ActionPlan) -> float:
    """How good a plan is, in [0, 1]: 1 is the gold plan, 0 is no plan.

    The mean of four figures that each lie in [0, 1]: event F1; the intervals' intersection over union, over all events
    of the longer plan; precision and recall of the triplets of stage II (TriRec counts recall alone, and the paper's
    1/FVD has no bound). Source: ours, after Dysen-VDM's reinforced in-context learning.
    """
    if plan is None:
        return 0.0
    found = score(plan, gold)
    both, mine, theirs = triplet_counts(plan, gold)
    f1 = 2 * found.matched / max(1, found.planned + found.gold)
    overlap = found.overlap / max(1, found.planned, found.gold)
    return mean((f1, overlap, both / max(1, mine), both / max(1, theirs)))


def triplet_counts(plan: ActionPlan | None, gold: ActionPlan) -> tuple[int, int, int]:
    """Triplets of stage II that both plans state, those of the plan, those of the gold plan."""
    theirs = _triplets(gold, {thing.id: thing.id for thing in gold.objects})
    mine = _triplets(plan, _matched_objects(plan, gold)) if plan else set()
    return len(mine & theirs), len(mine), len(theirs)


def _triplets(plan: ActionPlan, ids: Mapping[str, str]) -> set[tuple[str, str, str, str]]:
    """What the plan's scene graph states at any time; things that ``ids`` does not rename are nobody's."""
    facts = (fact.statement for fact in convert(plan).facts)
    return {(ids.get(who, f"?{who}"), what, ids.get(whom, whom and f"?{whom}"), how) for who, what, whom, how in facts}


def summary(scores: Sequence[PlanScore]) -> Summary:
    """All prompts' events and pairs together (micro averages), and the share of plans that are right."""
    planned, gold, matched = (sum(getattr(s, name) for s in scores) for name in ("planned", "gold", "matched"))
    return Summary(
        prompts=len(scores),
        precision=_share(matched, planned),
        recall=_share(matched, gold),
        f1=_share(2 * matched, planned + gold),
        order=_share(sum(s.pairs_in_order for s in scores), sum(s.pairs for s in scores)),
        interval_iou=_share(sum(s.overlap for s in scores), matched),
        right=mean(s.right for s in scores) if scores else float("nan"),
    )


def _matched_objects(plan: ActionPlan, gold: ActionPlan) -> dict[str, str]:
    """Ids of the plan's objects -> ids of the gold plan's."""
    mine, theirs = _attributes(plan), _attributes(gold)
    candidates = [
        (-len(mine[a.id] & theirs[b.id]), abs(i - j), i, j)
        for i, a in enumerate(plan.objects)
        for j, b in enumerate(gold.objects)
        if a.label == b.label
    ]
    matched: dict[int, int] = {}
    for *_, i, j in sorted(candidates):
        if i not in matched and j not in matched.values():
            matched[i] = j
    return {plan.objects[i].id: gold.objects[j].id for i, j in matched.items()}


def _attributes(plan: ActionPlan) -> dict[str, frozenset[str]]:
    said = _said(plan)
    return {thing.id: frozenset(text for i, text in said if i == thing.id) for thing in plan.objects}


def _said(plan: ActionPlan) -> set[tuple[str, str]]:
    """The plan's (object id, attribute) pairs, however told: "small brown" is "small" and "brown", and what somebody
    wears is "in red coat", whatever the article, whether "wearing" it or "in" it.
    """
    found = set()
    for ident, text in plan.attributes:
        words = [word for word in words_of(_WORN.sub("in ", text)) if word not in ("a", "an", "the")]
        found |= {(ident, " ".join(words))} if words[0] in PREPOSITIONS else {(ident, word) for word in words}
    return found


def _matched_events(plan: ActionPlan, gold: ActionPlan, ids: dict[str, str]) -> list[tuple[Event, Event]]:
    """Pairs (the plan's event, the gold plan's) that say the same; of several the first with the first."""
    left = list(gold.events)
    pairs = []
    for event in plan.events:
        target = None if event.target is None else ids.get(event.target, "")
        said: Statement = (ids.get(event.agent, ""), event.predicate, target)
        same = next((other for other in left if (other.agent, other.predicate, other.target) == said), None)
        if same is not None:
            left.remove(same)
            pairs.append((event, same))
    return pairs


def _relation(a: Event, b: Event) -> int:
    """-1 where a ends before b begins, 1 the other way round, 0 where they overlap."""
    if a.end <= b.start:
        return -1
    return 1 if b.end <= a.start else 0


def _interval_iou(a: Event, b: Event) -> float:
    both = min(a.end, b.end) - max(a.start, b.start)
    return max(0, both) / (max(a.end, b.end) - min(a.start, b.start)) if both > 0 else 0.0


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
