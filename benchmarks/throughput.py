"""``python -m benchmarks.throughput``: what batches, prefix caching and segments save when vLLM plans, as ratios.

- *lockstep*: all prompts in one batch against some of them one at a time, seconds per prompt, in one engine; then both
  once more, when the cache has every prompt and only answers are computed.
- *prefix caching*: the same batch with and without it, and how many of the prompts' tokens it spares.
- *segments*: imagination asks once per run of ticks with the same scene graph; here against once per tick. Calls are
  counted; tokens are those of the calls made, times calls saved over calls made, prompt by prompt.

All three stages, greedy. The prompts are captions of held-out Stage clips and, where ``--file`` gives one, those of a
JSON list of objects with ``prompt_en``. Before each measurement the cache is emptied and two other prompts are
planned, so that both sides find the shared instructions computed and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.planners import stage_gold
from benchmarks.rows import Row, seconds
from benchmarks.run import table
from planners.builtin import vllm
from planners.contracts import PlanResult
from planners.dysen import DysenPlanner
from planners.engines.vllm import VLLMEngine

FIRST = 8000
"""The first Stage caption, counted from the first held-out seed."""
TICKS = 8
AT_LEAST = 6.0
"""What lockstep batches are to gain on a CPU."""


class Meter:
    """Plans with one engine; ``cached`` and ``tokens`` are the prompt tokens that it was spared, and all of them."""

    def __init__(self, **options: Any) -> None:
        planner = vllm(**options)
        assert isinstance(planner, DysenPlanner)
        assert isinstance(planner.engine, VLLMEngine)
        self.planner, self.engine = planner, planner.engine
        self.cached = self.tokens = 0
        complete: Any = self.engine._complete

        def counted(*arguments: Any) -> list[Any]:
            outputs: list[Any] = complete(*arguments)
            self.cached += sum(output.num_cached_tokens for output in outputs)
            self.tokens += sum(len(output.prompt_token_ids) for output in outputs)
            return outputs

        vars(self.engine)["_complete"] = counted

    def plan(self, prompts: Sequence[str]) -> list[PlanResult]:
        return self.planner.plan(prompts, ticks=TICKS, seed=0)

    def fresh(self) -> None:
        """Empty the cache of all but what every prompt begins with."""
        self.engine._llm.reset_prefix_cache()
        self.plan([plan.prompt for plan in stage_gold(FIRST - 2, 2)])
        self.cached = self.tokens = 0


def lockstep(prompts: Sequence[str], alone: int, repeat: int, options: dict[str, Any]) -> tuple[list[Row], list[Any]]:
    """Rows on batches against single prompts, side by side, and the plans."""
    meter = Meter(**options)
    chosen = random.Random(0).sample(prompts, alone)
    batches: dict[bool, list[float]] = {True: [], False: []}
    ratios: dict[bool, list[float]] = {True: [], False: []}
    singly: list[float] = []
    spared = []
    results: list[PlanResult] = []
    for i in range(repeat):
        some = chosen[i::repeat]
        meter.fresh()
        first = seconds(lambda: results.extend(meter.plan(prompts))) / len(prompts)
        spared.append(100 * meter.cached / meter.tokens)
        again = seconds(lambda: meter.plan(prompts)) / len(prompts)
        known = [seconds(lambda prompt=prompt: meter.plan([prompt])) for prompt in some]  # type: ignore[misc]
        meter.fresh()
        new = [seconds(lambda prompt=prompt: meter.plan([prompt])) for prompt in some]  # type: ignore[misc]
        singly += new
        for batch, times, cached in ((first, new, False), (again, known, True)):
            batches[cached].append(batch)
            ratios[cached].append(sum(times) / len(times) / batch)
    meter.engine.close()
    rows = [
        Row(f"one prompt at a time ({alone} of them)", "s", tuple(singly)),
        Row(f"a prompt in a batch of {len(prompts)}", "s", tuple(batches[False])),
        Row("lockstep: mean alone / in the batch", "x", tuple(ratios[False]), AT_LEAST, at_least=True),
        Row("prompt tokens that the cache spares the batch", "%", tuple(spared)),
        Row("a prompt in the same batch once more", "s", tuple(batches[True])),
        Row("lockstep once more, prompts in the cache", "x", tuple(ratios[True])),
    ]
    return rows, results[: len(prompts)]


def prefix_caching(prompts: Sequence[str], repeat: int, options: dict[str, Any]) -> list[Row]:
    """Rows on the same batch with the cache and without, engines made in turn."""
    ratios = []
    for _ in range(repeat):
        took = {}
        for caching in (True, False):
            meter = Meter(prefix_caching=caching, **options)
            meter.fresh()
            took[caching] = seconds(lambda meter=meter: meter.plan(prompts))  # type: ignore[misc]
            meter.engine.close()
        ratios.append(took[False] / took[True])
    return [Row(f"prefix caching off / on, batch of {len(prompts)}", "x", tuple(ratios))]


def segments(results: Sequence[PlanResult]) -> list[Row]:
    """Rows on imagination by segment against by tick, one sample per planned prompt."""
    calls, tokens = [], []
    for result in results:
        asked = [call for call in result.transcript if call.step.startswith("imagine")]
        if not asked:
            continue
        runs = len(result.stages["converted"].segments())
        spent = sum(call.prompt_tokens + call.completion_tokens for call in asked)
        calls.append(float(TICKS - runs))
        tokens.append(spent * (TICKS - runs) / runs)
    return [
        Row(f"imagination calls saved by segments, of {TICKS}", "calls", tuple(calls)),
        Row("tokens saved so, a prompt", "tokens", tuple(tokens)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=64, help="how many in the lockstep batch")
    parser.add_argument("--file", type=Path, help="take half of them from this JSON list of objects with prompt_en")
    parser.add_argument("--alone", type=int, default=12, help="how many of them one at a time")
    parser.add_argument("--cached", type=int, default=32, help="how many of them with and without prefix caching")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", type=Path, help="a local model folder; by default SmolLM2")
    parser.add_argument("--backend", default="guidance")
    parser.add_argument("--lora", help="an adapter's folder, or none; by default SmolLM2 has the one that ships")
    arguments = parser.parse_args()
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    prompts: list[str] = []
    if arguments.file:
        listed = json.loads(arguments.file.read_text(encoding="utf-8"))
        prompts = [item["prompt_en"] for item in listed[: arguments.prompts // 2]]
    prompts = [plan.prompt for plan in stage_gold(FIRST, arguments.prompts - len(prompts))] + prompts
    options = {"model": arguments.model, "backend": arguments.backend, "lora": arguments.lora}
    rows, results = lockstep(prompts, arguments.alone, arguments.repeat, options)
    rows += segments(results)
    rows += prefix_caching(prompts[:: len(prompts) // arguments.cached], arguments.repeat, options)
    planned = sum(result.plan is not None for result in results)
    Console(width=140).print(table(rows))
    print(f"{planned} of {len(prompts)} prompts planned")
    return int(any(row.holds is False for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
