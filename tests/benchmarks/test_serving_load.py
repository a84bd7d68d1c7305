"""The serving benchmarks' clients against the real API, with a worker that needs no model."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from benchmarks import serving_faults as faults
from benchmarks import serving_load as load
from benchmarks.serving_client import Client, audit
from benchmarks.serving_server import Server, free_port, table
from serving.app import UVICORN, create_app
from serving.jobs import Job, LostJob, Stage
from serving.results import Results
from serving.settings import Settings
from serving.store import SqlStore, open_store


class Stand:
    """The API in a thread of its own and a worker that claims, waits a little, and writes what ``video`` gives."""

    def __init__(self, folder: Path, tokens: int) -> None:
        names = {f"client-{number}": f"{number:032d}" for number in range(tokens)}
        self.settings = Settings(folder=folder, port=free_port(), tokens=names, planners={"rules": {}})
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.results, self.opened = Results(folder), open_store(self.settings)
        self.video: Callable[[Job], bytes] = lambda job: b"a video of " + job.id.encode() * 50
        config = uvicorn.Config(
            create_app(self.settings, self.store(), self.results), port=self.settings.port, **UVICORN
        )
        self._api, self._stop = uvicorn.Server(config), threading.Event()
        self._threads = [threading.Thread(target=self._api.run), threading.Thread(target=self._work)]

    def store(self) -> SqlStore:
        assert isinstance(self.opened, SqlStore)
        return self.opened

    def client(self, number: int, patience: float = 20) -> Client:
        return Client(self.url, f"{number:032d}", patience)

    def content(self, job: Job) -> bytes | None:
        path = self.results.path(job, "video.mp4")
        return None if path is None else path.read_bytes()

    def wait_ready(self) -> None:
        with self.client(0) as client:
            client.get("/healthz")

    def _work(self) -> None:
        store = self.store()
        while not self._stop.wait(0.005):
            for job in store.claim(Stage.PLAN, "planner", lease=60, limit=8):
                dsg = {"format": "dysenvdm.dsg/1", "prompt": "a", "ticks": 8, "objects": [], "facts": []}
                store.planned(job.id, "planner", dsg, {"planner": "rules"})
            for job in store.claim(Stage.GENERATE, "generator", lease=60):
                self.finish(job)

    def finish(self, job: Job) -> None:
        store = self.store()
        try:
            store.report(job.id, "generator", "step", {"step": 1}, 50)
            with self.results.publish(job.id) as made:
                made.path("video.mp4").write_bytes(self.video(job))
                made.path("recipe.json").write_text("{}")
            store.complete(job.id, "generator", made.result)
        except LostJob:
            pass

    def __enter__(self) -> Stand:
        for thread in self._threads:
            thread.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._api.should_exit = True
        for thread in self._threads:
            thread.join()
        self.store().close()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path, tokens=4) as made:
        yield made


def planned(number: int) -> dict[str, Any]:
    return {"prompt": f"{load.PROMPTS[0]} {number}", "planner": "rules", "seed": number}


def as_server(stand: Stand) -> Server:
    """A stand has all that the benchmarks use of a server."""
    return stand  # type: ignore[return-value]


def test_all_jobs_of_all_clients_end_and_every_get_is_timed(stand: Stand) -> None:
    books, rows = load.under_load(as_server(stand), jobs=12, work=planned, every=0.05)
    assert books.right
    assert (books.accepted, books.completed) == (12, 12)
    median, most, *_, fair = rows
    assert 0 < median.samples[0] <= most.samples[0]
    assert 1 / 4 <= fair.samples[0] <= 1
    assert most.bound == 50
    assert "| GET while generating" in "\n".join(table(rows))


def test_a_file_that_is_not_what_was_promised_is_a_lost_job(stand: Stand) -> None:
    with stand.client(0) as client:
        job = client.create(planned(0))
        client.wait([job], every=0.02)
    done = stand.store().get(job)
    assert done is not None
    path = stand.results.path(done, "video.mp4")
    assert path is not None
    path.write_bytes(b"torn")
    assert audit(stand.store(), [job], stand.content).lost == (job,)


def test_clients_that_go_away_get_one_job_each(stand: Stand) -> None:
    trial = faults.Trial(as_server(stand), stand.store(), planned)
    row = faults.gone_clients(trial, random.Random(0), clients=4)
    assert row.books is not None
    assert row.books.right
    assert row.books.accepted == 4
    assert "| 4 | 4 | 0 | 0 | 0 |" in str(row)


def test_slow_readers_hold_up_nobody(stand: Stand) -> None:
    trial = faults.Trial(as_server(stand), stand.store(), planned)
    row = faults.slow_clients(trial, clients=4, jobs=2)
    assert row.books is not None
    assert row.books.right
    assert row.books.accepted == 3


def test_a_worker_that_loses_a_job_is_in_the_books(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the benchmark is for: were a stage to drop what it claimed, it would say so."""
    finish, dropped = stand.finish, []

    def forgetful(job: Job) -> None:
        if dropped:
            finish(job)
        else:
            dropped.append(job.id)
            stand.store().cancel(job.id)
            stand.store().stopped(job.id, "generator")

    monkeypatch.setattr(stand, "finish", forgetful)
    trial = faults.Trial(as_server(stand), stand.store(), planned)
    row = faults.Row("forgets")
    trial.strike(row, "generator", 0, time.time, jobs=3)
    books = trial.close(row).books
    assert books is not None
    assert list(books.lost) == dropped
    assert row.times == len(row.ended) == len(row.answered) == 1


def test_requests_are_asked_again_while_the_server_is_away() -> None:
    port, asked = free_port(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        asked.append(dict(scope["headers"]).get(b"idempotency-key"))
        status = 503 if len(asked) == 1 else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"id": "video_1"}).encode()})

    client = Client(f"http://127.0.0.1:{port}", "token", patience=10)
    with pytest.raises(TimeoutError, match="no answer"):
        Client(client.url, "token", patience=0.2).get("/healthz")
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_config=None))
    later = threading.Timer(0.3, server.run)
    later.start()
    try:
        with client:
            assert client.create({}) == "video_1"
    finally:
        server.should_exit = True
        later.join()
    assert len(asked) == 2
    assert asked[0] == asked[1] is not None
