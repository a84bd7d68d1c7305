"""Which job is claimed next: priorities first, then owners in turn, weighed by what their jobs cost.

Start-time fair queueing (Goyal, Vin and Cheng 1996): every owner has a virtual time, which a claimed job moves on by
its cost; whoever's is the lowest is next. One who was away begins where the others are, saving up nothing.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select
from sqlalchemy.dialects import postgresql, sqlite

from serving.jobs import Stage
from serving.tables import JOBS, TURNS


def pick(connection: Connection, stage: Stage, limit: int) -> list[RowMapping]:
    """Up to ``limit`` waiting jobs of ``stage``, locked for this transaction; of one batch key where they are to be
    generated, and a job that was tried before alone."""
    times: dict[str, tuple[int, int]] = {
        row.owner: (row.start, row.served) for row in connection.execute(select(TURNS).where(TURNS.c.stage == stage))
    }
    now = max((start for start, _ in times.values()), default=0)
    picked: list[RowMapping] = []
    paid: set[str] = set()
    alike: list[ColumnElement[bool]] = []
    while len(picked) < limit:
        others = JOBS.c.number.not_in([row["number"] for row in picked])
        row = _next(connection, [JOBS.c.waits_for == stage, others, *alike], times, now)
        if row is None:
            break
        now = max(now, times.get(row["owner"], (0, 0))[1])
        times[row["owner"]] = (now, now + max(row["cost"], 1))
        paid.add(row["owner"])
        picked.append(row)
        if row["attempts"] > 0 or (stage is Stage.GENERATE and row["batch_key"] is None):
            break
        alike = [JOBS.c.attempts == 0]
        if stage is Stage.GENERATE:
            alike.append(JOBS.c.batch_key == row["batch_key"])
    for owner in sorted(paid):  # in one order, so that two claims never wait for each other
        start, served = times[owner]
        _keep(connection, stage, owner, start, served)
    return picked


def _next(
    connection: Connection, where: list[ColumnElement[bool]], times: dict[str, tuple[int, int]], now: int
) -> RowMapping | None:
    heads = select(JOBS.c.priority, JOBS.c.owner, func.min(JOBS.c.number).label("first")).where(*where)
    order = sorted(
        connection.execute(heads.group_by(JOBS.c.priority, JOBS.c.owner)),
        key=lambda head: (-head.priority, max(times.get(head.owner, (0, 0))[1], now), head.first),
    )
    for head in order:
        one = (
            select(JOBS)
            .where(*where, JOBS.c.priority == head.priority, JOBS.c.owner == head.owner)
            .order_by(JOBS.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite: the transaction holds the one lock there is
        )
        if (row := connection.execute(one).mappings().first()) is not None:
            return row
    return None


def _keep(connection: Connection, stage: Stage, owner: str, start: int, served: int) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = dialect.insert(TURNS).values(stage=stage, owner=owner, start=start, served=served)
    connection.execute(
        row.on_conflict_do_update(index_elements=["stage", "owner"], set_={"start": start, "served": served})
    )
