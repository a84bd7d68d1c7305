"""A video's files: in ranges, cacheable, and gone (410) when they expired."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from serving.api.context import Ctx, Who, existing
from serving.api.errors import ApiError
from serving.api.videos import not_ready
from serving.jobs import Status
from serving.results import Name

router = APIRouter(prefix="/v1/videos", tags=["videos"])

Variant = Literal["video", "thumbnail", "spritesheet"]
_FILES: dict[Variant, tuple[Name, str]] = {
    "video": ("video.mp4", "video/mp4"),
    "thumbnail": ("thumbnail.webp", "image/webp"),
    "spritesheet": ("spritesheet.jpg", "image/jpeg"),
}
_BINARY = {"type": "string", "format": "binary"}
_SAID: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {"schema": _BINARY} for _, kind in _FILES.values()}, "description": "the file"}
}


# HEAD is what download tools ask first; Starlette's FileResponse leaves the body out then.
@router.head("/{id}/content", include_in_schema=False)
@router.get("/{id}/content", response_class=FileResponse, responses={**_SAID, 206: {"description": "a part of it"}})
def content(request: Request, id: str, context: Ctx, caller: Who, variant: Variant = "video") -> Response:
    """The MP4, its middle frame, or all of it as one picture."""
    job = existing(context, "video", id, caller)
    if job.status is not Status.COMPLETED:
        raise not_ready(job)
    name, kind = _FILES[variant]
    path = context.results.path(job, name)
    if path is None:
        if job.expired or name == "video.mp4":
            raise ApiError(410, "its files have expired and were deleted; remix it to make it again", "content_expired")
        raise ApiError(404, f"this video has no {variant}", "no_such_variant", "variant")
    # A job's files are written once and never changed, so its folder's name says which bytes these are.
    tag = f'"{job.result["folder"] if job.result else ""}-{variant}"'
    return _file(request, path, kind, tag, f"{job.id}{path.suffix}", "private, no-cache")


@router.get(
    "/{id}/preview", response_class=FileResponse, responses={200: {"content": {"image/webp": {"schema": _BINARY}}}}
)
def preview(request: Request, id: str, context: Ctx, caller: Who) -> Response:
    """The latest look at a video that is being made."""
    job = existing(context, "video", id, caller)
    path = context.results.preview(job.id)
    if path is None:
        raise ApiError(404, "there is no preview of it now", "no_preview")
    return _file(request, path, "image/webp", None, f"{job.id}.webp", "no-store")


def _file(request: Request, path: Path, kind: str, tag: str | None, name: str, caching: str) -> Response:
    headers = {"Cache-Control": caching, **({"ETag": tag} if tag else {})}
    asked = request.headers.get("if-none-match", "")
    if tag is not None and (asked == "*" or tag in [each.strip().removeprefix("W/") for each in asked.split(",")]):
        return Response(status_code=304, headers=headers)
    try:
        found = path.stat()
    except FileNotFoundError:  # deleted since it was looked for
        raise ApiError(410, "its files were deleted just now", "content_expired") from None
    return FileResponse(
        path, media_type=kind, headers=headers, filename=name, stat_result=found, content_disposition_type="inline"
    )
