"""Figures by what is asked of a video: how many events and actors, how long its prompt is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dysenvdm.metrics.bootstrap import share
from dysenvdm.metrics.contract import Item, Pair, Result
from dysenvdm.metrics.registry import find
from dysenvdm.metrics.report import ARROWS, number
from dysenvdm.stage.faithfulness import Asked, asked

TITLES = {"events": "number of events", "actors": "number of actors", "words": "words of the caption"}
Groups = dict[str, list[dict[str, Any]]]
"""By key of :data:`TITLES` its groups, as JSON data: ``group`` (its name), ``n`` (items in it) and ``figures``."""


def in_groups(results: Sequence[Result], items: Sequence[Item]) -> Groups:
    """Every figure that holds items against gold, once more for each group of items.

    ``judged`` says of how many things (events, say) a group's figure is. Empty where there is no such figure, or where
    an item lacks its prompt or its gold scene graph, which is read in the words of the Stage world.
    """
    told = [one for one in results if one.pairs and find(one.metric).needs & {"gold graphs", "gold plans"}]
    wanted = [
        (item, item.prompt, asked(item.gold_graph, item.gold_graph.ticks))
        for item in items
        if item.prompt is not None and item.gold_graph is not None
    ]
    if not told or len(wanted) < len(items):
        return {}
    found: Groups = {}
    for key, place in _PLACES.items():
        members: dict[tuple[int, str], list[str]] = {}
        for item, prompt, wishes in wanted:
            members.setdefault(place(prompt, wishes), []).append(item.id)
        found[key] = [
            {"group": name, "n": len(ids), "figures": {one.name: _figure(one, ids) for one in told}}
            for (_, name), ids in sorted(members.items())
        ]
    return found


def markdown(groups: Groups, results: Sequence[Result]) -> str:
    """A table for every way to group: a row per figure, a column per group."""
    arrows = {one.name: f"{one.name} {ARROWS[one.direction]}".strip() for one in results}
    lines = []
    for key, found in groups.items():
        heads = ["metric", *(f"{group['group']} (n {group['n']})" for group in found)]
        rows = [[arrows[name], *(_cell(group["figures"][name]) for group in found)] for name in found[0]["figures"]]
        lines += [f"## By {TITLES[key]}", "", "Value (95 % interval) [floor, ceiling].", ""]
        lines += [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)] + [""]
    return "\n".join(lines)


def _tens(prompt: str) -> tuple[int, str]:
    first = len(prompt.split()) // 10 * 10
    return first, f"{first}-{first + 9}"


def _counted(number: int) -> tuple[int, str]:
    return number, str(number)


_PLACES: dict[str, Callable[[str, Asked], tuple[int, str]]] = {
    "events": lambda _, wishes: _counted(len(wishes.events)),
    "actors": lambda _, wishes: _counted(len(wishes.looks)),
    "words": lambda prompt, _: _tens(prompt),
}
"""A group's order and name."""


def _figure(result: Result, ids: Sequence[str]) -> dict[str, Any]:
    pairs = [result.pairs[ident] for ident in ids]
    found = share(pairs)
    return {
        "value": found[0] if found else None,
        "interval": found[1:] if found else None,
        "judged": sum(judged for _, judged in pairs),
        "floor": _value(result.floor_pairs, ids),
        "ceiling": _value(result.ceiling_pairs, ids),
    }


def _value(pairs: Mapping[str, Pair], ids: Sequence[str]) -> float | None:
    right, judged = (sum(pairs[ident][i] for ident in ids if ident in pairs) for i in (0, 1))
    return right / judged if judged else None


def _cell(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "-"
    low, high = figure["interval"]
    bounds = [number(figure[name]) for name in ("floor", "ceiling")]
    said = f"{number(figure['value'])} ({number(low)}-{number(high)})"
    return said if bounds == ["-", "-"] else f"{said} [{', '.join(bounds)}]"
