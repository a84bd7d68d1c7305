"""Who gets which job, for how long, and what counts of what a worker says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.jobs import Job, JobError, JobStore, LostJob, Stage, Status
from serving.store import SqlStore
from tests.serving.store.conftest import Clock

Ask = Callable[..., Job]
LEASE = 10.0


def claim(store: JobStore, worker: str = "w", limit: int = 1, stage: Stage = Stage.GENERATE) -> list[Job]:
    return list(store.claim(stage, worker, lease=LEASE, limit=limit))


def kinds(store: JobStore, job: Job) -> list[str]:
    return [event.kind for event in store.events(job.id)]


def test_a_video_passes_through_both_stages(store: JobStore, clock: Clock, asked: Ask) -> None:
    job = asked(stage="plan")
    assert (job.status, job.created_at) == (Status.QUEUED, clock.now)
    assert claim(store) == []
    assert store.waiting() == {Stage.PLAN: 1, Stage.GENERATE: 0}
    (held,) = claim(store, "planner", stage=Stage.PLAN)
    assert (held.id, held.worker, held.attempts, held.lease_until) == (job.id, "planner", 1, clock.now + LEASE)
    between = store.planned(job.id, "planner", {"ticks": 8}, {"planner": "rules"})
    assert (between.status, between.stage, between.worker) == (Status.IN_PROGRESS, Stage.GENERATE, None)
    assert store.waiting() == {Stage.PLAN: 0, Stage.GENERATE: 1}
    (held,) = claim(store, "generator")
    assert (held.dsg, held.plan, held.attempts) == ({"ticks": 8}, {"planner": "rules"}, 1)
    store.report(job.id, "generator", "step", {"step": 1, "of": 2}, 50.0)
    clock.now += 5
    done = store.complete(job.id, "generator", {"frames": 16})
    assert store.get(job.id) == done
    assert (done.status, done.progress, done.result) == (Status.COMPLETED, 100.0, {"frames": 16})
    assert done.completed_at == clock.now
    assert done.worker is None
    assert done.lease_until is None
    assert kinds(store, job) == ["queued", "claimed", "stage", "claimed", "step", "completed"]
    assert store.counts() == {("video", Status.COMPLETED): 1}


def test_old_sqlite_that_returns_nothing_from_an_update(store: JobStore, clock: Clock, asked: Ask) -> None:
    assert isinstance(store, SqlStore)
    store._database._engine.dialect.update_returning = False
    test_a_video_passes_through_both_stages(store, clock, asked)


def test_a_plan_job_ends_with_its_plan(store: JobStore, asked: Ask) -> None:
    job = asked(kind="plan", stage="plan")
    claim(store, stage=Stage.PLAN)
    done = store.planned(job.id, "w", {"ticks": 8}, {})
    assert (done.status, done.progress, done.dsg) == (Status.COMPLETED, 100.0, {"ticks": 8})
    assert claim(store) == []


def test_nothing_counts_that_a_worker_says_of_a_job_it_lost(store: JobStore, clock: Clock, asked: Ask) -> None:
    job = asked()
    claim(store, "slow")
    clock.now += LEASE
    assert store.requeue_lost() == [job.id]
    assert store.requeue_lost() == []
    (again,) = claim(store, "quick")
    assert again.attempts == 2
    before = store.get(job.id), store.events(job.id)
    error = JobError(code="x", message="y")
    for say in (
        lambda: store.report(job.id, "slow", "step", {}, 90.0),
        lambda: store.planned(job.id, "slow", {}, {}),
        lambda: store.complete(job.id, "slow", {"frames": 1}),
        lambda: store.fail(job.id, "slow", error),
        lambda: store.fail(job.id, "slow", error, again=True),
        lambda: store.stopped(job.id, "slow"),
    ):
        with pytest.raises(LostJob):
            say()
    store.release([job.id], "slow")
    assert store.heartbeat([job.id], "slow", lease=LEASE) == {}
    assert (store.get(job.id), store.events(job.id)) == before
    assert store.complete(job.id, "quick", {"frames": 2}).result == {"frames": 2}
    with pytest.raises(LostJob):
        store.complete(job.id, "slow", {"frames": 1})


def test_a_lease_that_ran_out_is_lost_also_before_anyone_noticed(store: JobStore, clock: Clock, asked: Ask) -> None:
    job = asked()
    claim(store)
    clock.now += LEASE
    assert store.heartbeat([job.id], "w", lease=LEASE) == {}
    with pytest.raises(LostJob):
        store.complete(job.id, "w", {})


def test_heartbeats_keep_a_job(store: JobStore, clock: Clock, asked: Ask) -> None:
    job, other = asked(), asked()
    claim(store)
    for _ in range(5):
        clock.now += LEASE * 0.9
        assert store.heartbeat([job.id, other.id], "w", lease=LEASE) == {job.id: False}
        assert store.requeue_lost() == []
    assert store.complete(job.id, "w", {}).status is Status.COMPLETED


def test_a_job_that_ends_every_worker_fails_after_its_attempts(store: JobStore, clock: Clock, asked: Ask) -> None:
    job = asked()
    for attempt in (1, 2, 3):
        (held,) = claim(store, f"w{attempt}")
        assert held.attempts == attempt
        clock.now += LEASE
        store.requeue_lost()
    failed = store.get(job.id)
    assert failed is not None
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error.code == "worker_lost"
    assert claim(store) == []
    assert kinds(store, job) == ["queued", *["claimed", "requeued"] * 2, "claimed", "failed"]


def test_a_failure_may_be_tried_again_as_long_as_attempts_are_left(store: JobStore, asked: Ask) -> None:
    error = JobError(code="out_of_memory", message="try again")
    once, thrice = asked(), asked()
    claim(store)
    assert store.fail(once.id, "w", error).error == error
    for attempt in (1, 2, 3):
        assert [job.id for job in claim(store)] == [thrice.id]
        status = store.fail(thrice.id, "w", error, again=True).status
        assert status is (Status.FAILED if attempt == 3 else Status.IN_PROGRESS)


def test_released_jobs_have_lost_no_attempt(store: JobStore, asked: Ask) -> None:
    job = asked()
    for _ in range(5):
        (held,) = claim(store)
        assert held.attempts == 1
        store.release([job.id], "w")


def test_progress_never_falls_and_is_whole_only_in_the_end(store: JobStore, clock: Clock, asked: Ask) -> None:
    job = asked()
    seen = []
    for worker in ("a", "b"):
        claim(store, worker)
        for progress in (10.0, 5.0, 60.0, None, 100.0):
            store.report(job.id, worker, "step", {}, progress)
            now = store.get(job.id)
            assert now is not None
            seen.append(now.progress)
        clock.now += LEASE
        store.requeue_lost()
    assert seen == [10.0, 10.0, 60.0, 60.0, 99.0, *[99.0] * 5]


def test_completing_twice_is_completing_once(store: JobStore, asked: Ask) -> None:
    job = asked()
    claim(store)
    assert store.complete(job.id, "w", {"frames": 1}) == store.complete(job.id, "w", {"frames": 2})
    assert kinds(store, job).count("completed") == 1


def test_cancelled_at_once_where_no_worker_holds_it(store: JobStore, clock: Clock, asked: Ask) -> None:
    waiting, lost = asked(), asked(priority=1)
    claim(store)
    clock.now += LEASE
    for job in (waiting, lost):
        cancelled = store.cancel(job.id)
        assert cancelled is not None
        assert cancelled.status is Status.CANCELLED
        assert store.cancel(job.id) == cancelled
    assert store.requeue_lost() == []
    assert claim(store) == []


def test_a_worker_is_asked_to_cancel(store: JobStore, clock: Clock, asked: Ask) -> None:
    stopped, lost, again, done, released = (asked() for _ in range(5))
    for _ in range(5):
        claim(store)
    everything = [job.id for job in (stopped, lost, again, done, released)]
    for job in everything:
        asked_for = store.cancel(job)
        assert asked_for is not None
        assert (asked_for.status, asked_for.cancel_requested) == (Status.IN_PROGRESS, True)
    assert store.heartbeat(everything, "w", lease=LEASE) == dict.fromkeys(everything, True)
    assert store.stopped(stopped.id, "w").status is Status.CANCELLED
    assert store.fail(again.id, "w", JobError(code="x", message="y"), again=True).status is Status.CANCELLED
    assert store.complete(done.id, "w", {}).status is Status.COMPLETED  # it was ready before the worker was asked
    store.release([released.id], "w")
    clock.now += LEASE
    assert store.requeue_lost() == [lost.id]
    assert store.counts() == {("video", Status.CANCELLED): 4, ("video", Status.COMPLETED): 1}


def test_cancelled_while_it_was_planned_it_is_not_generated(store: JobStore, asked: Ask) -> None:
    job = asked(stage="plan")
    claim(store, stage=Stage.PLAN)
    store.cancel(job.id)
    assert store.planned(job.id, "w", {}, {}).status is Status.CANCELLED
    assert claim(store) == []


def test_priorities_first_then_each_owner_in_turn(store: JobStore, asked: Ask) -> None:
    for i in range(4):
        asked(f"ann {i}")
    for i in range(2):
        asked(f"bob {i}", owner="bob")
    asked("ann late but urgent", priority=1)
    asked("eve, in no hurry", owner="eve", priority=-1)
    got = [job.request["prompt"] for _ in range(8) for job in claim(store)]
    assert got == ["ann late but urgent", "bob 0", "ann 0", "bob 1", "ann 1", "ann 2", "ann 3", "eve, in no hurry"]


def test_a_newcomer_waits_for_no_queue_and_has_saved_nothing_up(store: JobStore, asked: Ask) -> None:
    for _ in range(20):
        asked()
    for _ in range(8):
        claim(store)
    for _ in range(4):
        asked(owner="bob")
    owners = [job.owner for _ in range(8) for job in claim(store)]
    assert Counter(owners) == {"ann": 4, "bob": 4}
    assert owners[0] == "bob"


def test_turns_are_weighed_by_cost(store: JobStore, asked: Ask) -> None:
    for _ in range(12):
        asked(cost=10)
        asked(cost=30, owner="bob")
    owners = Counter(job.owner for _ in range(12) for job in claim(store))
    assert owners == {"ann": 9, "bob": 3}


def test_a_batch_is_of_one_key_and_of_several_owners(store: JobStore, asked: Ask) -> None:
    for owner in ("ann", "ann", "ann", "bob"):
        asked(owner=owner, batch_key="one")
    asked(batch_key="two", owner="eve")
    asked()
    asked()
    batches = [[(job.batch_key, job.owner) for job in claim(store, limit=3)] for _ in range(6)]
    assert sorted(batches[0]) == [("one", "ann"), ("one", "ann"), ("one", "bob")]
    assert batches[1] == [("two", "eve")]
    assert batches[2:] == [[("one", "ann")], [(None, "ann")], [(None, "ann")], []]


def test_plans_are_claimed_whatever_their_batch_key(store: JobStore, asked: Ask) -> None:
    for key in ("one", "two", None):
        asked(stage="plan", batch_key=key)
    assert len(claim(store, limit=5, stage=Stage.PLAN)) == 3


def test_a_job_that_was_tried_before_comes_alone(store: JobStore, clock: Clock, asked: Ask) -> None:
    for _ in range(3):
        asked(batch_key="one")
    assert len(claim(store, limit=3)) == 3
    clock.now += LEASE
    assert len(store.requeue_lost()) == 3
    asked(batch_key="one", priority=1)
    assert [len(claim(store, limit=3)) for _ in range(5)] == [1, 1, 1, 1, 0]


def test_many_claim_at_once_and_each_job_has_one_worker(store: JobStore, asked: Ask) -> None:
    for i in range(60):
        asked(owner=f"owner {i % 3}", batch_key="one")

    def work(worker: str) -> list[str]:
        mine: list[str] = []
        while claimed := claim(store, worker, limit=2):
            mine += [job.id for job in claimed]
        return mine

    with ThreadPoolExecutor(12) as pool:
        claimed = [job for mine in pool.map(work, [f"w{i}" for i in range(12)]) for job in mine]
    assert len(claimed) == len(set(claimed)) == 60
