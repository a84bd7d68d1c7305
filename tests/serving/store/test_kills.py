"""Processes that ask and work are killed at any moment: what was accepted is finished once, its files are whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from serving.housekeeping import keep_house
from serving.jobs import JobStore
from serving.results import Results
from serving.settings import Settings

ROOT = Path(__file__).parents[3]


def kill_loop(settings: Settings, jobs: int, seed: int, least: int) -> int:
    """How many processes were killed; at least so many."""
    numbers = map(str, (jobs, seed, least))
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("kill_loop.py"), settings.model_dump_json(), *numbers],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def check(store: JobStore, settings: Settings, jobs: int) -> None:
    found = store.list(kind="video", limit=jobs + 1).jobs
    accepted = (settings.folder / "accepted").read_text().split()
    assert {job.id for job in found} == set(accepted)
    assert len(found) == jobs
    results = Results(settings.folder)
    for job in found:
        events = [event.kind for event in store.events(job.id)]
        assert events.count("completed") == 1
        assert events[-1] == "completed"
        path = results.path(job, "video.mp4")
        assert path is not None
        assert job.result is not None
        assert sha256(path.read_bytes()).hexdigest() == job.result["sha256"]
        assert path.read_text().startswith(f"{job.id} ")
    keep_house(store, results, settings)
    assert len(list((settings.folder / "results").glob("*/*"))) == jobs


def test_accepted_jobs_are_finished_once_whoever_is_killed(settings: Settings, opened: Callable[..., JobStore]) -> None:
    settings = settings.model_copy(update={"attempts": 1000})
    assert kill_loop(settings, jobs=16, seed=1, least=3) >= 3
    check(opened(settings), settings, jobs=16)
