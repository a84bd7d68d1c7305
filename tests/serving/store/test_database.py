"""What is refused, what happens while the database is busy or gone, and how a GET stays quick."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from benchmarks.postgres import Postgres
from planners.dsg import UserError
from serving.database import Database
from serving.jobs import Job, JobStore, NewJob, Stage, StoreUnavailable
from serving.settings import Settings
from serving.store import SqlStore, open_store

Open = Callable[..., JobStore]


def refused(folder: Path, database: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        open_store(Settings(folder=folder, database=database))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_was_asked_for_is_there_when_the_store_is_opened_again(settings: Settings, opened: Open) -> None:
    new = NewJob(kind="plan", stage=Stage.PLAN, owner="ann", request={"prompt": "p"})
    with closing(open_store(settings)) as store:
        job, _ = store.add(new)
    assert opened(settings).get(job.id) == job


def test_a_folder_may_have_any_name(tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "50%20 of? it#s & ümlaut"
    opened(Settings(folder=folder))
    assert (folder / "jobs.sqlite").is_file()


def test_many_open_an_empty_database_at_once(settings: Settings) -> None:
    def use(_: int) -> int:
        with closing(open_store(settings)) as store:
            return sum(store.waiting().values())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [0] * 8


def test_a_database_of_a_newer_version_is_refused(settings: Settings, tmp_path: Path) -> None:
    url = settings.database or f"sqlite:///{tmp_path}/jobs.sqlite"
    with closing(Database(url)) as database, database.writing() as connection:
        connection.execute(text("UPDATE dysenvdm_schema SET version = 99"))
    assert "written by a newer dysenvdm (schema 99, this one knows 1)" in refused(tmp_path, settings.database)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as other:
        other.execute("CREATE TABLE jobs (salary INTEGER)")
    assert "'jobs' of another program" in refused(tmp_path)


def test_files_that_are_no_database(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"no database at all" * 100)
    assert "file is not a database" in refused(tmp_path)
    (tmp_path / "folder.sqlite").mkdir()
    assert "unable to open database file" in refused(tmp_path, f"sqlite:///{tmp_path}/folder.sqlite")
    assert "does not exist; create it first" in refused(tmp_path, f"sqlite:///{tmp_path}/missing/jobs.sqlite")


def test_urls_that_are_no_database(tmp_path: Path) -> None:
    assert "is no URL" in refused(tmp_path, "jobs.sqlite")
    assert "mysql: no job database of this kind" in refused(tmp_path, "mysql://localhost/jobs")
    assert "in memory is seen by one process only" in refused(tmp_path, "sqlite://")


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    message = refused(tmp_path, f"postgresql://ann:hunter2@/jobs?host={tmp_path}")
    assert "is the server running" in message
    assert "hunter2" not in message


def test_a_reader_does_not_wait_for_a_writer(settings: Settings, store: JobStore, asked: Callable[..., Job]) -> None:
    assert isinstance(store, SqlStore)
    job = asked()
    with store._database.writing() as connection:
        connection.execute(text("UPDATE jobs SET priority = 7"))
        seen = store.get(job.id)
        assert seen is not None
        assert seen.priority == 0


def test_what_must_survive_a_power_cut_is_synced_and_steps_are_not(store: JobStore, settings: Settings) -> None:
    assert isinstance(store, SqlStore)
    question = "SHOW synchronous_commit" if settings.database else "PRAGMA synchronous"
    levels = ("on", "off", "on") if settings.database else (2, 1, 2)
    found = []
    for durable in (True, False, True):
        with store._database.writing(durable) as connection:
            found.append(connection.scalar(text(question)))
    assert tuple(found) == levels


def test_what_is_asked_all_the_time_reads_no_whole_table(tmp_path: Path, opened: Open) -> None:
    store = opened(Settings(folder=tmp_path))
    assert isinstance(store, SqlStore)
    plans: list[str] = []

    def explain(connection: Connection, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            rows = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[attr-defined]
            plans.extend(row[3] for row in rows)

    event.listen(store._database._engine, "before_cursor_execute", explain)
    store.get("video_0")
    store.events("video_0", after=3)
    store.cancel("video_0")
    store.heartbeat(["video_0"], "w", lease=1)
    store.list(kind="video")
    store.list(kind="video", owner="ann")
    store.claim(Stage.GENERATE, "w", lease=1)
    store.requeue_lost()
    store.waiting()
    assert len(plans) > 8
    assert not [plan for plan in plans if plan.startswith(("SCAN jobs", "SCAN events")) and "INDEX" not in plan]


def test_a_busy_or_full_database_is_unavailable(tmp_path: Path, opened: Open, asked: Callable[..., Job]) -> None:
    store = opened(Settings(folder=tmp_path))
    assert isinstance(store, SqlStore)
    with store._database.writing() as connection:
        pages = connection.scalar(text("PRAGMA page_count"))

    @event.listens_for(store._database._engine, "begin")
    def small(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    new = NewJob(kind="plan", stage=Stage.PLAN, owner="ann", request={"prompt": "p" * 100_000})
    with pytest.raises(StoreUnavailable, match="full"):
        store.add(new)
    assert store.waiting()[Stage.PLAN] == 0


def test_a_killed_server_is_unavailable_and_then_there_again_with_all_jobs(
    postgres: Postgres, empty_schema: Callable[[], str], opened: Open, tmp_path: Path
) -> None:
    store = opened(Settings(folder=tmp_path, database=empty_schema()))
    job, _ = store.add(NewJob(kind="plan", stage=Stage.PLAN, owner="ann", request={"prompt": "p"}))
    postgres.kill()
    try:
        for ask in (lambda: store.get(job.id), lambda: store.claim(Stage.PLAN, "w", lease=1), store.requeue_lost):
            with pytest.raises(StoreUnavailable):
                ask()
    finally:
        postgres.start()
    assert store.get(job.id) == job


def test_workers_agree_on_the_time_where_their_clocks_do_not(
    empty_schema: Callable[[], str], opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(Settings(folder=tmp_path, database=empty_schema()))
    store.add(NewJob(kind="plan", stage=Stage.PLAN, owner="ann", request={"prompt": "p"}))
    store.claim(Stage.PLAN, "w", lease=60)
    monkeypatch.setattr("time.time", lambda: 9e9)
    assert store.requeue_lost() == []
