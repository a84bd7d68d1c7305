"""Errors as clients of OpenAI's API expect them: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

_TYPES = {401: "authentication_error", 403: "permission_error", 409: "conflict_error", 429: "rate_limit_error"}
_PLACE = re.compile(r"^((?:\w+|\[\d+\])(?:\.\w+|\[\d+\])*): ")
"""How the scene graph's own checks begin their messages: ``facts[2].end: ...``."""


class ErrorDetail(BaseModel):
    """``param`` names the field (inside of ``dsg`` it is a JSON pointer), ``code`` is for programs."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    error: ErrorDetail


class PlainJSON(JSONResponse):
    """JSON in ASCII with ``<``, ``>`` and ``&`` escaped: whoever takes it for HTML finds no tag in it."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode("ascii")


class ApiError(Exception):
    """Ends a request with this status and body."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    def response(self) -> PlainJSON:
        kind = "server_error" if self.status >= 500 else _TYPES.get(self.status, "invalid_request_error")
        detail = ErrorDetail(message=self.message, type=kind, param=self.param, code=self.code)
        return PlainJSON({"error": detail.model_dump()}, self.status, self.headers)


def bad(message: str, param: str | None, code: str = "invalid_value") -> ApiError:
    """What the client sent cannot be used."""
    return ApiError(400, message, code, param)


def short(value: object) -> str:
    """A client's value as it may stand in a message: quoted, in ASCII, and not long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[-1]}"


def place(problem: Mapping[str, Any]) -> tuple[list[str], str]:
    """The parts of the path to a problem that pydantic found, and what it says about it.

    Checks over a whole graph name the place in their words.
    """
    parts = [str(part) for part in problem["loc"]]
    message = str(problem["msg"]).removeprefix("Value error, ").replace("\n", " ")
    if match := _PLACE.match(message):
        parts += [part for part in re.split(r"[.\[\]]+", match[1]) if part]
        message = message[match.end() :]
    return parts, message


def pointer(parts: list[str]) -> str:
    """A JSON pointer (RFC 6901), in ASCII."""
    text = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
    return ascii(text)[1:-1][:200]


def of_graph(error: ValidationError) -> ApiError:
    """A scene graph that breaks a rule: the first problem, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    parts, message = place(problems[0])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    where = pointer(["dsg", *parts])
    return bad(f"{where}: {ascii(message)[1:-1]}{more}", where, "invalid_dsg")


def of_fields(error: ValidationError | RequestValidationError) -> ApiError:
    """A request whose fields do not fit."""
    if isinstance(error, ValidationError):
        problem: Mapping[str, Any] = error.errors(include_url=False, include_input=False, include_context=False)[0]
    else:
        problem = error.errors()[0]
    inside = [str(part) for part in problem["loc"] if part not in ("body", "query", "path", "header")]
    message = ascii(str(problem["msg"]).removeprefix("Value error, "))[1:-1]
    if problem["type"] == "extra_forbidden":
        message = "there is no such field; see /docs"
    if not inside:
        return bad(message, None)
    param = inside[0] if len(inside) == 1 else pointer(inside)
    named = ascii(param)[1:-1][:100]
    return bad(
        f"{named}: {message}", named, "unknown_field" if problem["type"] == "extra_forbidden" else "invalid_value"
    )


def install(app: FastAPI) -> None:
    """Give every error of the app OpenAI's shape."""

    async def api_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return error.response()

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return of_fields(error).response()

    async def http_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        words = {404: "there is no such address; see /docs", 405: "this address does not take that method; see /docs"}
        codes = {404: "not_found", 405: "method_not_allowed"}
        message = words.get(error.status_code, ascii(str(error.detail))[1:-1])
        code = codes.get(error.status_code, "invalid_request")
        return ApiError(error.status_code, message, code, headers=error.headers).response()

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
