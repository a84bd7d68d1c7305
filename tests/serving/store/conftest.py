"""Every test of the store runs on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.postgres import NoPostgres, Postgres
from serving.jobs import Job, JobStore, NewJob
from serving.settings import Settings
from serving.store import open_store

_number = count()


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres(durable=False)
    except NoPostgres as error:
        pytest.skip(f"NOT RUN on PostgreSQL: {error}")
    with server:
        yield server


@pytest.fixture
def empty_schema(postgres: Postgres) -> Callable[[], str]:
    """The URL of an empty place in the PostgreSQL server."""

    def make() -> str:
        name = f"test_{next(_number)}"
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{postgres.url()}&options=-csearch_path%3D{name}"

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of an empty database of either kind."""
    if request.param == "sqlite":
        return Settings(folder=tmp_path)
    return Settings(folder=tmp_path, database=request.getfixturevalue("empty_schema")())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened() -> Iterator[Callable[..., JobStore]]:
    """``open_store``, closed in the end."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(closing(open_store(*arguments)))


@pytest.fixture
def store(settings: Settings, clock: Clock, opened: Callable[..., JobStore]) -> JobStore:
    return opened(settings, clock)


@pytest.fixture
def asked(store: JobStore) -> Callable[..., Job]:
    """Adds a video job of owner ``ann`` that waits to be generated; fields as keywords."""

    def ask(prompt: str = "a girl jumps", **fields: Any) -> Job:
        new = {"kind": "video", "stage": "generate", "owner": "ann", "request": {"prompt": prompt}, "cost": 1}
        return store.add(NewJob.model_validate(new | fields))[0]

    return ask
