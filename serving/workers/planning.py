"""The planner worker: prompts in batches, to scene graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dysenvdm.models import PLANNER_MODEL, locate
from planners.contracts import seed_matters
from planners.dsg import UserError
from planners.plugins import get_planner
from serving import offers
from serving.jobs import Job, Stage
from serving.workers.holding import Holding, job_error
from serving.workers.worker import Stopped, Unloaded, Worker, Workplace

if TYPE_CHECKING:
    from planners.contracts import PlanResult

AT_ONCE = 64
"""Prompts that are planned in lockstep, at most."""
PLAN_SHARE = 10.0
"""Per cent of a video's progress that planning is."""
LIGHT = ("openai", "replay", "rules")
"""Built-in planners without a language model in this process: they need nothing of a device worth counting."""
LOCAL = ("smollm2", "vllm")
"""Built-in planners with a model in this process, by default :data:`PLANNER_MODEL`."""


class PlannerWorker(Worker):
    """Plans all that waits at once: prompts of one planner and number of ticks in one call of the planner, and of one
    seed where that decides anything."""

    stage = Stage.PLAN
    role = "planner"
    at_once = AT_ONCE

    def __init__(self, place: Workplace) -> None:
        super().__init__(place)
        self._offers = offers.planners(place.settings)

    def usual(self) -> str:
        return next(iter(self._offers))

    def folders(self, name: str) -> list[Path]:
        return planner_folders(name, self._offers[name])

    def options(self, name: str) -> dict[str, Any]:
        return dict(self._offers[name])

    def counts(self, name: str) -> bool:
        return name not in LIGHT

    def load(self, name: str) -> Any:
        may_sleep = self.place.device != "cpu" and self.place.settings.sharing in ("auto", "turns", "sleep")
        more = {"sleep_mode": True} if name == "vllm" and may_sleep else {}
        return get_planner(name, **{**more, **self._offers[name]})

    def sleep(self, model: Any) -> None:
        engine: Any = getattr(model, "engine", None)
        if hasattr(engine, "sleep"):
            engine.sleep()

    def wake(self, model: Any) -> None:
        engine: Any = getattr(model, "engine", None)
        if hasattr(engine, "wake"):
            engine.wake()

    def work(self, held: Holding) -> None:
        def alike(job: Job) -> tuple[str, int]:
            return job.request["planner"], job.request["ticks"]

        for (name, ticks), group in groupby(sorted(held.alive(), key=alike), alike):
            jobs = list(group)
            if name not in self._offers:
                for job in jobs:
                    held.fail(job.id, job_error("unknown_planner", f"planner {name!r}: this server has it no more"))
                continue
            self._plan(held, jobs, name, ticks)

    def _plan(self, held: Holding, jobs: Sequence[Job], name: str, ticks: int) -> None:
        try:
            planner = self.ready(held, name, len(jobs))
            if len({_seed(job) for job in jobs}) > 1 and seed_matters(planner):
                for _, group in groupby(sorted(jobs, key=_seed), _seed):
                    self._plan(held, list(group), name, ticks)
                return
            gauge = self.place.gauge
            gauge.reset_peak()
            before = gauge.held()
            results = planner.plan(
                [_prompt(job) for job in jobs],
                ticks=ticks,
                seed=_seed(jobs[0]),
                on_progress=self._reporter(held, jobs),
            )
            self.measure_work(name, len(jobs), before)
        except (Stopped, Unloaded):
            raise
        except Exception as error:  # a planner may be anybody's plugin
            if not isinstance(error, UserError):
                self.say_trouble(f"planner {name}", error)
            self._failed(held, jobs, name, ticks, error)
            return
        for job, result in zip(jobs, results, strict=True):
            if not result.stages:
                held.fail(job.id, job_error("planner_failed", f"{name} found no plan ({result.degraded})"))
            else:
                held.planned(job.id, result.dsg.to_dict(), _about(name, result))

    def _failed(self, held: Holding, jobs: Sequence[Job], name: str, ticks: int, error: Exception) -> None:
        """One prompt that cannot be planned fails alone: the others are planned without it."""
        alive = {job.id for job in held.alive()}
        jobs = [job for job in jobs if job.id in alive]
        if len(jobs) > 1 and name in self._loaded:
            for job in jobs:
                self._plan(held, [job], name, ticks)
        else:
            for job in jobs:
                held.fail(job.id, job_error("planner_failed", error))

    def _reporter(self, held: Holding, jobs: Sequence[Job]) -> Callable[[str, float], None]:
        """Tells how far planning is, and stops it when nobody waits for it any more."""
        ids = {job.id for job in jobs}

        def on_progress(what: str, done: float) -> None:
            alive = [job for job in held.alive() if job.id in ids]
            if self.stopping.is_set() or not alive:
                raise Stopped
            for job in alive:
                share = PLAN_SHARE if job.kind == "video" else 99.0
                held.report(job.id, "stage", {"stage": "plan", "doing": what, "done": done}, share * done)

        return on_progress


def planner_folders(name: str, options: Any) -> list[Path]:
    """The folders of a built-in planner's weights, none where it has none here; raises :class:`UserError`."""
    if name not in LOCAL:
        return []
    return [locate(str(options.get("model") or PLANNER_MODEL))]


def _prompt(job: Job) -> str:
    return str(job.request["prompt"])


def _seed(job: Job) -> int:
    return int(job.request["seed"])


def _about(name: str, result: PlanResult) -> dict[str, Any]:
    return {
        "planner": name,
        "transcript_sha256": result.transcript_sha256,
        "degraded": result.degraded,
        "strategy": result.strategy,
    }
