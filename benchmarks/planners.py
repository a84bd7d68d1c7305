"""``python -m benchmarks.planners``: how often planners are right on captions of the Stage world.

The captions are those of the corpus's held-out seeds. Planning is stages I and II; figures are micro averages with
their 95 % bootstrap intervals over prompts. ``--output`` keeps every prompt with its plan and gold plan, to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from planners.dsg import ActionPlan
from planners.scores import PlanScore, Summary, score, summary

FIGURES = ("right", "precision", "recall", "f1", "order", "interval_iou")
RESAMPLES = 2000


def stage_gold(first: int, count: int) -> list[ActionPlan]:
    """Gold plans of held-out Stage clips; a plan's ``prompt`` is the caption."""
    from dysenvdm.stage import VAL_SEED0, sample

    return [sample(VAL_SEED0 + first + i).plan for i in range(count)]


def measure(name: str, gold: Sequence[ActionPlan], output: Path | None) -> list[PlanScore]:
    """Plan all captions in one batch and compare."""
    from planners.plugins import get_planner

    planner = get_planner(name, imagine=False)
    results = planner.plan([plan.prompt for plan in gold], ticks=gold[0].ticks, seed=0)
    scores = [score(result.plan, plan) for result, plan in zip(results, gold, strict=True)]
    if output:
        with output.open("a", encoding="utf-8") as file:
            for result, plan, found in zip(results, gold, scores, strict=True):
                mine = result.plan.model_dump(mode="json") if result.plan else None
                line = {"planner": name, "prompt": plan.prompt, "right": found.right, "degraded": result.degraded}
                file.write(json.dumps({**line, "plan": mine, "gold": plan.model_dump(mode="json")}) + "\n")
    return scores


def interval(scores: Sequence[PlanScore], figure: str) -> tuple[float, float]:
    """95 % bootstrap interval of one figure of :class:`planners.scores.Summary`, prompts drawn with replacement."""
    rng = random.Random(0)
    drawn = sorted(getattr(summary(rng.choices(scores, k=len(scores))), figure) for _ in range(RESAMPLES))
    return drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES)]


def table(found: dict[str, list[PlanScore]], caption: str) -> Table:
    result = Table(box=None, pad_edge=False, caption=caption)
    for title in ("planner", "n", *FIGURES):
        result.add_column(title.replace("_", " "))
    for name, scores in found.items():
        whole: Summary = summary(scores)
        cells = [
            f"{getattr(whole, figure):.3f} ({low:.2f}-{high:.2f})"
            for figure in FIGURES
            for low, high in [interval(scores, figure)]
        ]
        result.add_row(name, str(whole.prompts), *cells)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planners", description=__doc__.splitlines()[0])
    parser.add_argument("--planner", action="append", help="a name from 'dysenvdm planners'; may be repeated")
    parser.add_argument("--first", type=int, default=6000, help="first caption, counted from the first held-out seed")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--output", type=Path, help="append prompts, plans and gold plans to this file (JSON lines)")
    arguments = parser.parse_args()
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    gold = stage_gold(arguments.first, arguments.prompts)
    found = {name: measure(name, gold, arguments.output) for name in arguments.planner or ["smollm2"]}
    seeds = f"Stage captions of held-out seeds {arguments.first} to {arguments.first + arguments.prompts - 1}"
    Console(width=150).print(table(found, f"{seeds}; 95 % bootstrap intervals over prompts"))


if __name__ == "__main__":
    main()
