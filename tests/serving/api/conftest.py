"""An app on a fresh store, a client for it, a real server, and a worker that makes tiny but real videos."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from dysenvdm.video import write_mp4
from serving.app import UVICORN, create_app
from serving.jobs import Job, JobError, JobStore, LostJob, Stage
from serving.results import Results
from serving.settings import Settings
from serving.store import open_store

GRAPH: dict[str, Any] = {
    "format": "dysenvdm.dsg/1",
    "prompt": "a dog runs",
    "ticks": 8,
    "objects": [{"id": "dog", "label": "dog"}],
    "facts": [{"subject": "dog", "predicate": "run", "start": 0, "end": 8, "source": "plan"}],
}
TOKENS = {"ann": "ann-has-a-long-secret", "ben": "ben-has-a-long-secret"}


class FakeWorker:
    """Both workers in one thread: plans are always :data:`GRAPH`, videos are noise.

    A prompt with ``fail`` in it fails, one with ``hold`` is held until it is cancelled.
    """

    name = "fake-worker"

    def __init__(self, store: JobStore, results: Results) -> None:
        self._store, self._results, self._stop = store, results, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> FakeWorker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self.work_once():
                time.sleep(0.02)

    def work_once(self) -> int:
        """Take what waits, and do it; returns how many."""
        done = 0
        for stage in Stage:
            for job in self._store.claim(stage, self.name, lease=60):
                done += 1
                with suppress(LostJob):  # deleted under way
                    self._plan(job) if stage is Stage.PLAN else self._generate(job)
        return done

    def _plan(self, job: Job) -> None:
        if "unplannable" in job.request["prompt"]:
            self._store.fail(job.id, self.name, JobError(code="planner_failed", message="no plan was found"))
            return
        said = {"planner": job.request["planner"], "degraded": None, "transcript_sha256": "0" * 64}
        self._store.planned(job.id, self.name, {**GRAPH, "prompt": job.request["prompt"]}, said)

    def _generate(self, job: Job) -> None:
        work, steps = job.request, 4
        for step in range(1, steps + 1):
            self._store.report(job.id, self.name, "step", {"step": step, "steps": steps}, progress=99 * step / steps)
        if "fail" in work["prompt"]:
            self._store.fail(job.id, self.name, JobError(code="out_of_memory", message="the device is too small"))
            return
        while "hold" in work["prompt"] and not self._stop.is_set():
            if self._store.heartbeat([job.id], self.name, lease=60)[job.id]:
                self._store.stopped(job.id, self.name)
                return
            time.sleep(0.02)
        frames = np.random.default_rng(work["seed"]).integers(
            0, 255, (work["num_frames"], work["height"], work["width"], 3), np.uint8
        )
        self._results.write_preview(job.id, picture(8, 8, "WEBP"))
        self._store.report(job.id, self.name, "preview", {"step": steps, "steps": steps})
        with self._results.publish(job.id) as made:
            write_mp4(made.path("video.mp4"), frames, work["fps"], {"prompt": work["prompt"]})
            Image.fromarray(frames[0]).save(made.path("thumbnail.webp"), "WEBP")
            Image.fromarray(np.concatenate(frames[:4], 1)).save(made.path("spritesheet.jpg"), "JPEG")
            made.path("recipe.json").write_text("{}")
        self._store.complete(job.id, self.name, {**made.result, "frames": len(frames)})


def picture(width: int, height: int, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, kind, **options)
    return file.getvalue()


class Served:
    """One app with all that belongs to it."""

    def __init__(self, folder: Path, page: Path | None = None, **settings: Any) -> None:
        values: dict[str, Any] = {"planners": {"smollm2": {}, "rules": {}}, **settings}
        self.settings = Settings(folder=folder, **values)
        self.store, self.results = open_store(self.settings), Results(folder)
        more = {} if page is None else {"page": page}
        self.app: FastAPI = create_app(self.settings, self.store, self.results, **more)
        self.worker = FakeWorker(self.store, self.results)

    def client(self, token: str | None = None, **options: Any) -> TestClient:
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        values: dict[str, Any] = {"base_url": "http://localhost:8000", "client": ("127.0.0.1", 50000), **options}
        return TestClient(self.app, headers=headers, raise_server_exceptions=True, **values)


MakeServed = Callable[..., Served]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeServed]:
    """Makes apps with settings; their stores are closed in the end."""
    made: list[Served] = []

    def one(**settings: Any) -> Served:
        made.append(Served(tmp_path / f"server{len(made)}", **settings))
        return made[-1]

    yield one
    for each in made:
        each.store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One app for tests that leave nothing behind, or do not mind what others left."""
    one = Served(tmp_path_factory.mktemp("shared"))
    yield one
    one.store.close()


@pytest.fixture
def served(make: MakeServed) -> Served:
    return make()


@pytest.fixture
def client(served: Served) -> TestClient:
    return served.client()


@pytest.fixture
def listen() -> Iterator[Callable[[Served], str]]:
    """Runs an app in a real server; returns its address."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(served: Served) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(served.app, **UVICORN))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        running.append((server, thread, listening))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, thread, listening in running:
        server.should_exit = True
        thread.join(20)
        listening.close()
        assert not thread.is_alive()
