"""The books of the serving benchmarks: what they call lost, doubled and fair."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import serving_client as client
from benchmarks import serving_load as load
from serving.jobs import JobError, NewJob, Stage
from serving.settings import Settings
from serving.store import SqlStore, open_store

FILE = b"a video"
RESULT = {"sha256": hashlib.sha256(FILE).hexdigest()}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(Settings(folder=tmp_path))
    assert isinstance(opened, SqlStore)
    yield opened
    opened.close()


def add(store: SqlStore, owner: str = "ann") -> str:
    new = NewJob(kind="video", stage=Stage.GENERATE, owner=owner, request={"prompt": "a"})
    return store.add(new)[0].id


def complete(store: SqlStore, count: int = 1) -> list[str]:
    done = []
    for _ in range(count):
        (job,) = store.claim(Stage.GENERATE, "worker", lease=60)
        store.complete(job.id, "worker", RESULT)
        done.append(job.id)
    return done


def test_completed_jobs_with_their_files_are_neither_lost_nor_doubled(store: SqlStore) -> None:
    accepted = [add(store), add(store)]
    complete(store, 2)
    books = client.audit(store, accepted, lambda job: FILE)
    assert books.right
    assert (books.accepted, books.completed) == (2, 2)


def test_a_job_that_failed_waits_is_gone_or_has_another_file_is_lost(store: SqlStore) -> None:
    good, waits, failed, gone, bare, torn = accepted = [add(store) for _ in range(6)]
    for number in accepted:
        if number == waits:
            continue
        (job,) = store.claim(Stage.GENERATE, "worker", lease=60)
        if job.id == waits:
            store.release([job.id], "worker")
            (job,) = store.claim(Stage.GENERATE, "worker", lease=60)
        if job.id == failed:
            store.fail(job.id, "worker", JobError(code="broken", message="it broke"))
        else:
            store.complete(job.id, "worker", RESULT)
    store.delete(gone)
    files = {good: FILE, torn: FILE[:-1]}
    books = client.audit(store, accepted, lambda job: files.get(job.id))
    assert set(books.lost) == set(accepted) - {good}
    assert bare in books.lost
    assert not books.doubled


def test_a_job_that_nobody_asked_for_or_that_two_requests_got_is_doubled(store: SqlStore) -> None:
    first, second = add(store), add(store)
    complete(store, 2)
    assert client.audit(store, [first], lambda job: FILE).doubled == (second,)
    assert client.audit(store, [first, second, second], lambda job: FILE).doubled == (second,)


def test_shares_add_up_and_the_first_client_asks_for_most() -> None:
    assert load.shares(200, 50, 64) == [50, *[4] * 3, *[3] * 46]
    assert load.shares(7, 1, 64) == [7]
    assert sum(load.shares(203, 7, 20)) == 203
    assert load.shares(203, 7, 20)[0] == 20


def test_turns_are_fair_and_first_come_first_served_is_not() -> None:
    wanted = {"much": 6, "ann": 2, "bob": 2}
    turns = {"much": [1, 4, 7, 8, 9, 10], "ann": [2, 5], "bob": [3, 6]}
    assert load.fairness(turns, wanted) == pytest.approx(25 / 27)  # two, two and one when ann has all of hers
    first_come = {"much": [1, 2, 3, 4, 5, 6], "ann": [7, 9], "bob": [8, 10]}
    assert load.fairness(first_come, wanted) == pytest.approx(1 / 3)
    assert load.jain([2, 2, 2]) == 1


def test_percentiles_are_values_that_were_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [load.percentile(values, share) for share in (0.2, 0.5, 0.95)] == [1.0, 3.0, 5.0]
    assert load.percentile([7.0], 0.05) == 7.0
