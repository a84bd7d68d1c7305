"""Everything an operator may set about a server, read from options, from a YAML file, or by tests as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Sharing = Literal["auto", "coexist", "turns", "sleep", "unload"]
"""How planner and generator share a device: both stay loaded and work when they like, or in turns; one sleeps while
the other works, or one goes before the other is loaded. ``auto`` decides by measured peaks of memory; on a CPU two
never work at once."""


class Limits(BaseModel):
    """What one request, and one token, may ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: int = Field(256, ge=1)
    width: int = Field(1024, ge=8)
    height: int = Field(1024, ge=8)
    steps: int = Field(100, ge=1)
    cost: int = Field(2**33, ge=1)
    """Frames x height x width x steps of one video."""
    prompts: int = Field(64, ge=1)
    """Of one POST /v1/plans."""
    body_bytes: int = Field(1 << 20, ge=1024)
    upload_bytes: int = Field(8 << 20, ge=1024)
    queued_jobs: int = Field(64, ge=1)
    """Queued or under way, per token."""
    requests_per_minute: int = Field(600, ge=1)
    """Per token; events count once."""
    event_streams: int = Field(16, ge=1)
    """Open at a time, per token."""
    body_seconds: float = Field(60.0, gt=0)
    """How long a client may take to send a request's body."""
    wait_seconds: float = Field(120.0, ge=0)
    """How long POST /v1/plans waits for a plan before it answers 202."""


class Settings(BaseModel):
    """One server. ``tokens`` are name -> secret; without any, only this machine is answered.

    ``folder`` holds the SQLite file and the results. ``database`` is an SQLAlchemy URL. ``planners`` are name ->
    options of those that clients may choose, the first one the default; ``models`` likewise for video models.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    folder: Path
    database: str | None = Field(None, repr=False)
    tokens: dict[str, str] = Field(default_factory=dict, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    """Names by which clients may call the server (the Host header); empty: this machine's own names without tokens,
    any with them."""
    planners: dict[str, dict[str, Any]] = {"smollm2": {}, "rules": {}}
    models: tuple[str, ...] = ()
    """Names or folders; empty: the default model."""
    planner_url: str | None = None
    """An OpenAI-compatible server that plans instead of one of our own."""
    generators: int = Field(1, ge=1)
    """Generator workers, one per GPU."""
    sharing: Sharing = "auto"
    memory_budget_bytes: int | None = Field(None, ge=1)
    """Of the device that planner and generator share; None: what it has."""
    max_batch: int = Field(4, ge=1)
    """Compatible videos generated together."""
    lease_seconds: float = Field(30.0, gt=0)
    attempts: int = Field(3, ge=1)
    keep_hours: float | None = Field(24 * 7, gt=0)
    """Results are deleted so long after they are done; None: never."""
    disk_quota_bytes: int | None = Field(None, ge=1)
    """Of all results; the oldest go first."""
    log_prompts: bool = False
    audit_log: Path | None = None
    limits: Limits = Limits()
