"""The job store on SQLite or PostgreSQL: :class:`serving.jobs.JobStore`.

Whatever changes a job, or appends one of its events, first locks the job's row until it commits (in SQLite: the whole
database). So the events of one job are committed in the order of their numbers, and whoever read up to a number
misses none below it.
"""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal

from sqlalchemy import URL, Connection, RowMapping, and_, delete, func, insert, or_, select, update

from dysenvdm.files import disk_trouble
from serving.database import Clock, Database
from serving.jobs import (
    Event,
    Job,
    JobError,
    JobStore,
    Kind,
    LostJob,
    NewJob,
    Page,
    Quota,
    Stage,
    Status,
)
from serving.rows import (
    COLUMNS,
    STORED,
    UNDER_WAY,
    as_job,
    changed,
    check_quota,
    failed,
    finished,
    first,
    folded,
    happened,
    is_held,
    owned,
    put_back,
    visible,
)
from serving.settings import Settings
from serving.tables import EVENTS, JOBS
from serving.turns import pick


def open_store(settings: Settings, clock: Clock | None = None) -> JobStore:
    """The store at ``settings.database``, by default ``jobs.sqlite`` in ``settings.folder``; made if it is not there.

    ``clock`` gives seconds since the epoch (tests). Every process opens its own, after it was forked. Raises
    :class:`planners.dsg.UserError` where the database cannot be used or is of a newer version.
    """
    url: str | URL | None = settings.database
    if url is None:
        with disk_trouble(settings.folder):
            settings.folder.mkdir(parents=True, exist_ok=True)
        url = URL.create("sqlite", database=str((settings.folder / "jobs.sqlite").absolute()))
    keep = None if settings.keep_hours is None else settings.keep_hours * 3600
    return SqlStore(Database(url, clock), attempts=settings.attempts, keep_seconds=keep)


