"""What a job is, and what a job store can do: the one thing that the API and the workers share.

A job passes through *stages*: a prompt is planned, a scene graph is generated. A worker claims jobs of its stage for a
bounded time, the *lease*, which it prolongs while it works. Whoever lets it run out has lost the job: another worker
may have it, and nothing that the first one still says about it counts (:class:`LostJob`). That is why a job is lost by
no crash and finished by no two workers.

Times are seconds since the epoch (UTC), durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field


class Status(StrEnum):
    """What a client is told. The last three are final."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Stage(StrEnum):
    """What is to be done next, and so which kind of worker may claim the job."""

    PLAN = "plan"
    GENERATE = "generate"


Kind = Literal["plan", "video"]
"""A ``plan`` job ends with its scene graph, a ``video`` job with a video."""


class JobError(BaseModel):
    """Why a job failed. ``code`` is for programs (``planner_failed``, ``worker_lost``, ...), ``message`` for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    message: str


class NewJob(BaseModel):
    """A job that is asked for.

    ``request`` is what the stages read, checked before it comes here. ``dsg`` is there where the client brought a
    scene graph. Jobs of one ``batch_key`` can be generated together (None: with nothing else). ``cost`` is what limits
    and fairness count: frames x height x width x steps of a video, characters of a plan's prompt. ``remix_of`` is the
    job whose video this one changes. Two jobs of one owner with one ``idempotency_key`` are the same job.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    stage: Stage
    owner: str
    request: dict[str, Any]
    dsg: dict[str, Any] | None = None
    batch_key: str | None = None
    cost: int = Field(0, ge=0)
    priority: int = Field(0, ge=-9, le=9)
    idempotency_key: str | None = None
    remix_of: str | None = None


class Job(NewJob):
    """A job in the store.

    ``id`` begins with its kind (``video_...``). ``progress`` is a percentage that never falls. ``attempts`` counts
    claims of the present stage. ``worker`` and ``lease_until`` are set while one holds it. ``plan`` is what planning
    found besides the scene graph: planner, transcript's hash, degraded, strategy. ``result`` describes the finished
    video: frames, fps, width, height, bytes, sha256. ``expires_at`` is when its files will be deleted; ``expired``
    when they have been.
    """

    id: str
    status: Status
    progress: float = 0.0
    attempts: int = 0
    worker: str | None = None
    lease_until: float | None = None
    cancel_requested: bool = False
    plan: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: JobError | None = None
    created_at: float
    started_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    expired: bool = False


class Event(BaseModel):
    """Something that happened to a job; ``number`` grows over all jobs. ``kind``: queued, claimed, stage, step,
    preview, requeued, completed, failed, cancelled, expired."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    job: str
    kind: str
    data: dict[str, Any]
    at: float


class Page(BaseModel):
    """Some jobs of a list; ``more`` says that others follow the last one."""

    jobs: list[Job]
    more: bool


class Quota(BaseModel):
    """How much one owner may have in the queue or under way at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: int = Field(64, ge=1)
    cost: int | None = Field(None, ge=1)


class LostJob(Exception):  # noqa: N818  (not an error: it happens whenever a lease ran out)
    """The worker does not hold the job any more; what it made of it is to be thrown away."""


class QuotaExceeded(Exception):  # noqa: N818
    """The owner's queue is full; the text says how full, and what the limit is."""


class StoreUnavailable(Exception):  # noqa: N818
    """The database does not answer, is locked or full: nothing happened, or (where the connection broke while it was
    told to commit) it is not known whether it did; ask again. Every method of a store may raise it."""


