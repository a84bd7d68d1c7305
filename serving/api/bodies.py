"""Reading what clients send: JSON, and forms as OpenAI's client fills them in."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from serving.api.errors import ApiError, bad, of_fields, short
from serving.api.schemas import VideoCreate

M = TypeVar("M", bound=BaseModel)
PICTURE = "input_reference"


def described(model: type[BaseModel], *, form: bool = False) -> dict[str, Any]:
    """What the OpenAPI document says of a body that the route reads by itself."""
    schema = model.model_json_schema()
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if form:
        fields = {**schema["properties"], PICTURE: {"type": "string", "format": "binary"}}
        fields["dsg"] = {"type": "string", "description": "a scene graph as JSON"}
        content["multipart/form-data"] = {"schema": {**schema, "properties": fields}}
    return {"requestBody": {"required": True, "content": content}}


async def from_json(request: Request, model: type[M]) -> M:
    """The body as ``model``; raises :class:`ApiError`."""
    try:
        data = json.loads((await request.body()).decode("utf-8"))
    except (ValueError, RecursionError):
        raise bad("the body is not valid JSON in UTF-8", None, "invalid_json") from None
    if not isinstance(data, dict):
        raise bad("the body is not a JSON object", None, "invalid_json")
    return checked(model, data)


async def from_form(request: Request) -> tuple[VideoCreate, bytes | None]:
    """A video's fields and the picture that came with them; raises :class:`ApiError`."""
    most = request.app.state.context.settings.limits.body_bytes
    try:
        async with request.form(max_files=1, max_fields=64, max_part_size=most) as form:
            return await _filled_in(form)
    except (HTTPException, MultiPartException, UnicodeError):
        raise bad("the body is not a valid multipart form", None, "invalid_form") from None


async def _filled_in(form: FormData) -> tuple[VideoCreate, bytes | None]:
    picture = form.get(PICTURE)
    if isinstance(picture, str) or any(key.startswith(f"{PICTURE}[") for key in form):
        raise bad(f"{PICTURE}: upload the picture itself; addresses are not fetched", PICTURE)
    names = [key for key, _ in form.multi_items()]
    if twice := [key for key in names if names.count(key) > 1]:
        raise bad(f"{short(twice[0])}: given more than once", short(twice[0]))
    fields: dict[str, Any] = {}
    for key, value in form.items():
        if isinstance(value, UploadFile):
            if key != PICTURE:
                raise bad(f"a file is taken as {PICTURE} only", PICTURE, "unknown_field")
        else:
            fields[key] = _graph(value) if key == "dsg" else value
    return checked(VideoCreate, fields), await picture.read() if picture is not None else None


def _graph(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise bad("dsg: not valid JSON", "dsg", "invalid_dsg") from None


def checked(model: type[M], data: dict[str, Any]) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise of_fields(error) from None


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(wanted: str) -> ApiError:
    return ApiError(415, f"send {wanted}", "unsupported_media_type")
