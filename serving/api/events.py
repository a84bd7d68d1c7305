"""Server-sent events: what happens to a job, as it happens; a reader that was cut off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse, ServerSentEvent

from serving.api import views
from serving.api.context import Caller, Context, Ctx, Who, existing
from serving.api.errors import ApiError
from serving.jobs import Event, Job, Kind
from serving.metrics import STREAMS

router = APIRouter(tags=["events"])

QUICK_SECONDS = 0.2
SLOW_SECONDS = 1.0
"""How long the store is left in peace: quickly after something happened, slowly while nothing does."""
SEND_SECONDS = 30.0
"""A reader that takes nothing for so long is let go."""

_TEXT = {"type": "string"}
_EVENT = {"type": "object", "properties": {"id": _TEXT, "event": _TEXT, "data": _TEXT}, "required": ["event", "data"]}
_SAID: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": _EVENT}}, "description": "events"},
    204: {"description": "there are no more events; do not connect again"},
}
LastEvent = Annotated[int, Header(alias="Last-Event-ID", ge=0, lt=2**63)]


@router.get("/v1/videos/{id}/events", response_class=EventSourceResponse, responses=_SAID)
async def of_video(id: str, context: Ctx, caller: Who, last_event_id: LastEvent = 0) -> Response:
    """``queued``, ``stage``, ``step``, ``preview``, ``completed``, ``failed``, ``cancelled``; the last is final."""
    return await _stream(context, "video", id, caller, last_event_id)


@router.get("/v1/plans/{id}/events", response_class=EventSourceResponse, responses=_SAID)
async def of_plan(id: str, context: Ctx, caller: Who, last_event_id: LastEvent = 0) -> Response:
    """As of a video."""
    return await _stream(context, "plan", id, caller, last_event_id)


async def _stream(context: Context, kind: Kind, ident: str, caller: Caller, after: int) -> Response:
    job, found = await run_in_threadpool(_look, context, kind, ident, caller, after)
    if job.status.final and not found:
        return Response(status_code=204)
    most, open_now = context.settings.limits.event_streams, context.streams.get(caller.name, 0)
    if open_now >= most:
        raise ApiError(
            429, f"{open_now} event streams are open; this server allows {most}", "too_many_streams",
            headers={"Retry-After": "5"},
        )  # fmt: skip
    context.streams[caller.name] = open_now + 1
    STREAMS.inc()
    try:
        return _Counted(_events(context, job, caller, after), context, caller)
    except BaseException:
        _closed(context, caller)
        raise


class _Counted(EventSourceResponse):
    """Counts as an open stream until it ends, however it does."""

    def __init__(self, content: AsyncIterator[ServerSentEvent], context: Context, caller: Caller) -> None:
        super().__init__(content, ping=15, send_timeout=SEND_SECONDS, headers={"X-Accel-Buffering": "no"})
        self._of = (context, caller)

    async def __call__(self, *arguments: Any) -> None:
        try:
            await super().__call__(*arguments)
        finally:
            _closed(*self._of)


def _closed(context: Context, caller: Caller) -> None:
    STREAMS.dec()
    context.streams[caller.name] -= 1
    if not context.streams[caller.name]:
        del context.streams[caller.name]


def _look(context: Context, kind: Kind, ident: str, caller: Caller, after: int) -> tuple[Job, list[Event]]:
    """The job first: if it is final, all its events are already there."""
    job = existing(context, kind, ident, caller)
    return job, list(context.store.events(ident, after))


async def _events(context: Context, job: Job, caller: Caller, after: int) -> AsyncIterator[ServerSentEvent]:
    pause = QUICK_SECONDS
    while True:
        try:
            job, found = await run_in_threadpool(_look, context, job.kind, job.id, caller, after)
        except ApiError:  # deleted meanwhile
            yield ServerSentEvent(event="deleted", data=json.dumps({"kind": "deleted"}))
            return
        for event in found:
            after = event.number
            yield _told(job, event)
        if job.status.final and not found:
            return
        pause = QUICK_SECONDS if found else min(pause * 1.5, SLOW_SECONDS)
        if not job.status.final:
            await anyio.sleep(pause)


def _told(job: Job, event: Event) -> ServerSentEvent:
    data: dict[str, Any] = {
        "number": event.number,
        "kind": event.kind,
        "at": event.at,
        "status": job.status,
        "progress": views.progress(job),
        "stage": job.stage,
        "data": event.data,
    }
    if event.kind == "preview":
        data["preview"] = f"/v1/videos/{job.id}/preview?n={event.number}"
    return ServerSentEvent(id=str(event.number), event=event.kind, data=json.dumps(data))
