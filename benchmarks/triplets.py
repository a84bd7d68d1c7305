"""``python -m benchmarks.triplets``: are the triplets of a plan's first scene graph those of a gold scene graph?

The captions are FACTUAL's (``random_dev.csv``: a ``caption`` and its ``scene_graph`` per row), of still pictures. The
planner's triplets are the facts of tick 0 after stage II: (subject, predicate, object), with "is" for an attribute and
for an action without a target. Gold entries that are no triplet, "( machine )", are left out. A thing's label is
compared in the singular and every other word in its base form, without articles and forms of "be"; copies of a triplet
count once. With *synonyms* two labels, or two predicates, also agree where the cosine of their embeddings
(all-MiniLM-L6-v2, mean of tokens) is at least ``--threshold``; triplets are then matched one to one, as many as
possible. Figures are micro averages over captions.

A planner of actions finds little to plan in "white stove in a kitchen". The second row of each planner therefore
counts only the captions for which it has a plan.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.planning import Judged, contestants, judged, options_of, parser, print_table
from dysenvdm.metrics.bootstrap import cell
from planners.contracts import PlanResult
from planners.dsg import UserError
from planners.triplets import Triplet, normal, triplets

TICKS = 8
THRESHOLD = 0.8
"""Above what the encoder gives to opposites ("black", "white": 0.76), below "street" and "road" (0.81)."""

Same = Callable[[str, str], bool]


@dataclass(frozen=True)
class Item:
    """A caption and its gold triplets."""

    caption: str
    gold: frozenset[Triplet]


def load(path: Path) -> list[Item]:
    """The captions that have gold triplets; raises :class:`UserError` where the file is not one of FACTUAL's."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            items = [Item(row["caption"], gold_triplets(row["scene_graph"])) for row in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a table with caption and scene_graph ({error!r})") from None
    return [item for item in items if item.gold]


def gold_triplets(text: str) -> frozenset[Triplet]:
    """The triplets of "( ice , on , ground ) , ( ice , is , cold )", in base forms."""
    found = (part.split(" , ") for part in re.findall(r"\(\s*([^()]*?)\s*\)", text))
    return frozenset(normal(*part) for part in found if len(part) == 3)


def matched(mine: frozenset[Triplet], gold: frozenset[Triplet], same: Same) -> int:
    """How many triplets agree part by part, each with one other at most: a largest matching, found by augmenting."""
    wanted = sorted(gold)
    fits = {a: [b for b in wanted if all(map(same, a, b))] for a in sorted(mine)}
    taken: dict[Triplet, Triplet] = {}

    def place(a: Triplet, tried: set[Triplet]) -> bool:
        for b in fits[a]:
            if b not in tried:
                tried.add(b)
                if b not in taken or place(taken[b], tried):
                    taken[b] = a
                    return True
        return False

    return sum(place(a, set()) for a in fits)


def synonyms(threshold: float, items: Sequence[Item]) -> Same:
    """Whether two texts mean about the same, by the store's text encoder; raises :class:`UserError` without it."""
    from dysenvdm.text import TextEncoder

    encoder = TextEncoder.from_store()
    encoder.embed(sorted({part for item in items for triplet in item.gold for part in triplet if part}))  # at once

    def same(a: str, b: str) -> bool:
        if a == b or not a or not b:
            return a == b
        first, second = encoder.embed([a, b])
        return float(first @ second) >= threshold

    return same


def _equal(a: str, b: str) -> bool:
    return a == b


def judge(items: Sequence[Item], same: Same, i: int, result: PlanResult) -> dict[str, Any]:
    """Counts of one caption's triplets."""
    mine, gold = triplets(result.stages["converted"], 0), items[i].gold
    counts = {"exact": matched(mine, gold, _equal), "synonyms": matched(mine, gold, same)}
    sizes = {"planned": len(mine), "gold": len(gold), "has_plan": result.plan is not None}
    return {**counts, **sizes, "mine": sorted(mine), "wanted": sorted(gold)}


def main() -> None:
    commands = parser("triplets", __doc__)
    commands.add_argument("--captions", type=Path, required=True, help="FACTUAL's random_dev.csv")
    commands.add_argument("--threshold", type=float, default=THRESHOLD, help=f"cosine of synonyms; {THRESHOLD}")
    with options_of(commands) as arguments:
        items = load(arguments.captions)
        same = synonyms(arguments.threshold, items[: arguments.limit])
        rows = []
        for label, planner in contestants(arguments, imagine=False):
            verdict = partial(judge, items, same)
            lines = judged(arguments, label, planner, [item.caption for item in items], TICKS, verdict)
            for name, kept in ((label, lines), (f"{label}, with a plan", [x for x in lines if x["has_plan"]])):
                rows += [(name, str(len(kept)), how, *_figures(kept, how)) for how in ("exact", "synonyms")]
    print_table(
        f"{arguments.captions.name}; synonyms from cosine {arguments.threshold:g} on; micro averages, "
        "95 % bootstrap intervals over captions",
        ("planner", "captions", "matching", "precision", "recall", "F1"),
        rows,
    )


def _figures(lines: Judged, how: str) -> tuple[str, str, str]:
    return (
        cell([(line[how], line["planned"]) for line in lines]),
        cell([(line[how], line["gold"]) for line in lines]),
        cell([(2 * line[how], line["planned"] + line["gold"]) for line in lines]),
    )


if __name__ == "__main__":
    main()
