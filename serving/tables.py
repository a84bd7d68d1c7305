"""The tables of the job store. :data:`VERSION` counts their shapes: raise it, and migrate, when one changes."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 1

_counted = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up nothing but INTEGER
_json = JSON(none_as_null=True)

metadata = MetaData()

SCHEMA = Table("dysenvdm_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

JOBS = Table(
    "jobs",
    metadata,
    Column("number", _counted, primary_key=True),  # the order in which jobs were asked for
    Column("id", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    # The stage while a worker may claim the job; NULL while one holds it, and when it is final.
    Column("waits_for", String(16)),
    Column("owner", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("batch_key", String(64)),
    Column("idempotency_key", Text),
    Column("remix_of", String(64)),
    Column("request", _json, nullable=False),
    Column("dsg", _json),
    Column("plan", _json),
    Column("result", _json),
    Column("error", _json),
    Column("words", Text, nullable=False),  # the prompt, case folded, for searching
    Column("upload", String(64)),
    Column("progress", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Stays when the lease ends, so that a worker may ask a second time for what it has already done.
    Column("worker", Text),
    Column("lease_until", Double),
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("completed_at", Double),
    Column("expires_at", Double),
    Column("expired", Boolean, nullable=False),
    # The row of a deleted job stays, emptied: lists go on after it.
    Column("deleted", Boolean, nullable=False),
    UniqueConstraint("owner", "idempotency_key"),
    Index("jobs_turns", "waits_for", "priority", "owner", "number"),
    Index("jobs_batches", "waits_for", "batch_key", "attempts", "priority", "owner", "number"),
    Index("jobs_lists", "kind", "deleted", "number"),
    Index("jobs_owners", "owner", "kind", "deleted", "number"),
    Index("jobs_under_way", "owner", "status"),
    Index("jobs_leases", "lease_until"),
    Index("jobs_expiry", "status", "expired", "expires_at"),
    Index("jobs_stored", "status", "expired", "completed_at"),
    Index("jobs_counted", "deleted", "kind", "status"),
    Index("jobs_uploads", "upload"),
    sqlite_autoincrement=True,
)

EVENTS = Table(
    "events",
    metadata,
    Column("number", _counted, primary_key=True),
    Column("job", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", _json, nullable=False),
    Column("at", Double, nullable=False),
    Index("events_of_job", "job", "number"),
    sqlite_autoincrement=True,  # a number is never used again, even when the newest events are deleted
)

# Whose turn it is (start-time fair queueing): ``start`` is the virtual time at which an owner's last claimed job
# began, ``served`` the one at which its next may begin: later by the job's cost.
TURNS = Table(
    "turns",
    metadata,
    Column("stage", String(16), primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("start", BigInteger, nullable=False),
    Column("served", BigInteger, nullable=False),
)
