"""What the API asks of the store: adding under a quota, lists, deletion, owners, expiry."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.jobs import Job, JobStore, LostJob, NewJob, Page, Quota, QuotaExceeded, Stage, Status
from serving.settings import Settings
from tests.serving.store.conftest import Clock

Ask = Callable[..., Job]


def new(**fields: object) -> NewJob:
    base = {"kind": "video", "stage": "generate", "owner": "ann", "request": {"prompt": "p"}, "cost": 1}
    return NewJob.model_validate(base | fields)


def prompts(page: Page) -> list[str]:
    return [job.request["prompt"] for job in page.jobs]


def test_a_job_comes_back_as_it_was_asked_for(store: JobStore) -> None:
    asked = new(
        request={"prompt": "a \0 «ß» \ud83d", "seed": 2**60}, dsg={"nodes": [None, 1.5]}, batch_key="k", cost=2**40,
        priority=-9, idempotency_key="key", remix_of="video_x",
    )  # fmt: skip
    job, is_new = store.add(asked)
    assert is_new
    assert store.get(job.id) == job
    assert NewJob(**{name: getattr(job, name) for name in NewJob.model_fields}) == asked


def test_one_idempotency_key_is_one_job_of_its_owner(store: JobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: store.add(new(idempotency_key="k")), range(16)))
    assert len({job.id for job, _ in added}) == 1
    assert sum(is_new for _, is_new in added) == 1
    other, is_new = store.add(new(idempotency_key="k", owner="bob"))
    assert is_new
    assert store.counts() == {("video", Status.QUEUED): 2}
    store.delete(other.id)
    assert store.add(new(idempotency_key="k", owner="bob"))[1]


def test_a_quota_holds_whoever_asks_at_once(store: JobStore, asked: Ask) -> None:
    asked(owner="bob")

    def add(_: int) -> bool:
        try:
            return store.add(new(), Quota(jobs=5))[1]
        except QuotaExceeded:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(20))) == 5
    with pytest.raises(QuotaExceeded, match="5 jobs are queued or under way, and 5 may be"):
        store.add(new(), Quota(jobs=5))
    (job,) = store.claim(Stage.GENERATE, "w", lease=10)
    (mine,) = store.claim(Stage.GENERATE, "w", lease=10) if job.owner == "bob" else (job,)
    with pytest.raises(QuotaExceeded):
        store.add(new(), Quota(jobs=5))
    store.complete(mine.id, "w", {})
    assert store.add(new(), Quota(jobs=5))[1]


def test_a_quota_of_cost(store: JobStore) -> None:
    quota = Quota(cost=10)
    job, _ = store.add(new(cost=6, idempotency_key="k"), quota)
    with pytest.raises(QuotaExceeded, match=r"cost 6 .* of 5 would pass the limit of 10"):
        store.add(new(cost=5), quota)
    store.add(new(cost=4), quota)
    assert store.add(new(cost=6, idempotency_key="k"), quota) == (job, False)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_every_job_once_in_order(store: JobStore, asked: Ask, order: str) -> None:
    ids = [asked(str(i)).id for i in range(7)]
    asked(kind="plan", stage="plan")
    got: list[str] = []
    more, after = True, None
    while more:
        page = store.list(kind="video", after=after, limit=3, order=order)  # type: ignore[arg-type]
        got += [job.id for job in page.jobs]
        more, after = page.more, page.jobs[-1].id
    assert got == (ids if order == "asc" else ids[::-1])


def test_a_list_goes_on_after_a_deleted_job_and_refuses_one_that_never_was(store: JobStore, asked: Ask) -> None:
    first, second, third = asked("1"), asked("2"), asked("3")
    store.delete(second.id)
    assert prompts(store.list(kind="video", after=second.id)) == ["1"]
    assert prompts(store.list(kind="video", after=second.id, order="asc")) == ["3"]
    assert prompts(store.list(kind="video")) == ["3", "1"]
    for after, owner in (("video_0", None), (first.id, "bob"), (third.id, "bob")):
        with pytest.raises(LookupError):
            store.list(kind="video", after=after, owner=owner)


def test_search_and_statuses(store: JobStore, asked: Ask) -> None:
    for prompt in ("A girl jumps", "a dog SITS", "ÉTÉ à 100% _fun_", "girls sit"):
        asked(prompt)
    asked("a girl, too", owner="bob")

    def search(words: str) -> list[str]:
        return prompts(store.list(kind="video", owner="ann", search=words, order="asc"))

    assert search("GIRL") == ["A girl jumps", "girls sit"]
    assert search("sit dog") == ["a dog SITS"]
    assert search("été") == ["ÉTÉ à 100% _fun_"]
    assert search("100%") == search("_fun_") == ["ÉTÉ à 100% _fun_"]
    assert search("%") == ["ÉTÉ à 100% _fun_"]
    assert search("' OR 1=1 --") == search("cat") == []
    store.claim(Stage.GENERATE, "w", lease=10)
    page = store.list(kind="video", statuses=[Status.IN_PROGRESS, Status.FAILED])
    assert prompts(page) == ["A girl jumps"]


def test_another_owners_job_is_not_there(store: JobStore, asked: Ask) -> None:
    job = asked()
    for owner in ("bob", "", "ANN"):
        assert store.get(job.id, owner) is None
        assert store.cancel(job.id, owner) is None
        assert store.delete(job.id, owner) is None
        assert store.list(kind="video", owner=owner).jobs == []
    assert store.get(job.id, "ann") == store.get(job.id) == job


def test_a_deleted_job_is_forgotten_and_its_worker_loses_it(store: JobStore, asked: Ask) -> None:
    held, waiting = asked("a secret"), asked("another secret")
    store.claim(Stage.GENERATE, "w", lease=10)
    for job in (held, waiting):
        gone = store.delete(job.id)
        assert gone is not None
        assert gone.status is Status.CANCELLED
        assert store.get(job.id) is None
        assert store.events(job.id) == []
        assert store.delete(job.id) is None
        assert store.cancel(job.id) is None
    assert store.heartbeat([held.id], "w", lease=10) == {}
    for say in (lambda: store.report(held.id, "w", "step", {}), lambda: store.complete(held.id, "w", {})):
        with pytest.raises(LostJob):
            say()
    assert store.requeue_lost() == []
    assert store.claim(Stage.GENERATE, "w", lease=10) == []
    assert store.counts() == {}
    assert store.list(kind="video", search="secret").jobs == []


def test_events_are_read_on_from_a_number(store: JobStore, asked: Ask) -> None:
    job, other = asked(), asked(owner="bob")
    store.claim(Stage.GENERATE, "w", lease=10)
    for step in range(5):
        store.report(job.id, "w", "step", {"step": step})
    every = store.events(job.id)
    assert [event.data.get("step") for event in every] == [None, None, 0, 1, 2, 3, 4]
    assert store.events(job.id, after=every[3].number) == every[4:]
    assert store.events(job.id, limit=2) == every[:2]
    numbers = [event.number for each in (job, other) for event in store.events(each.id)]
    assert len(set(numbers)) == len(numbers)


def test_no_reader_skips_an_event_that_is_committed_late(store: JobStore, asked: Ask) -> None:
    """Eight threads append to one job, while one reads on from the last number it saw."""
    job = asked()
    store.claim(Stage.GENERATE, "w", lease=10)
    each = 25

    def write(thread: int) -> None:
        for step in range(each):
            store.report(job.id, "w", "step", {"thread": thread, "step": step})

    read: list[tuple[int, int]] = []
    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write, thread) for thread in range(8)]
        last = 0
        while len(read) < 8 * each:
            ended = all(writer.done() for writer in writers)
            found = store.events(job.id, after=last)
            read += [(event.data["thread"], event.data["step"]) for event in found if event.kind == "step"]
            last = found[-1].number if found else last
            if ended and not found:
                break
    assert sorted(read) == [(thread, step) for thread in range(8) for step in range(each)]


def test_results_expire(store: JobStore, clock: Clock, settings: Settings, asked: Ask) -> None:
    assert settings.keep_hours is not None
    ids = [asked(str(i)).id for i in range(4)]
    store.claim(Stage.GENERATE, "w", lease=10)
    done = store.complete(ids[0], "w", {})
    assert done.expires_at == clock.now + settings.keep_hours * 3600
    for number, expires_at in ((1, clock.now + 20), (2, clock.now + 10)):
        clock.now += 1
        store.claim(Stage.GENERATE, "w", lease=10)
        store.complete(ids[number], "w", {}, expires_at=expires_at)
    assert list(store.stored()) == ids[:3]
    assert store.expire() == []
    clock.now += 8
    assert [job.id for job in store.expire()] == [ids[2]]
    assert store.expire() == []
    assert [job.id for job in store.expire([ids[0], ids[2], ids[3]], "disk_quota")] == [ids[0]]
    assert list(store.stored()) == [ids[1]]
    job = store.get(ids[0])
    assert job is not None
    assert (job.status, job.expired, job.expires_at) == (Status.COMPLETED, True, clock.now)
    assert store.events(ids[0])[-1].data == {"reason": "disk_quota"}
    assert store.events(ids[2])[-1].data == {"reason": "age"}


def test_which_uploads_are_in_use(store: JobStore, clock: Clock, asked: Ask) -> None:
    waiting, failed, done, expired, deleted = (
        asked(request={"prompt": "p", "input_reference": f"upload_{name}"}) for name in "wfdex"
    )
    every = [f"upload_{name}" for name in "wfdexu"]
    assert store.uploads_in_use(every, since=0) == set(every[:5])
    store.claim(Stage.GENERATE, "w", lease=10)
    store.cancel(failed.id)
    for job in (done, expired):
        (held,) = store.claim(Stage.GENERATE, "w", lease=10)
        assert held.id == job.id
        store.complete(job.id, "w", {})
    store.expire([expired.id])
    store.delete(deleted.id)
    assert waiting.status is Status.QUEUED
    assert store.uploads_in_use(every, since=clock.now - 1) == {f"upload_{name}" for name in "wfde"}
    assert store.uploads_in_use(every, since=clock.now) == {f"upload_{name}" for name in "wd"}
