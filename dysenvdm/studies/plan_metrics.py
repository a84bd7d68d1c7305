"""Metrics of plans against gold ones; they need the planners' language, so they live here and not with the others."""

from __future__ import annotations

from collections.abc import Sequence

from dysenvdm.metrics import Figure, Material, Measured, Metric, Settings, names, register
from dysenvdm.metrics.contract import Pair
from planners.scores import score
from planners.triplets import triplets


def _plan(material: Material, settings: Settings) -> Sequence[Measured]:
    del settings
    found = [score(item.plan, item.gold_plan) for item in material.items if item.gold_plan is not None]
    pairs: dict[str, list[Pair]] = {
        "event_precision": [(one.matched, one.planned) for one in found],
        "event_recall": [(one.matched, one.gold) for one in found],
        "event_f1": [(2 * one.matched, one.planned + one.gold) for one in found],
        "order": [(one.pairs_in_order, one.pairs) for one in found],
        "interval_iou": [(one.overlap, one.matched) for one in found],
        "right": [(float(one.right), 1) for one in found],
    }
    return [Measured(name, pairs=values) for name, values in pairs.items()]


PLAN = Metric(
    "plan",
    "events, their order and their intervals against the gold plan",
    tuple(
        Figure(name, "higher", "micro")
        for name in ("event_precision", "event_recall", "event_f1", "order", "interval_iou", "right")
    ),
    frozenset({"gold plans"}),
    _plan,
)


def _trirec(material: Material, settings: Settings) -> Sequence[Measured]:
    del settings
    counts = []
    for item in material.items:
        assert item.graph is not None
        assert item.gold_graph is not None
        mine, gold = triplets(item.graph), triplets(item.gold_graph)
        counts.append((len(mine & gold), len(mine), len(gold)))
    return [
        Measured("trirec", pairs=[(both, gold) for both, _, gold in counts]),
        Measured("precision", pairs=[(both, mine) for both, mine, _ in counts]),
    ]


TRIREC = Metric(
    "trirec",
    "triplets of the gold scene graph that the planned one has, in base forms, whenever they hold",
    (Figure("trirec", "higher", "micro"), Figure("precision", "higher", "micro")),
    frozenset({"graphs", "gold graphs"}),
    _trirec,
)

METRICS = (PLAN, TRIREC)


def register_plan_metrics() -> None:
    """Make the metrics of plans known, once."""
    for metric in METRICS:
        if metric.name not in names():
            register(metric)
