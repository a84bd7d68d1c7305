"""A worker's turns on a device that it shares, with models that only pretend to take memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from serving.jobs import Job, JobStore, Stage, Status
from serving.memory import GpuMemory
from serving.sharing import Level
from serving.workers import worker
from serving.workers.holding import Holding
from serving.workers.worker import Unloaded, Worker, Workplace
from tests.serving.workers.conftest import now

GIB = 2**30
Ask = Callable[..., Job]
Make = Callable[..., Workplace]


@dataclass
class Gauge:
    """Memory that is what it is set to."""

    now: int = 0
    most: int = 0

    def held(self) -> int:
        return self.now

    def reset_peak(self) -> None:
        self.most = self.now

    def peak(self) -> int:
        return self.most


class Gpu(GpuMemory):
    """The same, of a GPU on which a model can sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0

    held, reset_peak, peak = Gauge.held, Gauge.reset_peak, Gauge.peak  # type: ignore[assignment]

    def settle(self, *, alone: bool, known: int | None) -> None:
        pass


class Pretending(Worker):
    """Takes 4 GiB when loaded and 1 more at work; plans nothing, but says that it is planned."""

    role = "planner"
    stage = Stage.PLAN
    at_once = 1

    def __init__(self, place: Workplace) -> None:
        super().__init__(place)
        self.did: list[str] = []

    def usual(self) -> str:
        return "model"

    def folders(self, name: str) -> list[Path]:
        return []

    def options(self, name: str) -> dict[str, Any]:
        return {"role": self.role}

    def load(self, name: str) -> Any:
        self.did.append("load")
        self.place.gauge.now += 4 * GIB  # type: ignore[attr-defined]
        return name

    def sleep(self, model: Any) -> None:
        self.did.append("sleep")
        self.place.gauge.now -= 4 * GIB  # type: ignore[attr-defined]

    def wake(self, model: Any) -> None:
        self.did.append("wake")
        self.place.gauge.now += 4 * GIB  # type: ignore[attr-defined]

    def work(self, held: Holding) -> None:
        self.ready(held, "model", 1)
        gauge: Any = self.place.gauge
        gauge.reset_peak()
        gauge.most = gauge.now + GIB
        self.measure_work("model", 1, gauge.now)
        for job in held.alive():
            held.planned(job.id, {}, {})


class Generating(Pretending):
    role = "generator"


@pytest.fixture
def two(workplace: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Pretending, Pretending]]:
    """Two workers on one device; both take plan jobs, when they have a turn."""

    def make(budget: int, gauge: Callable[[], Any] = Gauge) -> tuple[Pretending, Pretending]:
        places = [workplace(name, memory_budget_bytes=budget) for name in ("planner", "generator")]
        first, second = (replace(place, gauge=gauge()) for place in places)
        for each in (first, second):
            each.lease.patience = 3600.0
        return Pretending(first), Generating(second)

    return make


def turns(worker: Worker, jobs: JobStore, *asked: Job) -> None:
    assert worker.turn()
    assert all(now(jobs, job).status == Status.COMPLETED for job in asked)


def test_with_room_for_both_both_stay(two: Any, ask_plan: Ask, jobs: JobStore) -> None:
    planner, generator = two(10 * GIB)
    turns(planner, jobs, ask_plan("measured alone"))
    generator.place.lease.request(None)
    with pytest.raises(Unloaded):
        planner.turn()  # nothing to do, and the other was never measured
    planner.place.lease.gone()
    turns(generator, jobs, ask_plan("measured alone too"))
    planner, _ = Pretending(planner.place), planner.place.gauge.__init__()  # type: ignore[misc]
    for _ in range(3):
        turns(planner, jobs, ask_plan("one"))
        turns(generator, jobs, ask_plan("two"))
    assert (planner.did, generator.did) == (["load"], ["load"])


def measured(worker: Worker) -> None:
    """As if it had worked before."""
    from serving.memory import Measured

    found = Measured(what=worker.what("model"), device="cpu", loaded=4 * GIB, working={1: GIB})
    worker.place.measurements.write(found, worker._identity("model"))


@pytest.mark.parametrize("stays", [True, False])
def test_without_room_one_unloads_for_the_other(two: Any, ask_plan: Ask, jobs: JobStore, stays: bool) -> None:
    planner, generator = two(8 * GIB)
    measured(planner)
    measured(generator)
    turns(planner, jobs, ask_plan("one"))
    waiting = ask_plan("two")
    assert not generator.turn()
    assert now(jobs, waiting).status == Status.QUEUED
    if stays:  # it has work, and patience is not over
        turns(planner, jobs, waiting)
    planner.place.lease.patience = 0.0
    if not stays:  # it has work, but patience is over
        with pytest.raises(Unloaded):
            planner.turn()
        planner.place.lease.gone()
        turns(generator, jobs, waiting)
    else:
        with pytest.raises(Unloaded):
            assert generator.place.lease.request(5 * GIB).granted is False
            planner.turn()


def test_on_a_gpu_one_sleeps_for_the_other_and_wakes(two: Any, ask_plan: Ask, jobs: JobStore) -> None:
    planner, generator = two(8 * GIB, Gpu)
    measured(planner)
    measured(generator)
    turns(planner, jobs, ask_plan("one"))
    assert not generator._granted("model", 1)
    assert not planner.turn()  # nothing to do: it makes room
    assert planner.place.lease.me.level == Level.ASLEEP
    turns(generator, jobs, ask_plan("two"))
    assert not planner._granted("model", 1)
    assert not generator.turn()
    turns(planner, jobs, ask_plan("three"))
    assert (planner.did, generator.did) == (["load", "sleep", "wake"], ["load", "sleep"])
    assert planner.place.gauge.held() + generator.place.gauge.held() == 4 * GIB


def test_memory_that_libraries_keep_is_won_back_by_starting_anew(two: Any, ask_plan: Ask, jobs: JobStore) -> None:
    planner, _ = two(8 * GIB)
    measured(planner)
    turns(planner, jobs, ask_plan("one"))
    planner.place.gauge.now = int(7.5 * GIB)
    ask_plan("two")
    with pytest.raises(Unloaded):
        planner.turn()


def test_the_longer_loading_takes_the_longer_others_wait(
    two: Any, ask_plan: Ask, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner, _ = two(8 * GIB)
    planner.place.lease.patience = 30.0
    clock = [0.0]

    def load(name: str) -> str:
        clock[0] += 20.0
        return name

    monkeypatch.setattr(worker.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(planner, "load", load)
    turns(planner, jobs, ask_plan("one"))
    assert planner.place.lease.patience == 20.0 * worker.LOADS_OF_PATIENCE
