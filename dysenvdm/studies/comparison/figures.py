"""The columns of a comparison, each prompt's part in them, and what all prompts together give.

A prompt's part is a pair: (what is right, what was judged), or (an amount, 1). A column that cannot be judged for a
prompt (no gold plan, no language model, no video) has no part of it, and says how many prompts it is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from dysenvdm.metrics import Figure, Item, Material, measure
from dysenvdm.metrics.bootstrap import difference, holm, share
from dysenvdm.metrics.contract import Pair
from dysenvdm.stage.faithfulness import Faithfulness
from dysenvdm.studies.comparison.plans import Planned
from dysenvdm.studies.comparison.prompts import Asked
from dysenvdm.studies.plan_metrics import register_plan_metrics
from planners.audit import audit
from planners.dsg import STATED, ActionPlan, DynamicSceneGraph
from planners.scores import triplet_counts

Unit = Literal["", "s", "GB", "money"]
Parts = dict[str, Pair]
"""A prompt's part in each column, by name."""


@dataclass(frozen=True)
class Column:
    """A figure with its place in the report. ``absent`` says why a planner may have none of it."""

    figure: Figure
    group: str
    about: str
    unit: Unit = ""
    absent: str = "-"

    @property
    def name(self) -> str:
        return self.figure.name


def _share(
    name: str, group: str, about: str, absent: str = "-", better: Literal["higher", "lower"] = "higher"
) -> Column:
    return Column(Figure(name, better, "micro"), group, about, absent=absent)


def _amount(
    name: str, group: str, about: str, unit: Unit = "", absent: str = "-", better: Literal["lower", "neither"] = "lower"
) -> Column:
    return Column(Figure(name, better, "mean"), group, about, unit, absent)


PLANS, GOLD, IMAGINED, COSTS, VIDEOS = (
    "Plans", "Plans against gold plans", "Imagination", "What it takes", "Videos, as the referee sees them",
)  # fmt: skip
_NO_GOLD, _NO_LLM = "no gold", "no LLM"

COLUMNS = (
    _share("schema-valid", PLANS, "prompts whose questions all ended with a reply that obeys its schema", _NO_LLM),
    _amount("repairs", PLANS, "questions asked again, per prompt", absent=_NO_LLM),
    _share("degraded", PLANS, "prompts where a step failed, those without a plan among them", better="lower"),
    _share("without plan", PLANS, "prompts for which no plan was found", better="lower"),
    _share("event F1", GOLD, "events whose agent, action and target are the gold plan's", _NO_GOLD),
    _share("order", GOLD, "pairs of such events in the gold plan's order", _NO_GOLD),
    _share("interval IoU", GOLD, "overlap in time of such events with the gold plan's", _NO_GOLD),
    _share("triplet precision", GOLD, "stated triplets that the gold plan states", _NO_GOLD),
    _share("triplet recall", GOLD, "the gold plan's triplets that are stated", _NO_GOLD),
    _share("right", GOLD, "plans in which nothing is wrong but how long things last", _NO_GOLD),
    _amount("imagined per tick", IMAGINED, "facts that neither prompt nor plan state, per tick", better="neither"),
    _share("imagined, consistent", IMAGINED, "imagined facts that contradict no other fact", "none imagined"),
    _share("imagination refused", IMAGINED, "replies of stage III that its checks refused", _NO_LLM, "lower"),
    _share("stated, grounded", IMAGINED, "facts said to be stated whose words the prompt has", "none stated"),
    _amount("LLM calls", COSTS, "per prompt, repairs among them", absent=_NO_LLM),
    _amount("tokens in", COSTS, "of questions, per prompt", absent=_NO_LLM),
    _amount("tokens out", COSTS, "of replies, per prompt", absent=_NO_LLM),
    _amount("seconds", COSTS, "per prompt, in batches, without loading", "s"),
    _amount("load seconds", COSTS, "until the planner could begin", "s"),
    _amount("RAM", COSTS, "the most that the whole process held while this planner was loaded", "GB"),
    _amount("GPU memory", COSTS, "the most that was allocated while this planner was loaded", "GB", "no GPU"),
    _amount("cost", COSTS, "per 1000 prompts, by the prices given", "money", "no price"),
    _share("events shown", VIDEOS, "gold events that are seen: actor, action and target", _NO_GOLD),
    _share("of events seen", VIDEOS, "seen events that the gold plan asks for", _NO_GOLD),
    _share("right actor", VIDEOS, "of gold actions that are seen, those that the right actor does", _NO_GOLD),
    _share("order shown", VIDEOS, "pairs of shown events in the gold order", _NO_GOLD),
    _share("IoU shown", VIDEOS, "overlap in time of shown events with the gold ones", _NO_GOLD),
    _share("actors shown", VIDEOS, "gold actors that are seen", _NO_GOLD),
    _share("own events shown", VIDEOS, "events of the planner's own graph that are seen", "none planned"),
)  # fmt: skip
LEAST_TESTED = 10
"""Prompts; of fewer a bootstrap finds differences that are none."""
MEASURED = frozenset(("seconds", "load seconds", "RAM", "GPU memory"))
"""Columns that another run of the same plans would not repeat to the digit; planners are not tested on them."""
AGAINST_GOLD = {"event_f1": "event F1", "order": "order", "interval_iou": "interval IoU", "right": "right"}
"""Figures of the metric ``plan`` -> columns."""
SHOWN = {
    "events shown": "recall", "of events seen": "precision", "right actor": "right_actor", "order shown": "order",
    "IoU shown": "interval_iou", "actors shown": "actors",
}  # fmt: skip
"""Columns of videos -> figures of :class:`Faithfulness`."""


