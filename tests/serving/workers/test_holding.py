"""What a worker may still say of its jobs, when the store is gone, or the lease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from serving.jobs import Job, JobStore, Stage, Status, StoreUnavailable
from serving.workers.holding import Holding, job_error
from tests.serving.workers.conftest import now

Ask = Callable[..., Job]


def claimed(store: JobStore, count: int, lease: float = 30.0) -> Holding:
    jobs = store.claim(Stage.PLAN, "worker", lease=lease, limit=count)
    assert len(jobs) == count
    return Holding(store, "worker", jobs, lease=lease)


def test_the_thread_prolongs_the_lease_for_as_long_as_it_takes(ask_plan: Ask, jobs: JobStore) -> None:
    job = ask_plan("one")
    with claimed(jobs, 1, lease=0.6) as held:
        until = now(jobs, job).lease_until
        assert until is not None
        while (prolonged := now(jobs, job).lease_until) is not None and prolonged <= until + 0.6:
            pass
        assert prolonged is not None
        assert [each.id for each in held.alive()] == [job.id]


def test_what_is_not_settled_is_given_back(ask_plan: Ask, jobs: JobStore) -> None:
    first, second = ask_plan("one"), ask_plan("two")
    with claimed(jobs, 2) as held:
        held.planned(first.id, {}, {})
    assert now(jobs, first).status == Status.COMPLETED
    assert (now(jobs, second).worker, now(jobs, second).attempts) == (None, 0)


def test_nothing_counts_after_the_job_was_lost(ask_plan: Ask, jobs: JobStore) -> None:
    job = ask_plan("one")
    with claimed(jobs, 1) as held:
        jobs.release([job.id], "worker")
        jobs.claim(Stage.PLAN, "another", lease=30.0)
        held.planned(job.id, {"lost": True}, {})
        assert held.alive() == []
    assert now(jobs, job).worker == "another"
    assert now(jobs, job).dsg is None


class Flaky:
    """A store that does not answer the first times."""

    def __init__(self, store: JobStore, failures: int) -> None:
        self.store, self.failures = store, failures

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def asked(*arguments: Any, **more: Any) -> Any:
            if self.failures > 0:
                self.failures -= 1
                raise StoreUnavailable("down")
            return method(*arguments, **more)

        return asked


def test_what_became_of_a_job_is_said_until_the_store_hears_it(ask_plan: Ask, jobs: JobStore) -> None:
    job = ask_plan("one")
    held = claimed(jobs, 1, lease=1.0)
    held.store = Flaky(jobs, 3)  # type: ignore[assignment]
    held.report(job.id, "stage", {})
    held.planned(job.id, {}, {})
    assert now(jobs, job).status == Status.COMPLETED


def test_a_store_that_stays_away_costs_the_lease_not_the_worker(ask_plan: Ask, jobs: JobStore) -> None:
    job = ask_plan("one")
    held = claimed(jobs, 1, lease=0.2)
    held.store = Flaky(jobs, 10**9)  # type: ignore[assignment]
    held.planned(job.id, {}, {})
    assert held.alive() == []
    assert now(jobs, job).status == Status.IN_PROGRESS


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/home/me/models/llm: no config.json in this folder", "llm: no config.json in this folder"),
        ("http://127.0.0.1:8000/v1: no connection", "http://127.0.0.1:8000/v1: no connection"),
        ("two\nlines and 1/2 of 3", "two lines and 1/2 of 3"),
    ],
)
def test_errors_for_clients_are_one_line_without_paths(said: str, told: str) -> None:
    assert job_error("failed", said).message == told
