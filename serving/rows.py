"""Rows of the job store's tables: how they are found, changed and finished, each within the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from serving.jobs import Job, JobError, NewJob, Quota, QuotaExceeded, Status
from serving.tables import EVENTS, JOBS

UNDER_WAY = (Status.QUEUED, Status.IN_PROGRESS)
COLUMNS = [JOBS.c[name] for name in Job.model_fields]
STORED = (
    JOBS.c.status == Status.COMPLETED,
    JOBS.c.kind == "video",
    JOBS.c.expired.is_(False),
    JOBS.c.deleted.is_(False),
)


def owned(owner: str | None) -> list[ColumnElement[bool]]:
    return [] if owner is None else [JOBS.c.owner == owner]


def visible(owner: str | None) -> list[ColumnElement[bool]]:
    return [JOBS.c.deleted.is_(False), *owned(owner)]


def is_held(row: RowMapping, now: float) -> bool:
    return row["lease_until"] is not None and row["lease_until"] > now


def folded(words: str) -> str:
    """Words as they are searched for: whatever case, and nothing that a database cannot keep."""
    return words.replace("\0", " ").encode(errors="replace").decode().casefold()


def as_job(row: RowMapping) -> Job:
    values = {name: row[name] for name in Job.model_fields}
    return Job(**values | {"worker": values["worker"] if values["lease_until"] is not None else None})


def first(connection: Connection, *where: ColumnElement[bool], lock: bool = False) -> RowMapping | None:
    found = select(JOBS).where(*where)
    return connection.execute(found.with_for_update() if lock else found).mappings().first()


def changed(connection: Connection, job: str, **values: Any) -> Job:
    change = update(JOBS).where(JOBS.c.id == job).values(**values)
    if connection.dialect.update_returning:
        return as_job(connection.execute(change.returning(*COLUMNS)).mappings().one())
    connection.execute(change)  # SQLite before 3.35, which Red Hat 9 still has
    return as_job(connection.execute(select(*COLUMNS).where(JOBS.c.id == job)).mappings().one())


def happened(connection: Connection, job: str, kind: str, data: Mapping[str, Any], now: float) -> None:
    connection.execute(insert(EVENTS).values(job=job, kind=kind, data=dict(data), at=now))


def finished(connection: Connection, job: str, status: Status, now: float, **values: Any) -> Job:
    error = values.get("error")
    happened(connection, job, status, {} if error is None else error, now)
    return changed(connection, job, status=status, waits_for=None, lease_until=None, completed_at=now, **values)


def failed(connection: Connection, job: str, error: JobError, now: float) -> Job:
    return finished(connection, job, Status.FAILED, now, error=error.model_dump())


def put_back(connection: Connection, job: str, stage: str, *, attempts: int) -> Job:
    return changed(connection, job, stage=stage, waits_for=stage, worker=None, lease_until=None, attempts=attempts)


def check_quota(connection: Connection, new: NewJob, quota: Quota) -> None:
    mine = select(func.count(), func.coalesce(func.sum(JOBS.c.cost), 0)).where(
        JOBS.c.owner == new.owner, JOBS.c.status.in_(UNDER_WAY)
    )
    count, cost = connection.execute(mine).one()
    if count >= quota.jobs:
        raise QuotaExceeded(f"{count} jobs are queued or under way, and {quota.jobs} may be; wait for one to end")
    if quota.cost is not None and cost + new.cost > quota.cost:
        raise QuotaExceeded(
            f"jobs of cost {cost} are queued or under way, and this one of {new.cost} would pass the limit of "
            f"{quota.cost}; wait for one to end, or ask for fewer frames, pixels or steps"
        )
