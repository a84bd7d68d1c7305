"""The jobs that a worker holds: a thread prolongs their leases, and learns which of them shall stop."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from serving.jobs import Job, JobError, JobStore, LostJob, StoreUnavailable

T = TypeVar("T")

BEAT_SECONDS = 1.0
"""How soon a worker hears that a job shall stop, where a third of the lease is not sooner."""
_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/:'\"]+/)+([^\s/:'\"]+)")


def job_error(code: str, error: BaseException | str) -> JobError:
    """What the client may read: one line, and of paths the last part only: where they lie is the server's business."""
    words = str(error) or type(error).__name__
    return JobError(code=code, message=_PATH.sub(r"\1", " ".join(words.split()))[:500])


class Holding:
    """Claimed jobs, in a ``with`` block. Those that are not settled when it ends are given back.

    ``lease`` in seconds. Where the store does not answer, the jobs stay ours until the lease ran out.
    """

    def __init__(self, store: JobStore, worker: str, jobs: Sequence[Job], *, lease: float) -> None:
        self.store, self.worker, self.lease = store, worker, lease
        self._open = {job.id: job for job in jobs}
        self._cancelled: set[str] = set()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._until = time.monotonic() + lease
        self._thread = threading.Thread(target=self._beats, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.release([job.id for job in self.alive()])

    def alive(self) -> list[Job]:
        """The jobs that are still to be done; those that shall be cancelled are, by asking."""
        with self._lock:
            cancelled = [job for job in self._cancelled if job in self._open]
        for job in cancelled:
            self._settle(job, lambda job=job: self.store.stopped(job, self.worker))  # type: ignore[misc]
        with self._lock:
            if time.monotonic() > self._until:
                self._open.clear()
            return list(self._open.values())

    def report(self, job: str, kind: str, data: Mapping[str, Any], progress: float | None = None) -> None:
        """News of a job; where the store does not answer it is left out, for more will follow."""
        try:
            self.store.report(job, self.worker, kind, data, progress)
        except LostJob:
            self._drop(job)
        except StoreUnavailable:
            pass

    def planned(self, job: str, dsg: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
        self._settle(job, lambda: self.store.planned(job, self.worker, dsg, plan))

    def complete(self, job: str, result: Mapping[str, Any]) -> bool:
        """Whether it is this worker's video that counts."""
        return self._settle(job, lambda: self.store.complete(job, self.worker, result)) is not None

    def fail(self, job: str, error: JobError, *, again: bool = False) -> None:
        self._settle(job, lambda: self.store.fail(job, self.worker, error, again=again))

    def release(self, jobs: Sequence[str]) -> None:
        """Give jobs back, as if they had never been claimed."""
        with self._lock:
            mine = [job for job in jobs if job in self._open]
        if mine:
            self._insistently(lambda: self.store.release(mine, self.worker))
        for job in mine:
            self._drop(job)

    # -- parts of the above ----------------------------------------------------------------------------------------

    def _settle(self, job: str, say: Callable[[], T]) -> T | None:
        """Say what became of a job, and hold it no longer; None where it was lost."""
        try:
            return self._insistently(say)
        except LostJob:
            return None
        finally:
            self._drop(job)

    def _insistently(self, say: Callable[[], T]) -> T | None:
        """Say it until the store answers, or the lease ran out: then the jobs are lost anyway."""
        while True:
            try:
                return say()
            except StoreUnavailable:
                if time.monotonic() > self._until:
                    return None
                time.sleep(min(0.5, self.lease / 10))

    def _drop(self, job: str) -> None:
        with self._lock:
            self._open.pop(job, None)

    def _beats(self) -> None:
        while not self._ended.wait(min(self.lease / 3, BEAT_SECONDS)):
            self.beat()

    def beat(self) -> None:
        """Prolong the leases, and hear which jobs are lost or shall be cancelled."""
        with self._lock:
            mine = list(self._open)
        if not mine:
            return
        asked = time.monotonic()
        try:
            told = self.store.heartbeat(mine, self.worker, lease=self.lease)
        except StoreUnavailable:
            return
        self._until = asked + self.lease
        with self._lock:
            for job in mine:
                if job not in told:
                    self._open.pop(job, None)
                elif told[job]:
                    self._cancelled.add(job)
