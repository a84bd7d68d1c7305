"""``python -m benchmarks.planners``: how often planners are right on captions of the Stage world.

The captions are those of the corpus's held-out seeds. Planning is stages I and II; figures are micro averages with
their 95 % bootstrap intervals over prompts. ``--output`` keeps every prompt with its plan and gold plan, to look at.

``--by events`` counts captions with one, two, ... events apart; how many there can be is the Stage world's choice.
``--by phrasing`` does so by how a caption tells its events: *single* has one, *chained* several one after the other
and told in that order, *simultaneous* some at the same time, *out of order* one told before another that happens first
("... after she waves", "before she sits, ..."). A caption may be both of the last two, and then counts in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import combinations
from typing import Any

from benchmarks.bootstrap import cell
from benchmarks.planning import Judged, contestants, judged, options_of, parser, print_table
from planners.contracts import PlanResult
from planners.dsg import ActionPlan
from planners.scores import score

FIGURES = ("right", "precision", "recall", "event F1", "order", "interval IoU")
_LED = re.compile(r"(?:(?:in|on|at) [^,]*, )?before ", re.IGNORECASE)
_LATER = re.compile(r"[a-z] after (?!that)")


def stage_gold(first: int, count: int) -> list[ActionPlan]:
    """Gold plans of held-out Stage clips; a plan's ``prompt`` is the caption."""
    from dysenvdm.stage import VAL_SEED0, sample

    return [sample(VAL_SEED0 + first + i).plan for i in range(count)]


def events(gold: ActionPlan) -> list[str]:
    """How many events a caption tells, as a group's name."""
    return [f"{len(gold.events)} event{'s' if len(gold.events) > 1 else ''}"]


def phrasing(gold: ActionPlan) -> list[str]:
    """The groups of a caption by how it tells its events."""
    if len(gold.events) == 1:
        return ["single"]
    together = any(a.start < b.end and b.start < a.end for a, b in combinations(gold.events, 2))
    turned = bool(_LED.match(gold.prompt) or _LATER.search(gold.prompt))
    return [name for name, holds in (("simultaneous", together), ("out of order", turned)) if holds] or ["chained"]


GROUPINGS: dict[str, Callable[[ActionPlan], list[str]]] = {"events": events, "phrasing": phrasing}


def judge(gold: Sequence[ActionPlan], i: int, result: PlanResult) -> dict[str, Any]:
    """The counts of one caption's plan, beside its gold plan."""
    return {**asdict(score(result.plan, gold[i])), "gold_plan": gold[i].model_dump(mode="json", exclude={"prompt"})}


def figures(lines: Judged) -> list[str]:
    """:data:`FIGURES` of some captions; see :func:`planners.scores.summary`."""
    wholes: list[Callable[[dict[str, Any]], tuple[float, float]]] = [
        lambda line: (line["right"], 1),
        lambda line: (line["matched"], line["planned"]),
        lambda line: (line["matched"], line["gold"]),
        lambda line: (2 * line["matched"], line["planned"] + line["gold"]),
        lambda line: (line["pairs_in_order"], line["pairs"]),
        lambda line: (line["overlap"], line["matched"]),
    ]
    return [cell([parts(line) for line in lines]) for parts in wholes]


def main() -> None:
    commands = parser("planners", __doc__, "smollm2")
    commands.add_argument("--first", type=int, default=6000, help="first caption, counted from the first held-out seed")
    commands.add_argument("--prompts", type=int, default=40)
    commands.add_argument("--by", choices=tuple(GROUPINGS), help="also a row for each number of events, or phrasing")
    with options_of(commands) as arguments:
        gold = stage_gold(arguments.first, arguments.prompts)
        rows = []
        for label, planner in contestants(arguments, imagine=False):
            prompts = [plan.prompt for plan in gold]
            lines = judged(arguments, label, planner, prompts, gold[0].ticks, partial(judge, gold))
            rows.append((label, str(len(lines)), *figures(lines)))
            groups: dict[str, Judged] = {}
            for plan, line in zip(gold, lines, strict=False) if arguments.by else ():
                for name in GROUPINGS[arguments.by](plan):
                    groups.setdefault(name, []).append(line)
            rows += [(f"  {name}", str(len(found)), *figures(found)) for name, found in sorted(groups.items())]
    seeds = f"Stage captions of held-out seeds {arguments.first} to {arguments.first + arguments.prompts - 1}"
    print_table(f"{seeds}; 95 % bootstrap intervals over prompts", ("planner", "n", *FIGURES), rows)


if __name__ == "__main__":
    main()
