"""The database behind the job store: SQLite or PostgreSQL, opened, checked, and its transactions.

SQLite runs in WAL mode: readers never wait. A writer takes the lock when it begins (``BEGIN IMMEDIATE``), so that two
of them queue up instead of failing half way. What must survive a power cut is written with ``synchronous=FULL``; steps
and heartbeats, which mean nothing after one, with ``NORMAL`` (PostgreSQL: ``synchronous_commit``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy import exc as sql

from planners.dsg import UserError
from serving.jobs import StoreUnavailable
from serving.tables import JOBS, SCHEMA, VERSION, metadata

Clock = Callable[[], float]

_BUSY_SECONDS = 30
_CONNECT_SECONDS = 10
_SETUP, _ADDING = 7_011, 7_012
"""Names of PostgreSQL's advisory locks, any two numbers: whoever makes the tables, whoever adds jobs for an owner."""


class Database:
    """Tables that are there, of the version that this program writes.

    ``clock``: seconds since the epoch; None: this machine's clock with SQLite, the server's with PostgreSQL, so that
    workers on hosts whose clocks differ agree on when a lease ends. Raises :class:`UserError`.
    """

    def __init__(self, url: str | URL, clock: Clock | None = None) -> None:
        self.url = _checked(url)
        self.postgres = self.url.get_backend_name() == "postgresql"
        self._clock = clock or (None if self.postgres else time.time)
        self._engine = _engine(self.url)
        try:
            self._set_up()
        except (sql.SQLAlchemyError, StoreUnavailable) as error:
            self.close()
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            if self.postgres:
                mend = "is the server running, and are host, port, name and password right?"
            else:
                mend = "name a file of this program or a new one, in a folder that can be written to"
            raise UserError(f"{self}: the job database cannot be used ({reason}); {mend}") from None
        except BaseException:
            self.close()
            raise

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Reading only. Raises :class:`StoreUnavailable`."""
        # PostgreSQL: no BEGIN and COMMIT, each would go to the server and back; nothing asks twice about one thing.
        with self._transaction({"isolation_level": "AUTOCOMMIT"} if self.postgres else {}) as connection:
            yield connection

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction that writes; a commit of a ``durable`` one survives a power cut. Raises
        :class:`StoreUnavailable`."""
        with self._transaction({"dysenvdm_writes": True, "dysenvdm_durable": durable}) as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """Seconds since the epoch."""
        if self._clock is not None:
            return self._clock()
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)

    def add_in_turn(self, connection: Connection, owner: str) -> None:
        """Let no other transaction that calls this for ``owner`` go on before this one ends."""
        if self.postgres:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:kind, hashtext(:owner))"), {"kind": _ADDING, "owner": owner}
            )

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except (sql.OperationalError, sql.InterfaceError, sql.TimeoutError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise StoreUnavailable(f"the job database does not answer: {reason}") from error

    def _set_up(self) -> None:
        with self.writing() as connection:
            if self.postgres:
                connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": _SETUP})
            there = inspect(connection)
            if there.has_table(SCHEMA.name):
                version = connection.scalar(select(SCHEMA.c.version)) or 0
                if version > VERSION:
                    raise UserError(
                        f"{self}: written by a newer dysenvdm (schema {version}, this one knows {VERSION}); "
                        "update dysenvdm, or name another database"
                    )
            elif there.has_table(JOBS.name):
                raise UserError(f"{self}: holds a table 'jobs' of another program; name another database")
            else:
                metadata.create_all(connection)
                connection.execute(insert(SCHEMA).values(version=VERSION))


def _checked(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except sql.ArgumentError:
        raise UserError(
            "the job database is no URL; write sqlite:////folder/jobs.sqlite or postgresql://user:password@host/name"
        ) from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise UserError(f"{parsed.drivername}: no job database of this kind; there are sqlite:// and postgresql://")
    if not parsed.database or parsed.database == ":memory:":
        raise UserError("sqlite://: a job database in memory is seen by one process only; name a file")
    folder = Path(parsed.database).parent
    if not folder.is_dir():
        raise UserError(f"{parsed.database}: the folder {str(folder)!r} does not exist; create it first (mkdir -p)")
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        try:
            engine = create_engine(
                url, pool_pre_ping=True, max_overflow=20, connect_args={"connect_timeout": _CONNECT_SECONDS}
            )
        except ModuleNotFoundError:
            raise UserError("PostgreSQL needs its driver: pip install 'dysenvdm[postgres]'") from None

        @event.listens_for(engine, "begin")
        def begin_postgres(connection: Connection) -> None:
            if not connection.get_execution_options().get("dysenvdm_durable", True):
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

        return engine

    engine = create_engine(url, max_overflow=20, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks fit
        connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("dysenvdm_writes"):
            level = "FULL" if options["dysenvdm_durable"] else "NORMAL"
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("dysenvdm_writes") else "BEGIN")

    return engine
