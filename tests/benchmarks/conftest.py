"""What the benchmarks' tests share: a planner whose plans are written down."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from planners.contracts import PlanResult, Progress
from planners.dsg import ActionPlan, Event, SceneObject
from planners.event_conversion import convert


class Walkers:
    """Every prompt's last word walks; ``batches`` are the prompts that it got."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        del seed, on_progress
        self.batches.append(list(prompts))
        return [self._walk(prompt, ticks) for prompt in prompts]

    def _walk(self, prompt: str, ticks: int) -> PlanResult:
        who = SceneObject(id="who", label=prompt.split()[-1])
        walk = Event(agent="who", predicate="walk", start=0, end=ticks)
        plan = ActionPlan(prompt=prompt, ticks=ticks, objects=(who,), events=(walk,))
        return PlanResult(prompt=prompt, plan=plan, stages={"converted": convert(plan)}, transcript=[], degraded=None)


@pytest.fixture
def walkers() -> Walkers:
    return Walkers()