class SqlStore:
    """Each method is one transaction. ``attempts`` are those of one stage; ``keep_seconds`` None: results stay."""

    def __init__(self, database: Database, *, attempts: int, keep_seconds: float | None) -> None:
        self._database = database
        self._attempts = attempts
        self._keep_seconds = keep_seconds

    def close(self) -> None:
        self._database.close()

    def now(self) -> float:
        with self._database.reading() as connection:
            return self._database.now(connection)

    # -- asked by the API --
    def add(self, new: NewJob, quota: Quota | None = None) -> tuple[Job, bool]:
        with self._database.writing() as connection:
            self._database.add_in_turn(connection, new.owner)
            if new.idempotency_key is not None:
                known = first(connection, JOBS.c.owner == new.owner, JOBS.c.idempotency_key == new.idempotency_key)
                if known is not None:
                    return as_job(known), False
            if quota is not None:
                check_quota(connection, new, quota)
            now = self._database.now(connection)
            job = Job(**dict(new), id=f"{new.kind}_{secrets.token_hex(16)}", status=Status.QUEUED, created_at=now)
            row = job.model_dump() | {
                "waits_for": job.stage,
                "words": folded(str(job.request.get("prompt", ""))),
                "upload": job.request.get("input_reference"),
                "deleted": False,
            }
            connection.execute(insert(JOBS).values(row))
            happened(connection, job.id, "queued", {}, now)
            return job, True

    def get(self, job: str, owner: str | None = None) -> Job | None:
        with self._database.reading() as connection:
            row = first(connection, JOBS.c.id == job, *visible(owner))
        return None if row is None else as_job(row)

    def list(
        self,
        *,
        kind: Kind,
        owner: str | None = None,
        after: str | None = None,
        limit: int = 20,
        order: Literal["asc", "desc"] = "desc",
        search: str | None = None,
        statuses: Sequence[Status] = (),
    ) -> Page:
        where = [JOBS.c.kind == kind, *visible(owner)]
        where += [JOBS.c.words.contains(word, autoescape=True) for word in folded(search or "").split()]
        if statuses:
            where.append(JOBS.c.status.in_(statuses))
        with self._database.reading() as connection:
            if after is not None:
                seen = select(JOBS.c.number).where(JOBS.c.id == after, *owned(owner))
                number = connection.scalar(seen)
                if number is None:
                    raise LookupError(after)
                where.append(JOBS.c.number > number if order == "asc" else JOBS.c.number < number)
            by = JOBS.c.number.asc() if order == "asc" else JOBS.c.number.desc()
            found = connection.execute(select(*COLUMNS).where(*where).order_by(by).limit(limit + 1)).mappings().all()
        return Page(jobs=[as_job(row) for row in found[:limit]], more=len(found) > limit)

    def cancel(self, job: str, owner: str | None = None) -> Job | None:
        with self._database.writing() as connection:
            row = first(connection, JOBS.c.id == job, *visible(owner), lock=True)
            if row is None or Status(row["status"]).final:
                return None if row is None else as_job(row)
            now = self._database.now(connection)
            if is_held(row, now):
                return changed(connection, job, cancel_requested=True)
            return finished(connection, job, Status.CANCELLED, now, cancel_requested=True)

    def delete(self, job: str, owner: str | None = None) -> Job | None:
        with self._database.writing() as connection:
            row = first(connection, JOBS.c.id == job, *visible(owner), lock=True)
            if row is None:
                return None
            last = as_job(row)
            if not last.status.final:
                last = finished(connection, job, Status.CANCELLED, self._database.now(connection))
            nothing = dict.fromkeys(("dsg", "plan", "result", "error", "upload", "batch_key", "idempotency_key"))
            changed(connection, job, deleted=True, request={}, words="", worker=None, **nothing)
            connection.execute(delete(EVENTS).where(EVENTS.c.job == job))
            return last

    def events(self, job: str, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        found = select(EVENTS).where(EVENTS.c.job == job, EVENTS.c.number > after)
        with self._database.reading() as connection:
            rows = connection.execute(found.order_by(EVENTS.c.number).limit(limit)).mappings().all()
        return [Event(**row) for row in rows]

    # -- asked by workers --
    def claim(self, stage: Stage, worker: str, *, lease: float, limit: int = 1) -> Sequence[Job]:
        with self._database.writing() as connection:
            claimed = []
            for row in pick(connection, stage, limit):
                now = self._database.now(connection)
                attempt = row["attempts"] + 1
                happened(connection, row["id"], "claimed", {"stage": stage, "attempt": attempt}, now)
                claimed.append(
                    changed(
                        connection,
                        row["id"],
                        status=Status.IN_PROGRESS,
                        waits_for=None,
                        worker=worker,
                        lease_until=now + lease,
                        attempts=attempt,
                        started_at=row["started_at"] or now,
                    )
                )
            return claimed

    def heartbeat(self, jobs: Sequence[str], worker: str, *, lease: float) -> Mapping[str, bool]:
        with self._database.writing(durable=False) as connection:
            now = self._database.now(connection)
            held = self._held_by(connection, jobs, worker, now)
            connection.execute(
                update(JOBS).where(JOBS.c.id.in_([row["id"] for row in held])).values(lease_until=now + lease)
            )
            return {row["id"]: row["cancel_requested"] for row in held}

    def report(self, job: str, worker: str, kind: str, data: Mapping[str, Any], progress: float | None = None) -> None:
        with self._database.writing(durable=False) as connection:
            row, now = self._mine(connection, job, worker)
            happened(connection, job, kind, data, now)
            if progress is not None and progress > row["progress"]:
                changed(connection, job, progress=min(progress, max(99.0, row["progress"])))

    def planned(self, job: str, worker: str, dsg: Mapping[str, Any], plan: Mapping[str, Any]) -> Job:
        with self._database.writing() as connection:
            row, now = self._mine(connection, job, worker)
            changed(connection, job, dsg=dict(dsg), plan=dict(plan))
            if row["kind"] == "plan":
                return finished(connection, job, Status.COMPLETED, now, progress=100.0)
            if row["cancel_requested"]:
                return finished(connection, job, Status.CANCELLED, now)
            happened(connection, job, "stage", {"stage": Stage.GENERATE}, now)
            return put_back(connection, job, Stage.GENERATE, attempts=0)

    def complete(self, job: str, worker: str, result: Mapping[str, Any], *, expires_at: float | None = None) -> Job:
        with self._database.writing() as connection:
            done = first(
                connection, JOBS.c.id == job, JOBS.c.worker == worker, JOBS.c.status == Status.COMPLETED, lock=True
            )
            if done is not None:
                return as_job(done)
            _, now = self._mine(connection, job, worker)
            if expires_at is None and self._keep_seconds is not None:
                expires_at = now + self._keep_seconds
            return finished(
                connection, job, Status.COMPLETED, now, progress=100.0, result=dict(result), expires_at=expires_at
            )

    def fail(self, job: str, worker: str, error: JobError, *, again: bool = False) -> Job:
        with self._database.writing() as connection:
            row, now = self._mine(connection, job, worker)
            return self._again_or_failed(connection, row, error, now) if again else failed(connection, job, error, now)

    def stopped(self, job: str, worker: str) -> Job:
        with self._database.writing() as connection:
            _, now = self._mine(connection, job, worker)
            return finished(connection, job, Status.CANCELLED, now)

    def release(self, jobs: Sequence[str], worker: str) -> None:
        with self._database.writing() as connection:
            now = self._database.now(connection)
            for row in self._held_by(connection, jobs, worker, now):
                if row["cancel_requested"]:
                    finished(connection, row["id"], Status.CANCELLED, now)
                else:
                    happened(connection, row["id"], "requeued", {"reason": "released"}, now)
                    put_back(connection, row["id"], row["stage"], attempts=row["attempts"] - 1)

    # -- asked by whoever keeps house --
    def requeue_lost(self) -> Sequence[str]:
        error = JobError(code="worker_lost", message="the process that worked on this job ended or did not answer")
        with self._database.writing() as connection:
            now = self._database.now(connection)
            lost = select(JOBS).where(JOBS.c.lease_until <= now).order_by(JOBS.c.lease_until, JOBS.c.number)
            rows = connection.execute(lost.with_for_update(skip_locked=True)).mappings().all()
            for row in rows:
                self._again_or_failed(connection, row, error, now)
            return [row["id"] for row in rows]

    def expire(self, jobs: Sequence[str] | None = None, reason: str = "age") -> Sequence[Job]:
        with self._database.writing() as connection:
            now = self._database.now(connection)
            which = JOBS.c.expires_at <= now if jobs is None else JOBS.c.id.in_(jobs)
            old = select(JOBS).where(which, *STORED).order_by(JOBS.c.number).with_for_update(skip_locked=True)
            gone = []
            for row in connection.execute(old).mappings().all():
                happened(connection, row["id"], "expired", {"reason": reason}, now)
                gone.append(changed(connection, row["id"], expired=True, expires_at=min(row["expires_at"] or now, now)))
            return gone

    def stored(self, limit: int = 100) -> Sequence[str]:
        found = select(JOBS.c.id).where(*STORED).order_by(JOBS.c.completed_at, JOBS.c.number).limit(limit)
        with self._database.reading() as connection:
            return connection.scalars(found).all()

    def files_that_count(self, jobs: Sequence[str]) -> Mapping[str, str | None]:
        found = select(JOBS.c.id, JOBS.c.result, and_(*STORED).label("stored")).where(
            JOBS.c.id.in_(jobs), JOBS.c.status.not_in(UNDER_WAY)
        )
        with self._database.reading() as connection:
            rows = connection.execute(found).all()
        return {row.id: (row.result or {}).get("folder") if row.stored else None for row in rows}

    def uploads_in_use(self, uploads: Sequence[str], *, since: float) -> Set[str]:
        alive = or_(JOBS.c.status.in_(UNDER_WAY), JOBS.c.completed_at > since, and_(*STORED))
        found = select(JOBS.c.upload).where(JOBS.c.upload.in_(uploads), alive, JOBS.c.deleted.is_(False))
        with self._database.reading() as connection:
            return {str(upload) for upload in connection.scalars(found)}

    def waiting(self) -> Mapping[Stage, int]:
        counted = select(JOBS.c.waits_for, func.count()).where(JOBS.c.waits_for.is_not(None))
        with self._database.reading() as connection:
            found = {Stage(stage): count for stage, count in connection.execute(counted.group_by(JOBS.c.waits_for))}
        return {stage: found.get(stage, 0) for stage in Stage}

    def counts(self) -> Mapping[tuple[Kind, Status], int]:
        counted = select(JOBS.c.kind, JOBS.c.status, func.count()).where(JOBS.c.deleted.is_(False))
        with self._database.reading() as connection:
            rows = connection.execute(counted.group_by(JOBS.c.kind, JOBS.c.status)).all()
        return {(kind, Status(status)): count for kind, status, count in rows}

    # -- parts of the above --
    def _held_by(
        self, connection: Connection, ids: Sequence[str], worker: str, now: float
    ) -> builtins.list[RowMapping]:
        """The rows, locked, of those jobs that are still the worker's."""
        held = select(JOBS).where(JOBS.c.id.in_(ids), JOBS.c.worker == worker, JOBS.c.lease_until > now)
        return list(connection.execute(held.order_by(JOBS.c.number).with_for_update()).mappings())

    def _mine(self, connection: Connection, job: str, worker: str) -> tuple[RowMapping, float]:
        now = self._database.now(connection)
        held = self._held_by(connection, [job], worker, now)
        if not held:
            raise LostJob(f"{worker} does not hold {job} any more")
        return held[0], now

    def _again_or_failed(self, connection: Connection, row: RowMapping, error: JobError, now: float) -> Job:
        if row["cancel_requested"]:
            return finished(connection, row["id"], Status.CANCELLED, now)
        if row["attempts"] >= self._attempts:
            return failed(connection, row["id"], error, now)
        happened(connection, row["id"], "requeued", {"reason": error.code, "attempt": row["attempts"]}, now)
        return put_back(connection, row["id"], row["stage"], attempts=row["attempts"])
