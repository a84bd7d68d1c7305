"""The scene graphs that videos are made from, written down batch by batch: what was planned is not planned again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dysenvdm.data.section import ScenesSection
from dysenvdm.scene_tensors import without_imagined
from dysenvdm.studies.evaluation.cases import Case
from planners.contracts import PlanResult
from planners.dsg import ActionPlan, DynamicSceneGraph
from planners.plugins import check_options, get_planner

FILE = "plans.jsonl"


@dataclass(frozen=True)
class Planned:
    """What a planner made of a case. ``graph`` is empty where it found no plan; ``degraded`` says why."""

    graph: DynamicSceneGraph
    plan: ActionPlan | None = None
    degraded: str | None = None
    transcript_sha256: str | None = None


def plan_all(
    folder: Path, cases: Sequence[Case], scenes: ScenesSection, ticks: int, on_done: Callable[[int], None]
) -> list[Planned]:
    """Every case's scene graph, in order; ``on_done`` gets how many there are."""
    if scenes.source == "gold":
        return [Planned(case.gold_graph, case.gold_plan) for case in cases if case.gold_graph is not None]
    if scenes.source == "none":
        return [Planned(DynamicSceneGraph(prompt=case.prompt, ticks=ticks)) for case in cases]
    path = folder / FILE
    done = _read(path)
    options = {key: str(value) for key, value in scenes.options.items()}
    check_options(scenes.planner, options)
    planner = None
    for first in range(0, len(cases), scenes.batch):
        batch = cases[first : first + scenes.batch]
        on_done(first)
        if all(case.number in done for case in batch):
            continue
        planner = planner or get_planner(scenes.planner, **options)
        results = planner.plan([case.prompt for case in batch], ticks=ticks, seed=scenes.seed)
        with path.open("a", encoding="utf-8") as file:
            for case, result in zip(batch, results, strict=True):
                done[case.number] = _line(result, scenes, ticks)
                file.write(json.dumps({"number": case.number} | done[case.number], ensure_ascii=False) + "\n")
    on_done(len(cases))
    return [_planned(done[case.number]) for case in cases]


def _line(result: PlanResult, scenes: ScenesSection, ticks: int) -> dict[str, Any]:
    graph = result.dsg if result.stages else DynamicSceneGraph(prompt=result.prompt, ticks=ticks)
    if not scenes.imagination:
        graph = without_imagined(graph)
    return {
        "graph": graph.to_dict(),
        "plan": result.plan.model_dump(mode="json") if result.plan else None,
        "degraded": result.degraded,
        "transcript_sha256": result.transcript_sha256,
    }


def _planned(line: dict[str, Any]) -> Planned:
    plan = ActionPlan.model_validate(line["plan"]) if line["plan"] else None
    graph = DynamicSceneGraph.parse(line["graph"], FILE)
    return Planned(graph, plan, line["degraded"], line["transcript_sha256"])


def _read(path: Path) -> dict[int, dict[str, Any]]:
    """What is written whole; a line that a killed run left half is cut off."""
    if not path.exists():
        return {}
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    if len(whole) < len(lines):
        path.write_bytes(b"".join(whole))
    return {line["number"]: line for line in map(json.loads, whole)}
