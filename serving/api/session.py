"""Signing in for the page: a ``<video>`` and an ``EventSource`` send no Authorization header, so they get a cookie."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from serving.api.bodies import described, from_json
from serving.api.schemas import SessionCreate
from serving.security import COOKIE, SESSION_SECONDS, Gate

router = APIRouter(prefix="/v1/session", tags=["session"])


def _set(request: Request, response: Response, value: str, seconds: int) -> Response:
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=secure)
    return response


@router.post("", status_code=204, openapi_extra=described(SessionCreate))
async def sign_in(request: Request) -> Response:
    """Give a token once and get a cookie (HttpOnly, SameSite=Strict, twelve hours) that counts as it."""
    asked = await from_json(request, SessionCreate)
    gate: Gate = request.app.state.gate
    client = request.client.host if request.client else None
    value = await run_in_threadpool(gate.sign_in, asked.token, client)
    return _set(request, Response(status_code=204), value, SESSION_SECONDS)


@router.delete("", status_code=204)
def sign_out(request: Request) -> Response:
    """Take the cookie back."""
    return _set(request, Response(status_code=204), "", 0)
