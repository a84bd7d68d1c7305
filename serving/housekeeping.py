"""What is to be done from time to time, by whichever process: lost jobs, old results, a full disk, what is left over.

Safe in several processes at once, and each goes on where a killed one stopped: a result is first marked as gone in the
store, then deleted, so whatever is marked and still there goes in the next round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from serving.jobs import JobStore
from serving.results import Results
from serving.settings import Settings

LEFT_OVER_SECONDS = 3600.0
"""Nothing that was touched more recently is taken for left over: a video being written, an upload without a job."""


@dataclass(frozen=True)
class Round:
    """What was done: ids of the jobs that were lost, whose results were too old, and too many for the quota; how many
    uploads and leftovers went; ``bytes`` of results that stay."""

    lost: tuple[str, ...]
    expired: tuple[str, ...]
    over_quota: tuple[str, ...]
    uploads: int
    leftovers: int
    bytes: int


def keep_house(store: JobStore, results: Results, settings: Settings) -> Round:
    """One round.

    Files of jobs that the store never had stay: they may be those of another database. Raises
    :class:`serving.jobs.StoreUnavailable`, and :class:`planners.dsg.UserError` where the disk fails.
    """
    lost = tuple(store.requeue_lost())
    now = store.now()
    leftovers = results.sweep(now - LEFT_OVER_SECONDS)
    expired = tuple(job.id for job in store.expire())
    oldest = store.stored() if settings.disk_quota_bytes is not None else ()
    sizes = _tidied(store, results)
    over_quota, total = [], sum(sizes.values())
    for job in oldest:
        if settings.disk_quota_bytes is None or total <= settings.disk_quota_bytes:
            break
        if job in sizes:  # else another process was quicker, and it does not count any more
            store.expire([job], "disk_quota")
            results.delete(job)
            over_quota.append(job)
            total -= sizes[job]
    return Round(lost, expired, tuple(over_quota), _unused_uploads(store, results, settings, now), leftovers, total)


def _tidied(store: JobStore, results: Results) -> dict[str, int]:
    """Delete what does not count; the bytes of each job that has files left."""
    sizes = dict(results.sizes())
    for some in _thousands(list(sizes)):
        for job, folder in store.files_that_count(some).items():
            results.tidy(job, folder)
            if folder is None:
                del sizes[job]
    return sizes


def _unused_uploads(store: JobStore, results: Results, settings: Settings, now: float) -> int:
    old = [upload for upload, written in results.uploads().items() if written < now - LEFT_OVER_SECONDS]
    since = 0.0 if settings.keep_hours is None else now - settings.keep_hours * 3600
    unused = [each for some in _thousands(old) for each in set(some) - store.uploads_in_use(some, since=since)]
    for upload in unused:
        results.delete_upload(upload)
    return len(unused)


def _thousands(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + 1000] for start in range(0, len(ids), 1000))