def plan_parts(records: Sequence[Planned], asked: Sequence[Asked], price: tuple[float, float] | None) -> list[Parts]:
    """What each prompt's plan contributes."""
    golden = _gold_parts(records, asked)
    return [_own_parts(record, price) | gold for record, gold in zip(records, golden, strict=True)]


def _own_parts(record: Planned, price: tuple[float, float] | None) -> Parts:
    """What can be said of a plan by itself."""
    calls, measured = record["calls"], record["measured"]
    parts: Parts = {
        "degraded": (record["status"] in ("degraded", "failed"), 1),
        "without plan": (record["plan"] is None, 1),
    }
    if measured is not None:
        parts |= {
            "seconds": (measured["seconds"], 1),
            "load seconds": (measured["load_seconds"], 1),
            "RAM": (measured["ram_bytes"] / 1e9, 1),
        }
        if measured["gpu_bytes"]:
            parts["GPU memory"] = (measured["gpu_bytes"] / 1e9, 1)
    if record["engine"] is not None:
        told, replied = (sum(call[name] for call in calls) for name in ("prompt_tokens", "completion_tokens"))
        imagining = [call for call in calls if call["step"].startswith(("imagine", "polish"))]
        ends = [call for call, after in zip(calls, [*calls[1:], {"attempt": 0}], strict=True) if after["attempt"] == 0]
        parts |= {
            "repairs": (sum(call["attempt"] > 0 for call in calls), 1),
            "imagination refused": (sum(call["error"] is not None for call in imagining), len(imagining)),
            "LLM calls": (len(calls), 1),
            "tokens in": (told, 1),
            "tokens out": (replied, 1),
        }
        if all(call["obeys"] is not None for call in calls):
            parts["schema-valid"] = (bool(ends) and all(call["obeys"] for call in ends), 1)
        if price is not None:
            parts["cost"] = ((told * price[0] + replied * price[1]) / 1000, 1)
    return parts | _graph_parts(DynamicSceneGraph.parse(record["dsg"]))


