"""The outermost layer of the app: request ids, logs and metrics, the gate, bodies read within bounds, headers."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from typing import Any

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planners.dsg import UserError
from serving import logs, metrics
from serving.api.errors import ApiError
from serving.jobs import StoreUnavailable
from serving.security import HEADERS, Asking, Gate
from serving.settings import Settings

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_UPLOADS = "/v1/videos"
"""The one route that takes forms."""
_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))
_CHANGING = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class Edge:
    """ASGI middleware around everything; nothing gets past it but what :class:`Gate` admits, and no traceback out."""

    def __init__(self, app: ASGIApp, settings: Settings, gate: Gate, audit: logs.AuditLog | None) -> None:
        self._app, self._settings, self._gate, self._audit = app, settings, gate, audit
        self._log = structlog.get_logger("dysenvdm.api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        else:
            await send({"type": "websocket.close", "code": 1008})


class _Exchange:
    """One request and its answer."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        self._edge, self._scope, self._receive, self._send = edge, scope, receive, send
        self._headers = Headers(scope=scope)
        given = self._headers.get("x-request-id", "")
        self._id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self._state["request_id"] = self._id
        self._status: int | None = None
        self._caller: str | None = None

    async def run(self) -> None:
        began = time.perf_counter()
        try:
            await self._answer()
        except ApiError as refusal:
            metrics.REFUSED.labels(refusal.code).inc()
            await self._refuse(refusal)
        except Exception as error:
            said = self._edge._settings.log_prompts
            self._edge._log.error("request broke", request_id=self._id, **logs.trouble(error, said=said))
            await self._refuse(_for_client(error))
        finally:
            self._record(time.perf_counter() - began)

    async def _answer(self) -> None:
        scope, headers = self._scope, self._headers
        client = scope["client"][0] if scope.get("client") else None
        asking = Asking(scope["method"], scope["path"], scope["query_string"], client, headers)
        caller = self._edge._gate.admit(asking)
        self._caller = caller.name if caller else None
        self._state["caller"] = caller
        receive = self._receive
        if scope["method"] in _CHANGING:
            receive = _replay(await self._body(), self._receive)
        await self._edge._app(scope, receive, self._say)

    async def _body(self) -> bytes:
        """All of it, read within bounds of bytes and time."""
        most = self._checked_kind()
        too_large = ApiError(413, f"the body is larger than {most} bytes", "body_too_large")
        declared = self._headers.get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise too_large
        body = bytearray()
        try:
            with anyio.fail_after(self._edge._settings.limits.body_seconds):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "the client went away", "client_gone")
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise too_large
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise ApiError(408, "the body took too long to arrive", "body_too_slow") from None
        if body and not self._headers.get("content-type"):
            raise ApiError(415, "Content-Type: send application/json", "unsupported_media_type")
        return bytes(body)

    def _checked_kind(self) -> int:
        """How many bytes may come, by what they are said to be."""
        limits = self._edge._settings.limits
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        forms = self._scope["path"] == _UPLOADS and self._scope["method"] == "POST"
        if kind == "multipart/form-data" and forms:
            return limits.upload_bytes + limits.body_bytes
        if kind not in ("", "application/json"):
            wanted = "application/json or multipart/form-data" if forms else "application/json"
            raise ApiError(415, f"Content-Type: send {wanted}", "unsupported_media_type")
        return limits.body_bytes

    async def _say(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._own_headers():
                headers.setdefault(name, value)
        await self._send(message)

    def _own_headers(self) -> Iterable[tuple[str, str]]:
        yield from HEADERS
        yield "x-request-id", self._id
        if not self._scope["path"].startswith("/assets/"):
            yield "cache-control", "no-store"

    async def _refuse(self, refusal: ApiError) -> None:
        if self._status is None:  # else the answer has begun, and the connection is all that can be ended
            response = refusal.response()
            response.headers["connection"] = "close"
            await response(self._scope, self._receive, self._say)

    def _record(self, seconds: float) -> None:
        route = getattr(self._scope.get("route"), "path", "none")
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        status = self._status or 499
        metrics.REQUESTS.labels(method, route, str(status)).inc()
        if not route.endswith("/events"):
            metrics.SECONDS.labels(method, route).observe(seconds)
        facts = {"method": method, "route": route, "status": status, "request_id": self._id, "owner": self._caller}
        made = self._state.get("made", [])
        self._edge._log.info("request", **facts, seconds=round(seconds, 4), jobs=made)
        if self._edge._audit is not None and method in _CHANGING:
            about = {"job": self._scope.get("path_params", {}).get("id"), "made": made}
            said = {"prompts": self._state.get("prompts", [])} if self._edge._settings.log_prompts else {}
            self._edge._audit.write(**facts, **about, **said)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, then whatever else comes (that the client has gone)."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _for_client(error: Exception) -> ApiError:
    if isinstance(error, StoreUnavailable):
        return ApiError(
            503, "the database does not answer; ask again", "store_unavailable", headers={"Retry-After": "2"}
        )
    if isinstance(error, UserError):  # of the results folder: a full disk
        return ApiError(507, "there is no room to keep that; tell the operator", "storage_full")
    return ApiError(500, "something broke in the server; its log says more under this request id", "internal_error")
