"""Random operations by several workers, with a clock of their own: what holds after each, and in the end."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as effort
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from serving.jobs import Job, JobError, JobStore, LostJob, NewJob, Stage, Status
from serving.settings import Settings
from serving.store import open_store
from tests.serving.store.conftest import Clock

LEASE = 10.0
ATTEMPTS = 2
ERROR = JobError(code="x", message="y")
WORKERS = st.sampled_from(["w1", "w2", "w3"])
ORDER = [Status.QUEUED, Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED, Status.CANCELLED]


class Queue(RuleBasedStateMachine):
    """``held`` is which worker holds a job until when, told by what the store answered before; the store must agree."""

    ids = Bundle("ids")
    make_settings: Callable[[], Settings]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store: JobStore = open_store(self.make_settings(), self.clock)
        self.seen: dict[str, Job] = {}
        self.deleted: set[str] = set()
        self.held: dict[str, tuple[str, float]] = {}
        self.completed_by: dict[str, str] = {}

    def holds(self, job: str, worker: str) -> bool:
        holder, until = self.held.get(job, ("", 0.0))
        return holder == worker and until > self.clock.now

    @rule(
        target=ids,
        stage=st.sampled_from(Stage),
        owner=st.sampled_from(["ann", "bob"]),
        batch=st.sampled_from([None, "one"]),
        key=st.sampled_from([None, None, "k"]),
        priority=st.integers(-1, 1),
    )
    def add(self, stage: Stage, owner: str, batch: str | None, key: str | None, priority: int) -> str:
        new = NewJob(
            kind="video", stage=stage, owner=owner, request={}, batch_key=batch, idempotency_key=key, priority=priority
        )
        job, is_new = self.store.add(new)
        assert is_new == (job.id not in self.seen)
        self.seen.setdefault(job.id, job)
        return job.id

    @rule(worker=WORKERS, stage=st.sampled_from(Stage), limit=st.integers(1, 3))
    def claim(self, worker: str, stage: Stage, limit: int) -> None:
        claimed = self.store.claim(stage, worker, lease=LEASE, limit=limit)
        assert len(claimed) <= limit
        for job in claimed:
            assert job.id not in self.held
            assert (job.stage, job.worker, job.status) == (stage, worker, Status.IN_PROGRESS)
            self.held[job.id] = (worker, self.clock.now + LEASE)
        if stage is Stage.GENERATE and len(claimed) > 1:
            assert {job.batch_key for job in claimed} == {"one"}

    @rule(seconds=st.sampled_from([0.0, 1.0, LEASE / 2, LEASE]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(worker=WORKERS)
    def heartbeat(self, worker: str) -> None:
        answer = self.store.heartbeat(list(self.seen), worker, lease=LEASE)
        assert set(answer) == {job for job in self.seen if self.holds(job, worker)}
        for job in answer:
            self.held[job] = (worker, self.clock.now + LEASE)

    @rule(job=ids, worker=WORKERS, progress=st.floats(0, 100))
    def report(self, job: str, worker: str, progress: float) -> None:
        self.say(job, worker, lambda: self.store.report(job, worker, "step", {}, progress))

    @rule(job=ids, worker=WORKERS)
    def succeed(self, job: str, worker: str) -> None:
        if self.seen[job].stage is Stage.PLAN:
            ended = self.say(job, worker, lambda: self.store.planned(job, worker, {"of": worker}, {}))
        elif self.completed_by.get(job) == worker and job not in self.deleted:
            assert self.store.complete(job, worker, {"by": "somebody else"}).result == {"by": worker}
            ended = False
        else:
            ended = self.say(job, worker, lambda: self.store.complete(job, worker, {"by": worker}))
            if ended:
                self.completed_by[job] = worker
        if ended:
            del self.held[job]

    @rule(job=ids, worker=WORKERS, how=st.sampled_from(["fail", "again", "stopped"]))
    def give_up(self, job: str, worker: str, how: str) -> None:
        ways = {
            "fail": lambda: self.store.fail(job, worker, ERROR),
            "again": lambda: self.store.fail(job, worker, ERROR, again=True),
            "stopped": lambda: self.store.stopped(job, worker),
        }
        if self.say(job, worker, ways[how]):
            del self.held[job]

    @rule(job=ids, worker=WORKERS)
    def release(self, job: str, worker: str) -> None:
        self.store.release([job], worker)
        if self.holds(job, worker):
            del self.held[job]

    @rule()
    def requeue(self) -> None:
        lost = set(self.store.requeue_lost())
        assert lost == {job for job, (_, until) in self.held.items() if until <= self.clock.now}
        for job in lost:
            del self.held[job]

    @rule(job=ids)
    def cancel(self, job: str) -> None:
        cancelled = self.store.cancel(job)
        assert (cancelled is None) == (job in self.deleted)
        if cancelled is not None and cancelled.status.final:
            self.held.pop(job, None)

    @rule(job=ids)
    def delete(self, job: str) -> None:
        assert (self.store.delete(job) is None) == (job in self.deleted)
        self.deleted.add(job)
        self.held.pop(job, None)

    @rule()
    def expire(self) -> None:
        self.store.expire(list(self.seen), "disk_quota")

    def say(self, job: str, worker: str, what: Callable[[], object]) -> bool:
        """Whether it counted: just when the worker holds the job."""
        if self.holds(job, worker):
            what()
            return True
        before = self.store.get(job), self.store.events(job)
        with pytest.raises(LostJob):
            what()
        assert (self.store.get(job), self.store.events(job)) == before
        return False

    @invariant()
    def states_only_go_on(self) -> None:
        for name, before in self.seen.items():
            now = self.store.get(name)
            assert (now is None) == (name in self.deleted)
            if now is None:
                continue
            assert now.progress >= before.progress
            assert ORDER.index(now.status) >= ORDER.index(before.status)
            assert now.attempts <= ATTEMPTS
            assert (now.lease_until is not None) == (name in self.held)
            if before.status.final:
                fixed = {"expired", "expires_at"}
                assert now.model_dump(exclude=fixed) == before.model_dump(exclude=fixed)
            self.seen[name] = now
        counted = self.store.counts()
        assert sum(counted.values()) == len(self.seen) - len(self.deleted)

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.store.close()

    def finish(self) -> None:
        """Whatever happened, one good worker gets everything done, and everything was finished once."""
        self.clock.now += LEASE
        self.store.requeue_lost()
        for stage in (Stage.PLAN, Stage.GENERATE):
            while claimed := self.store.claim(stage, "last", lease=LEASE):
                for job in claimed:
                    if stage is Stage.PLAN:
                        self.store.planned(job.id, "last", {}, {})
                    else:
                        self.store.complete(job.id, "last", {})
        for name in set(self.seen) - self.deleted:
            job_now = self.store.get(name)
            assert job_now is not None
            assert job_now.status.final, "lost: nobody can claim it any more"
            kinds = [event.kind for event in self.store.events(name)]
            assert sum(kind in ORDER[2:] for kind in kinds) == 1
            numbers = [event.number for event in self.store.events(name)]
            assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(("database", "examples"), [("sqlite", 12), ("postgresql", 4)])
def test_no_job_is_lost_and_none_is_finished_twice(
    database: str, examples: int, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    empty_schema = request.getfixturevalue("empty_schema") if database == "postgresql" else lambda: None

    class Here(Queue):
        @staticmethod
        def make_settings() -> Settings:
            return Settings(folder=tmp_path_factory.mktemp("queue"), database=empty_schema(), attempts=ATTEMPTS)

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Here,
        settings=effort(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