def _graph_parts(dsg: DynamicSceneGraph) -> Parts:
    findings = audit(dsg)
    imagined = [found for found in findings if found.fact.source not in STATED]
    stated = [found for found in findings if found.fact.source in ("prompt", "plan")]
    return {
        "imagined per tick": (sum(found.fact.end - found.fact.start for found in imagined) / dsg.ticks, 1),
        "imagined, consistent": (sum(not found.against for found in imagined), len(imagined)),
        "stated, grounded": (sum(not found.ungrounded for found in stated), len(stated)),
    }


def _gold_parts(records: Sequence[Planned], asked: Sequence[Asked]) -> list[Parts]:
    """For each prompt the figures of the metric ``plan``, and of stage II's triplets; none without a gold plan."""
    register_plan_metrics()
    plans = [ActionPlan.model_validate(record["plan"]) if record["plan"] else None for record in records]
    found: list[Parts] = [{} for _ in records]
    items = [Item(id=str(i), plan=plans[i], gold_plan=one.gold_plan) for i, one in enumerate(asked) if one.gold_plan]
    for result in measure("plan", Material(items)) if items else ():
        if result.figure in AGAINST_GOLD:
            for ident, pair in result.pairs.items():
                found[int(ident)][AGAINST_GOLD[result.figure]] = pair
    for part, plan, one in zip(found, plans, asked, strict=True):
        if one.gold_plan:
            both, mine, theirs = triplet_counts(plan, one.gold_plan)
            part |= {"triplet precision": (both, mine), "triplet recall": (both, theirs)}
    return found


def shown_parts(gold: Faithfulness | None, own: Faithfulness | None = None) -> Parts:
    """What a prompt's videos contribute: held against the gold graph, and against the planner's own."""
    parts: Parts = {}
    if gold is not None:
        parts |= {name: getattr(gold, figure) for name, figure in SHOWN.items()}
    if own is not None:
        parts["own events shown"] = own.recall
    return parts


@dataclass(frozen=True)
class Cell:
    """A column's value for one planner with its 95 % bootstrap interval; ``prompts`` could be judged."""

    value: float
    low: float
    high: float
    prompts: int


def cells(parts: Sequence[Parts]) -> dict[str, Cell]:
    """Every column of one planner; those with nothing to judge are left out."""
    found = {}
    for column in COLUMNS:
        pairs = [part[column.name] for part in parts if column.name in part]
        if column.name in ("load seconds", "RAM", "GPU memory") and pairs:
            value = max(amount for amount, _ in pairs)  # of the planner, not of prompts
            found[column.name] = Cell(value, value, value, len(pairs))
        elif (whole := share(pairs)) is not None:
            found[column.name] = Cell(*whole, prompts=len(pairs))
    return found


def significance(parts: Mapping[str, Sequence[Parts]]) -> list[dict[str, Any]]:
    """For each column every two planners: the paired difference over the prompts that both can be judged on.

    Planners with fewer than :data:`LEAST_TESTED` such prompts are not tested.
    ``p_holm`` is corrected for the number of pairs of planners in the column.
    """
    rows: list[dict[str, Any]] = []
    for column in COLUMNS:
        if column.name in MEASURED:
            continue
        tested = []
        for (a, first), (b, second) in combinations(parts.items(), 2):
            both = [
                (x[column.name], y[column.name])
                for x, y in zip(first, second, strict=True)
                if column.name in x and column.name in y
            ]
            enough = len(both) >= LEAST_TESTED
            found = difference([x for x, _ in both], [y for _, y in both]) if enough else None
            if found is not None:
                gain, low, high, p = found
                told = {"column": column.name, "first": a, "second": b, "prompts": len(both)}
                tested.append((told | {"difference": gain, "low": low, "high": high, "p": p}, p))
        corrected = holm([p for _, p in tested])
        rows += [row | {"p_holm": p} for (row, _), p in zip(tested, corrected, strict=True)]
    return rows
