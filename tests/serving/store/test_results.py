"""Files of jobs: whole or not there, of the winner only, by ids only; and what the house keeping does with them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from planners.dsg import UserError
from serving.housekeeping import LEFT_OVER_SECONDS, keep_house
from serving.jobs import Job, JobStore, LostJob, Stage, Status
from serving.results import Results
from serving.settings import Settings
from tests.serving.store.conftest import Clock

Ask = Callable[..., Job]
ID = "video_" + "0" * 32
DONE = {
    "id": ID,
    "kind": "video",
    "stage": "generate",
    "owner": "",
    "request": {},
    "status": "completed",
    "created_at": 0,
}
TRAVERSALS = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    f"{ID}/..",
    f"../{ID}",
    ID + "\n",
    ID.upper(),
    "upload_x",
    ID[:-1] + "٣",
]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def publish(results: Results, job: str, video: bytes) -> dict[str, Any]:
    with results.publish(job) as made:
        made.path("video.mp4").write_bytes(video)
        made.path("recipe.json").write_text("{}")
    return made.result


def completed(store: JobStore, results: Results, job: Job, video: bytes, expires_at: float | None = None) -> Job:
    (held,) = store.claim(Stage.GENERATE, "w", lease=10)
    assert held.id == job.id
    return store.complete(job.id, "w", publish(results, job.id, video), expires_at=expires_at)


def files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "sqlite" not in path.name
    )


def age(folder: Path, seconds: float) -> None:
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def test_a_publication_counts_when_its_job_is_completed(store: JobStore, results: Results, asked: Ask) -> None:
    job = asked()
    assert results.path(job, "video.mp4") is None
    done = completed(store, results, job, b"video")
    path = results.path(done, "video.mp4")
    assert path is not None
    assert path.read_bytes() == b"video"
    assert done.result is not None
    assert (done.result["bytes"], done.result["sha256"]) == (5, sha256(b"video").hexdigest())
    assert results.path(done, "dsg.json") is None


def test_a_publication_that_fails_leaves_nothing(results: Results, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), results.publish(ID) as made:
        made.path("video.mp4").write_bytes(b"half")
        raise RuntimeError
    with pytest.raises(ValueError, match=r"without recipe\.json"), results.publish(ID) as made:
        made.path("video.mp4").write_bytes(b"whole")
    with pytest.raises(ValueError, match="is no result file"), results.publish(ID) as made:
        (made.folder / "other").write_bytes(b"x")
    assert files(tmp_path) == []


def test_a_full_disk_is_named_and_leaves_nothing(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (lambda: publish(results, ID, b"video"), lambda: results.add_upload(b"picture")):
        with pytest.raises(UserError, match=r"No space left on device.*disk_quota_bytes"):
            write()
    assert files(tmp_path) == []


def test_files_are_synced_before_they_are_renamed(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut may leave a file that is there and empty."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    folder = publish(results, ID, b"video")["folder"]
    assert sorted(done[:2]) == ["recipe.json", "video.mp4"]
    assert done[2:] == [folder, "rename", ID, "results"]


def test_a_worker_that_comes_late_changes_nothing(
    store: JobStore, results: Results, clock: Clock, settings: Settings, asked: Ask, tmp_path: Path
) -> None:
    job = asked()
    store.claim(Stage.GENERATE, "slow", lease=10)
    before = publish(results, job.id, b"slow: published, not completed")
    clock.now += 10
    store.requeue_lost()
    done = completed(store, results, job, b"winner")
    with pytest.raises(LostJob):
        store.complete(job.id, "slow", before)
    publish(results, job.id, b"slow again")
    results.write_preview(job.id, b"slow preview")
    now = store.get(job.id)
    assert now == done
    path = results.path(done, "video.mp4")
    assert path is not None
    assert path.read_bytes() == b"winner"
    keep_house(store, results, settings)
    assert sorted({Path(name).parts[2] for name in files(tmp_path)}) == [path.parent.name]


def test_many_publish_at_once_and_each_is_whole(results: Results) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: publish(results, ID, str(i).encode() * 1000), range(16)))
    for i, result in enumerate(made):
        path = results.path(Job.model_validate(DONE | {"result": result}), "video.mp4")
        assert path is not None
        assert path.read_bytes() == str(i).encode() * 1000


@pytest.mark.parametrize("text", TRAVERSALS)
def test_ids_are_no_paths(results: Results, tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text("untouched")
    job = Job.model_validate(DONE | {"result": {"folder": text}})
    for use in (
        lambda: results.publish(text).__enter__(),
        lambda: results.delete(text),
        lambda: results.tidy(text, None),
        lambda: results.preview(text),
        lambda: results.write_preview(text, b""),
        lambda: results.upload(text),
        lambda: results.delete_upload(text),
        lambda: results.path(job, "video.mp4"),
        lambda: results.path(job, text),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match="is no"):
            use()
    assert files(tmp_path) == ["x"]


def test_uploads_and_previews(results: Results) -> None:
    upload = results.add_upload(b"picture")
    path = results.upload(upload)
    assert path is not None
    assert path.read_bytes() == b"picture"
    assert list(results.uploads()) == [upload]
    results.delete_upload(upload)
    assert results.upload(upload) is None
    assert results.preview(ID) is None
    for picture in (b"one", b"two"):
        results.write_preview(ID, picture)
    preview = results.preview(ID)
    assert preview is not None
    assert preview.read_bytes() == b"two"


def test_who_reads_a_file_reads_on_while_it_is_deleted(store: JobStore, results: Results, asked: Ask) -> None:
    done = completed(store, results, asked(), b"video")
    path = results.path(done, "video.mp4")
    assert path is not None
    with path.open("rb") as file:
        results.delete(done.id)
        assert file.read() == b"video"
    assert results.path(done, "video.mp4") is None
    results.delete(done.id)


def test_old_results_go_and_what_was_deleted_or_marked_and_is_still_there(
    store: JobStore, results: Results, clock: Clock, settings: Settings, asked: Ask, tmp_path: Path
) -> None:
    old, killed, deleted, kept = (asked(str(i)) for i in range(4))
    ids = [
        completed(store, results, job, b"v", clock.now + (5 if job is old else 99)).id
        for job in (old, killed, deleted, kept)
    ]
    under_way, failed = asked(), asked()
    for job in (under_way, failed):
        store.claim(Stage.GENERATE, "w", lease=10)
        results.write_preview(job.id, b"p")
    store.stopped(failed.id, "w")
    store.expire([killed.id])  # and was killed before it deleted the files
    store.delete(deleted.id)
    stranger = "video_" + "f" * 32
    publish(results, stranger, b"of another database")
    clock.now += 5
    done = keep_house(store, results, settings)
    assert (done.lost, done.expired, done.over_quota) == ((), (old.id,), ())
    assert set(results.sizes()) == {ids[3], under_way.id, stranger}
    assert done.bytes == sum(results.sizes().values())
    assert keep_house(store, results, settings).expired == ()


def test_the_oldest_results_go_when_there_are_too_many(
    store: JobStore, results: Results, clock: Clock, settings: Settings, asked: Ask
) -> None:
    done = []
    for i in range(5):
        done.append(completed(store, results, asked(str(i)), bytes(20_000)).id)
        clock.now += 1
    each = results.sizes()[done[0]]
    assert each >= 20_000
    tight = settings.model_copy(update={"disk_quota_bytes": 3 * each + each // 2})
    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(lambda _: keep_house(store, results, tight), range(4)))
    assert {job for one in rounds for job in one.over_quota} == set(done[:2])
    assert set(results.sizes()) == set(done[2:])
    gone = store.get(done[0])
    assert gone is not None
    assert (gone.status, gone.expired) == (Status.COMPLETED, True)
    assert [event.data for event in store.events(done[0]) if event.kind == "expired"] == [{"reason": "disk_quota"}]


def test_leftovers_of_killed_workers_go_and_what_is_being_written_stays(
    store: JobStore, results: Results, clock: Clock, settings: Settings, tmp_path: Path
) -> None:
    fresh = LEFT_OVER_SECONDS - 60
    left, written = tmp_path / "making" / "left", tmp_path / "making" / "written"
    for folder, seconds in ((left, LEFT_OVER_SECONDS + 1), (written, fresh)):
        folder.mkdir()
        (folder / "video.mp4").write_bytes(b"half")
        age(folder, clock.now - seconds)
    temporary = tmp_path / "making" / "upload"
    temporary.write_bytes(b"half")
    age(temporary, clock.now - LEFT_OVER_SECONDS - 1)
    assert keep_house(store, results, settings).leftovers == 2
    assert files(tmp_path) == ["making/written/video.mp4"]


def test_uploads_that_nobody_uses_go(
    store: JobStore, results: Results, clock: Clock, settings: Settings, asked: Ask, tmp_path: Path
) -> None:
    used, unused, new = (results.add_upload(name) for name in (b"used", b"unused", b"new"))
    asked(request={"prompt": "p", "input_reference": used})
    age(tmp_path / "uploads", clock.now - LEFT_OVER_SECONDS - 1)
    age(tmp_path / "uploads" / f"{new}.png", clock.now)
    assert keep_house(store, results, settings).uploads == 1
    assert results.upload(unused) is None
    assert set(results.uploads()) == {used, new}
