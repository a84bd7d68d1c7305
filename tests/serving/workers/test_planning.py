"""The planner worker: prompts in lockstep, failures that stay with their prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from planners.contracts import PlanResult, Progress
from planners.dsg import DynamicSceneGraph, UserError
from serving.jobs import Job, JobStore, Stage, Status
from serving.workers import planning
from serving.workers.planning import PlannerWorker
from serving.workers.worker import Workplace
from tests.serving.workers.conftest import now

Ask = Callable[..., Job]
Make = Callable[..., Workplace]


class Scripted:
    """Plans anything, but obeys its prompts: "bad" is refused, "broken" is a bug, "hard" degraded, "none" no plan."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], int, int]] = []
        self.happens: Callable[[], object] = lambda: None

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        self.calls.append((list(prompts), ticks, seed))
        assert on_progress is not None
        on_progress("thinking", 0.25)
        self.happens()
        on_progress("thinking", 0.75)
        if "bad" in prompts:
            raise UserError("/srv/models/llm: 'bad' cannot be planned")
        if "broken" in prompts:
            raise RuntimeError("a secret prompt")
        return [
            PlanResult(
                prompt=prompt,
                plan=None,
                stages={} if prompt == "none" else {"converted": DynamicSceneGraph(prompt=prompt, ticks=ticks)},
                transcript=[],
                degraded="too hard" if prompt in ("hard", "none") else None,
            )
            for prompt in prompts
        ]


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted()
    monkeypatch.setattr(planning, "get_planner", lambda name, **options: scripted)
    return scripted


def test_all_that_waits_is_planned_in_one_call_per_ticks_and_seed(
    workplace: Make, ask_plan: Ask, jobs: JobStore, planner: Scripted
) -> None:
    asked = [ask_plan(f"prompt {number}", seed=number // 3) for number in range(5)]
    assert PlannerWorker(workplace()).turn()
    assert planner.calls == [(["prompt 0", "prompt 1", "prompt 2"], 8, 0), (["prompt 3", "prompt 4"], 8, 1)]
    for job in asked:
        done = now(jobs, job)
        assert (done.status, done.progress) == (Status.COMPLETED, 100)
        assert done.dsg is not None
        assert done.dsg["prompt"] == job.request["prompt"]
        assert done.plan is not None
        assert (done.plan["planner"], done.plan["degraded"], done.plan["strategy"]) == ("rules", None, "structure")


def test_seeds_that_decide_nothing_keep_nobody_apart(
    workplace: Make, ask_plan: Ask, jobs: JobStore, planner: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "seed_matters", False, raising=False)
    asked = [ask_plan(f"prompt {number}", seed=number, ticks=8 - number // 2) for number in range(3)]
    assert PlannerWorker(workplace()).turn()
    assert sorted(planner.calls) == [(["prompt 0", "prompt 1"], 8, 0), (["prompt 2"], 7, 2)]
    assert {now(jobs, job).status for job in asked} == {Status.COMPLETED}


def test_a_planned_video_waits_for_its_generator(workplace: Make, ask: Ask, jobs: JobStore, planner: Scripted) -> None:
    job = ask("a dog runs", dsg=None, planner="rules", ticks=2)
    PlannerWorker(workplace()).turn()
    waiting = now(jobs, job)
    assert (waiting.status, waiting.stage, waiting.progress) == (Status.IN_PROGRESS, Stage.GENERATE, 7.5)
    assert jobs.waiting() == {Stage.PLAN: 0, Stage.GENERATE: 1}


def test_what_cannot_be_planned_fails_alone_and_says_no_path(
    workplace: Make, ask_plan: Ask, jobs: JobStore, planner: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {prompt: ask_plan(prompt) for prompt in ("fine", "bad", "broken", "hard", "none")}
    PlannerWorker(workplace()).turn()
    found = {prompt: now(jobs, job) for prompt, job in told.items()}
    assert {prompt: job.status.value for prompt, job in found.items()} == {
        "fine": "completed", "bad": "failed", "broken": "failed", "hard": "completed", "none": "failed",
    }  # fmt: skip
    hard, bad, none = found["hard"], found["bad"].error, found["none"].error
    assert hard.plan is not None
    assert hard.plan["degraded"] == "too hard"
    assert bad is not None
    assert (bad.code, bad.message) == ("planner_failed", "llm: 'bad' cannot be planned")
    assert none is not None
    assert "too hard" in none.message
    assert "secret" not in capsys.readouterr().err


def test_a_cancelled_prompt_leaves_at_once_and_the_others_go_on(
    workplace: Make, ask_plan: Ask, jobs: JobStore, planner: Scripted
) -> None:
    first, second = ask_plan("one"), ask_plan("two")
    worker = PlannerWorker(workplace())

    def happens() -> None:
        jobs.cancel(first.id)
        assert worker.held is not None
        worker.held.beat()

    planner.happens = happens
    worker.turn()
    assert [now(jobs, job).status for job in (first, second)] == [Status.CANCELLED, Status.COMPLETED]


def test_planning_stops_when_nobody_waits_for_it(
    workplace: Make, ask_plan: Ask, jobs: JobStore, planner: Scripted
) -> None:
    job = ask_plan("one")
    worker = PlannerWorker(workplace())

    def happens() -> None:
        jobs.delete(job.id)
        assert worker.held is not None
        worker.held.beat()

    planner.happens = happens
    worker.turn()
    assert len(planner.calls) == 1
    assert jobs.get(job.id) is None


def test_a_planner_that_is_offered_no_more_fails_its_jobs(
    workplace: Make, ask_plan: Ask, jobs: JobStore, planner: Scripted
) -> None:
    gone, fine = ask_plan("one", planner="vanished"), ask_plan("two")
    PlannerWorker(workplace()).turn()
    error = now(jobs, gone).error
    assert error is not None
    assert error.code == "unknown_planner"
    assert now(jobs, fine).status == Status.COMPLETED


def test_planner_url_asks_that_server(workplace: Make, ask_plan: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def get_planner(name: str, **options: Any) -> Scripted:
        asked.append((name, options))
        return Scripted()

    monkeypatch.setattr(planning, "get_planner", get_planner)
    ask_plan("one", planner="openai")
    PlannerWorker(workplace(planner_url="http://127.0.0.1:9/v1", planners={"openai": {"model": "qwen"}})).turn()
    assert asked == [("openai", {"model": "qwen", "base_url": "http://127.0.0.1:9/v1"})]
