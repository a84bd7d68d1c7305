"""Putting jobs into the queue: idempotency keys, quotas, the audit log."""

from __future__ import annotations

import re

from fastapi import Request

from serving.api.context import Context
from serving.api.errors import ApiError, bad
from serving.jobs import Job, NewJob, Quota, QuotaExceeded

_KEY = re.compile(r"[!-~]{1,200}")


def add(context: Context, request: Request, new: NewJob, number: int = 0) -> Job:
    """The job, an earlier one where the request has its ``Idempotency-Key``; raises :class:`ApiError`.

    ``number`` tells the jobs of one request apart.
    """
    key = request.headers.get("idempotency-key")
    if key is not None:
        if not _KEY.fullmatch(key):
            raise bad("Idempotency-Key: give up to 200 visible ASCII characters", "Idempotency-Key")
        new = new.model_copy(update={"idempotency_key": f"{key}/{number}" if number else key})
    try:
        job, fresh = context.store.add(new, Quota(jobs=context.settings.limits.queued_jobs))
    except QuotaExceeded as full:
        raise ApiError(429, f"{full}; wait for some to finish", "queue_full", headers={"Retry-After": "10"}) from None
    if not fresh and _what(job) != _what(new):
        raise ApiError(
            409, "Idempotency-Key: it was used for another request", "idempotency_key_reused", "Idempotency-Key"
        )
    request.state.made = [*getattr(request.state, "made", []), job.id]
    request.state.prompts = [*getattr(request.state, "prompts", []), job.request["prompt"]]
    return job


def _what(job: NewJob) -> tuple[object, ...]:
    """What was asked for; an upload has another number each time."""
    return job.kind, job.remix_of, {key: value for key, value in job.request.items() if key != "input_reference"}
