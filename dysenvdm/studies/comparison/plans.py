"""Every planner's plans of all prompts, batch by batch; a batch that was planned before is not planned again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from dysenvdm.studies.comparison.contestants import Contestant, PeakMemory, loaded
from dysenvdm.studies.comparison.prompts import Asked
from dysenvdm.studies.comparison.store import Store, key_of
from dysenvdm.studies.reply_checks import Schemas, obeys, watch
from planners.contracts import Planner, PlanResult
from planners.corpus import BATCH, BATCHES, status
from planners.dsg import DynamicSceneGraph

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""
Planned = dict[str, Any]
"""One prompt's plan as it is kept: see :func:`_record`."""


def plan_all(
    store: Store, contestant: Contestant, asked: Sequence[Asked], *, ticks: int, seed: int, on_progress: OnProgress
) -> list[Planned]:
    """The plans of all prompts in order; the planner is loaded once, and not at all where nothing is missing."""
    size = BATCHES.get(contestant.name, BATCH)
    prompts = [one.prompt for one in asked]
    batches = [prompts[at : at + size] for at in range(0, len(prompts), size)]
    keys = [
        key_of({"planner": contestant.identity, "prompts": batch, "ticks": ticks, "seed": seed}) for batch in batches
    ]
    found = {key: store.get("plans", key) for key in keys}
    missing = [i for i, key in enumerate(keys) if found[key] is None]

    def report() -> None:
        done = sum(len(batch) for batch, key in zip(batches, keys, strict=True) if found[key] is not None)
        on_progress(f"planning with {contestant.label}", done, len(prompts))

    report()
    if missing:
        began = time.perf_counter()
        with PeakMemory() as memory, loaded(contestant, asked) as planner:
            load_seconds, schemas = time.perf_counter() - began, watch(planner)
            for i in missing:
                began = time.perf_counter()
                results = planner.plan(batches[i], ticks=ticks, seed=seed)
                seconds = time.perf_counter() - began
                measured = {
                    "load_seconds": load_seconds,
                    "ram_bytes": memory.ram,
                    "gpu_bytes": memory.gpu,
                    "seconds": seconds / len(results),
                }
                records = [
                    _record(result, schemas, ticks) | {"measured": None if contestant.is_gold else measured}
                    for result in results
                ]
                found[keys[i]] = {"planner": contestant.label, "engine": _engine(planner), "plans": records}
                store.put("plans", keys[i], found[keys[i]])
                report()
            del planner
    return [record | {"engine": found[key]["engine"]} for key in keys for record in found[key]["plans"]]


def _engine(planner: Planner) -> str | None:
    """What the planner's language model calls itself, None where it has none."""
    name: str | None = getattr(getattr(planner, "engine", None), "name", None)
    return name


def _record(result: PlanResult, schemas: Schemas, ticks: int) -> Planned:
    """The plan, the final scene graph, how it went, and every call without its messages, which would be most of it."""
    calls = [
        call.model_dump(mode="json", exclude={"messages", "seconds", "engine"})
        | {"obeys": obeys(call.reply, schemas[call.messages]) if call.messages in schemas else None}
        for call in result.transcript
    ]
    empty = DynamicSceneGraph(prompt=result.prompt, ticks=ticks)
    return {
        "prompt": result.prompt,
        "plan": result.plan.model_dump(mode="json") if result.plan else None,
        "dsg": (result.dsg if result.stages else empty).to_dict(),
        "status": status(result),
        "degraded": result.degraded,
        "calls": calls,
        "transcript_sha256": result.transcript_sha256,
    }
