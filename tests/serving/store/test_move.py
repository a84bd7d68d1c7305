"""Jobs move between databases, and the server goes on as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from planners.dsg import UserError
from serving.jobs import Job, JobStore, NewJob, Stage
from serving.move import move
from serving.settings import Settings
from serving.store import open_store

ROOT = Path(__file__).parents[3]


def test_everything_moves_and_numbers_go_on(
    store: JobStore,
    settings: Settings,
    asked: Callable[..., Job],
    empty_schema: Callable[[], str],
    opened: Callable[..., JobStore],
    tmp_path: Path,
) -> None:
    source = settings.database or f"sqlite:///{tmp_path}/jobs.sqlite"
    other = f"sqlite:///{tmp_path}/other.sqlite" if settings.database else empty_schema()
    done, deleted, waiting = asked("done", dsg={"ticks": 8}), asked("deleted"), asked("waiting")
    store.claim(Stage.GENERATE, "w", lease=10)
    store.complete(done.id, "w", {"frames": 16})
    store.delete(deleted.id)
    assert move(source, other) == 3
    moved = opened(settings.model_copy(update={"database": other}), store.now)
    for job in (done, deleted, waiting):
        assert moved.get(job.id) == store.get(job.id)
        assert moved.events(job.id) == store.events(job.id)
    added, _ = moved.add(NewJob(kind="video", stage=Stage.GENERATE, owner="ann", request={"prompt": "new"}))
    assert moved.events(added.id)[0].number > max(event.number for event in moved.events(waiting.id))
    listed = moved.list(kind="video", order="asc").jobs
    assert [job.request["prompt"] for job in listed] == ["done", "waiting", "new"]
    with pytest.raises(UserError, match="holds jobs already"):
        move(source, other)


def test_an_empty_database_moves_by_command(tmp_path: Path) -> None:
    with closing(open_store(Settings(folder=tmp_path))):
        pass
    urls = [f"sqlite:///{tmp_path}/{name}.sqlite" for name in ("jobs", "other")]
    command = [sys.executable, "-m", "serving.move"]
    done = subprocess.run([*command, *urls], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("0 jobs copied")
    failed = subprocess.run([*command, f"{urls[0]}x", urls[1]], cwd=ROOT, capture_output=True, text=True)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
