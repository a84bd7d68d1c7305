"""``/v1/videos``: make videos, look at them, change them, delete them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from serving.api import bodies, resolve, uploads, views
from serving.api.adding import add
from serving.api.context import Context, Ctx, Who, existing, missing
from serving.api.errors import ApiError
from serving.api.listing import Asked, ends, page
from serving.api.schemas import Deleted, Remix, Video, VideoCreate, VideoList
from serving.jobs import Job

router = APIRouter(prefix="/v1/videos", tags=["videos"])


@router.post("", openapi_extra=bodies.described(VideoCreate, form=True))
async def create(request: Request, context: Ctx, caller: Who) -> Video:
    """Ask for a video: JSON, or a form where a picture (PNG, JPEG or WebP) is to be its first frame."""
    picture = None
    match bodies.content_type(request):
        case "application/json":
            asked = await bodies.from_json(request, VideoCreate)
        case "multipart/form-data":
            asked, picture = await bodies.from_form(request)
        case _:
            raise bodies.unsupported("application/json or multipart/form-data")

    def accept() -> Job:
        new = resolve.video(asked, context.choices, caller.name)
        if picture is not None:
            new = uploads.with_picture(context, new, picture)
        return add(context, request, new)

    return views.video(await run_in_threadpool(accept))


@router.get("")
def listed(context: Ctx, caller: Who, asked: Asked) -> VideoList:
    """Videos, the newest first; ``search`` finds words of prompts."""
    found = page(context, "video", caller, asked)
    return VideoList.model_validate({"data": [views.video(job) for job in found.jobs], **ends(found)})


@router.get("/{id}")
def one(id: str, context: Ctx, caller: Who, response: Response) -> Video:
    """How far a video is; a failed one is no failed request, its error stands in ``error``."""
    job = existing(context, "video", id, caller)
    if not job.status.final:
        response.headers["openai-poll-after-ms"] = str(views.POLL_AFTER_MS)
    return views.video(job)


@router.get("/{id}/dsg")
def dsg(id: str, context: Ctx, caller: Who) -> dict[str, Any]:
    """The scene graph that the video is made from."""
    job = existing(context, "video", id, caller)
    if job.dsg is not None:
        return job.dsg
    if job.request["planner"] is None:
        raise ApiError(404, "the video was made from its prompt alone; it has no scene graph", "no_dsg")
    raise not_ready(job)


@router.post("/{id}/cancel")
def cancel(id: str, context: Ctx, caller: Who) -> Video:
    """Stop the video at its next step; one that is done stays as it is."""
    existing(context, "video", id, caller)
    job = context.store.cancel(id, caller.sees)
    if job is None:
        raise missing("video")
    return views.video(job)


@router.post("/{id}/remix", openapi_extra=bodies.described(Remix))
async def remix(id: str, request: Request, context: Ctx, caller: Who) -> Video:
    """The same video with another prompt, an edited scene graph or other settings; the seed stays."""
    asked = await bodies.from_json(request, Remix)

    def accept() -> Job:
        original = existing(context, "video", id, caller)
        return add(context, request, resolve.remix(asked, original, context.choices, caller.name))

    return views.video(await run_in_threadpool(accept))


@router.delete("/{id}")
def delete(id: str, context: Ctx, caller: Who) -> Deleted:
    """Delete the video and its files; one that is being made is stopped."""
    existing(context, "video", id, caller)
    forget(context, id, caller.sees)
    return Deleted(id=id, object="video.deleted")


def forget(context: Context, ident: str, sees: str | None) -> None:
    """The job, then its files: were it the other way round, a job could be there whose files are gone."""
    context.store.delete(ident, sees)
    context.results.delete(ident)


def not_ready(job: Job) -> ApiError:
    """Why a job does not have what was asked for, or not yet."""
    match job.status.value:
        case "failed":
            why = job.error.message if job.error else "no reason is known"
            return ApiError(409, f"it failed: {ascii(why)[1:-1]}", "job_failed")
        case "cancelled":
            return ApiError(409, "it was cancelled, so there is none", "job_cancelled")
        case state:
            return ApiError(409, f"it is not ready yet ({state.replace('_', ' ')}); ask again", "not_ready")
