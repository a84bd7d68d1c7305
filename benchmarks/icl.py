"""``python -m benchmarks.icl``: what choosing examples is worth, on held-out captions of the Stage world.

Every strategy plans the same captions (stages I and II, SmolLM2). ``random`` draws with several seeds and several
trained policies may be given; their figures are means over those, prompt by prompt. Intervals are 95 % bootstraps over
prompts, and those of a gain are of the paired differences.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from planners.dsg import ActionPlan, UserError
from planners.scores import reward, score
from planners.selection import STRATEGIES, selector

if TYPE_CHECKING:
    from planners.engines import Engine

RESAMPLES = 10_000
FIGURES = ("reward", "event F1", "right")


@dataclass(frozen=True)
class Found:
    """One strategy's figures, (runs, prompts, figures): a run is a seed of ``random``, or a policy."""

    strategy: str
    values: NDArray[np.float64]

    @property
    def by_prompt(self) -> NDArray[np.float64]:
        """Means over runs, (prompts, figures)."""
        means: NDArray[np.float64] = self.values.mean(axis=0)
        return means


def measure(engine: Engine, strategy: str, gold: Sequence[ActionPlan], seed: int) -> NDArray[np.float64]:
    """The figures of every caption's plan, (prompts, figures)."""
    from planners.dysen import DysenPlanner

    planner = DysenPlanner(engine, imagine=False, selector=selector(strategy))
    results = planner.plan([plan.prompt for plan in gold], ticks=gold[0].ticks, seed=seed)
    rows = []
    for result, plan in zip(results, gold, strict=True):
        found = score(result.plan, plan)
        rows.append((reward(result.plan, plan), 2 * found.matched / (found.planned + found.gold), float(found.right)))
    return np.array(rows)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of ``values`` (prompts,)."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def strategies_table(found: Sequence[Found], caption: str) -> Table:
    result = Table(box=None, pad_edge=False, caption=caption)
    for title in ("strategy", "runs", "n", *FIGURES):
        result.add_column(title)
    for one in found:
        cells = [_cell(values) for values in one.by_prompt.T]
        result.add_row(one.strategy, str(len(one.values)), str(one.values.shape[1]), *cells)
    return result


def gains_table(policy: Found, others: Sequence[Found]) -> Table:
    """How much higher the policy's figures are, and the share of its runs whose mean reward is."""
    result = Table(box=None, pad_edge=False)
    for title in ("gain of policy over", "n", *FIGURES, "runs above"):
        result.add_column(title)
    for other in others:
        gains = policy.by_prompt - other.by_prompt
        above = (policy.values[:, :, 0].mean(axis=1) > other.by_prompt[:, 0].mean()).sum()
        cells = [_cell(values, "+") for values in gains.T]
        result.add_row(other.strategy, str(len(gains)), *cells, f"{above} of {len(policy.values)}")
    return result


def _cell(values: NDArray[np.float64], sign: str = "") -> str:
    low, high = interval(values)
    return f"{values.mean():{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.icl", description=__doc__.splitlines()[0])
    parser.add_argument("--strategy", action="append", help=f"one of {', '.join(STRATEGIES)}; may be repeated")
    parser.add_argument(
        "--policy", action="append", default=[], help="a trained policy's folder, none ships; repeatable"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of random")
    parser.add_argument("--first", type=int, default=6000, help="first caption, counted from the first held-out seed")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--planner", choices=("smollm2", "vllm"), default="smollm2", help="the engine, by its planner")
    parser.add_argument("--replies", type=Path, default=Path("runs/icl-replies.sqlite"), help="cache of replies")
    parser.add_argument("--output", type=Path, help="append every figure to this file (JSON lines)")
    arguments = parser.parse_args()
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    from dysenvdm.studies.reinforced_planning import held_out_captions
    from planners.dysen import DysenPlanner
    from planners.plugins import get_planner
    from planners.reply_cache import CachedEngine

    gold = held_out_captions(arguments.first, arguments.prompts, ticks=8)
    names = {name: [name] for name in arguments.strategy or STRATEGIES if name != "policy"}
    if arguments.policy or "policy" in (arguments.strategy or ()):
        names["policy"] = [f"policy={folder}" for folder in arguments.policy] or ["policy"]
    elif not arguments.strategy:
        train = "dysenvdm train recipes/planner/reinforce.yaml trains one"
        print(f"policy: left out, none is given; {train}, --policy takes its folder", file=sys.stderr)
    try:
        for name in (run for runs in names.values() for run in runs):
            selector(name)
        planner = get_planner(arguments.planner, lora="none")
        assert isinstance(planner, DysenPlanner)
        engine = CachedEngine(planner.engine, arguments.replies)
        found = []
        for name, runs in names.items():
            seeds = range(arguments.seeds) if name == "random" else [0]
            found.append(Found(name, np.array([measure(engine, run, gold, seed) for run in runs for seed in seeds])))
            print(f"{name}: {engine.asked} questions asked so far", file=sys.stderr, flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if arguments.output:
        with arguments.output.open("a", encoding="utf-8") as file:
            for one in found:
                line = {"strategy": one.strategy, "runs": names[one.strategy], "first": arguments.first}
                file.write(json.dumps({**line, "figures": FIGURES, "values": one.values.round(6).tolist()}) + "\n")
    last = arguments.first + arguments.prompts - 1
    console = Console(width=150)
    console.print(
        strategies_table(found, f"{engine.name}; Stage captions of held-out seeds {arguments.first} to {last}")
    )
    if "policy" in names:
        console.print(gains_table(found[-1], found[:-1]))


if __name__ == "__main__":
    main()