class JobStore(Protocol):
    """Jobs, kept in a database; every method is one transaction and may be called from any process or thread.

    ``owner`` is the name that a token stands for, None whoever may see all jobs (workers, an open server). A job of
    another owner is as one that is not there: None.
    """

    # -- asked by the API --
    def add(self, new: NewJob, quota: Quota | None = None) -> tuple[Job, bool]:
        """The job, and whether it is new: one with the same owner and idempotency key is given back instead.

        Raises :class:`QuotaExceeded`.
        """
        ...

    def get(self, job: str, owner: str | None = None) -> Job | None: ...

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
        """Jobs by the time they were asked for; ``after`` is the id of the last one already seen, ``search`` words that
        the prompt holds, in any order and case. Deleted ones are not listed, but lists go on after them.

        Raises :class:`LookupError` where ``after`` is no job of the owner's, and never was.
        """
        ...

    def cancel(self, job: str, owner: str | None = None) -> Job | None:
        """Cancel at once what no worker holds, ask the worker to stop otherwise; final jobs stay as they are."""
        ...

    def delete(self, job: str, owner: str | None = None) -> Job | None:
        """Forget the job, cancelling it first; None where there is none. Its files are the caller's to delete: a worker
        that still holds it loses it."""
        ...

    def events(self, job: str, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """The job's events numbered above ``after``, in order."""
        ...

    # -- asked by workers --
    def claim(self, stage: Stage, worker: str, *, lease: float, limit: int = 1) -> Sequence[Job]:
        """Up to ``limit`` jobs that wait for this stage, at most those of one batch key in :attr:`Stage.GENERATE`.

        Higher priorities come first; owners take turns, so that one with a thousand jobs does not keep another one
        waiting; each owner's are taken in order. Empty where nothing waits. ``worker`` is a name that no other process
        has or had. A job that was tried before comes alone: what ended its worker shall end no other job.
        """
        ...

    def heartbeat(self, jobs: Sequence[str], worker: str, *, lease: float) -> Mapping[str, bool]:
        """Prolong the leases of the jobs that are still the worker's: id -> whether it shall be cancelled. Jobs that
        are not in the answer are lost."""
        ...

    def report(self, job: str, worker: str, kind: str, data: Mapping[str, Any], progress: float | None = None) -> None:
        """Append an event, and raise the progress. Raises :class:`LostJob`."""
        ...

    def planned(self, job: str, worker: str, dsg: Mapping[str, Any], plan: Mapping[str, Any]) -> Job:
        """The plan is there: a plan job is completed, a video job waits for a generator. Raises :class:`LostJob`."""
        ...

    def complete(self, job: str, worker: str, result: Mapping[str, Any], *, expires_at: float | None = None) -> Job:
        """The video is there: call it when its files have their final names; a second time does nothing.

        ``expires_at`` None: after the server's ``keep_hours``. Raises :class:`LostJob`.
        """
        ...

    def fail(self, job: str, worker: str, error: JobError, *, again: bool = False) -> Job:
        """The stage failed; ``again`` puts the job back where attempts are left. Raises :class:`LostJob`."""
        ...

    def stopped(self, job: str, worker: str) -> Job:
        """The worker stopped it as it was asked to: it is cancelled. Raises :class:`LostJob`."""
        ...

    def release(self, jobs: Sequence[str], worker: str) -> None:
        """Give jobs back untouched, not counting the attempt: the worker is going away."""
        ...

    # -- asked by whoever keeps house --
    def requeue_lost(self) -> Sequence[str]:
        """Put back jobs whose lease ran out; those without attempts left fail (``worker_lost``). Returns their ids."""
        ...

    def expire(self, jobs: Sequence[str] | None = None, reason: str = "age") -> Sequence[Job]:
        """Mark as expired, and return, what is past its ``expires_at``, or those completed ones of ``jobs`` whose files
        are to go before that; ``reason`` stands in the event."""
        ...

    def stored(self, limit: int = 100) -> Sequence[str]:
        """The ids of completed videos whose files are still there, in the order in which they were completed."""
        ...

    def files_that_count(self, jobs: Sequence[str]) -> Mapping[str, str | None]:
        """The final ones of ``jobs``, deleted ones too, with the folder of their result; None where no files are to
        stay. Jobs under way, and those that never were, are not in the answer."""
        ...

    def uploads_in_use(self, uploads: Sequence[str], *, since: float) -> Set[str]:
        """Those of ``uploads`` that a job refers to which is under way, has its files, or ended after ``since``."""
        ...

    def waiting(self) -> Mapping[Stage, int]:
        """How many jobs wait for each stage."""
        ...

    def counts(self) -> Mapping[tuple[Kind, Status], int]:
        """How many jobs there are, by kind and status."""
        ...

    def now(self) -> float:
        """The time by the clock that leases and expiry go by."""
        ...

    def close(self) -> None:
        """Let the connections go."""
        ...
