"""The store for minutes: more kills, also of the PostgreSQL server."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.postgres import Postgres
from serving.settings import Settings
from serving.store import open_store
from tests.serving.store.test_kills import check, kill_loop

pytestmark = pytest.mark.slow

JOBS = 40


def test_many_kills_over_sqlite(tmp_path: Path) -> None:
    settings = Settings(folder=tmp_path, attempts=1000)
    assert kill_loop(settings, JOBS, 3, least=10) >= 10
    with closing(open_store(settings)) as store:
        check(store, settings, JOBS)


def test_many_kills_also_of_the_postgresql_server(tmp_path: Path) -> None:
    with Postgres() as server:
        settings = Settings(folder=tmp_path, database=server.url(), attempts=1000)
        open_store(settings).close()
        ended = threading.Event()

        def kill_server() -> None:
            while not ended.wait(5.0):
                server.kill()
                server.start()

        thread = threading.Thread(target=kill_server)
        thread.start()
        try:
            assert kill_loop(settings, JOBS, 4, least=10) >= 10
        finally:
            ended.set()
            thread.join()
        with closing(open_store(settings)) as store:
            check(store, settings, JOBS)
