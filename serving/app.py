"""The API process: routes, page and everything around them, on a store and a folder of results. Loads no torch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from dysenvdm import __version__, model_facts
from planners.dsg import UserError
from planners.plugins import registry
from serving import logs, offers
from serving.api import content, errors, events, info, pages, plans, session, videos
from serving.api.context import Context
from serving.api.resolve import Choices
from serving.edge import Edge
from serving.jobs import JobStore
from serving.results import Results
from serving.security import Gate
from serving.settings import Settings

UVICORN: dict[str, Any] = {
    "server_header": False,
    "date_header": True,
    "access_log": False,
    "log_config": None,
    "http": "h11",
    "h11_max_incomplete_event_size": 64 * 1024,
    "limit_concurrency": 512,
    "timeout_keep_alive": 15,
    "timeout_graceful_shutdown": 5,
    "ws": "none",
}
"""How uvicorn is to run the app: bounds on headers and connections, no second access log."""

_DESCRIPTION = (
    "Text to video through a plan and a scene graph. The fields of OpenAI's videos API, and more. Where tokens are "
    "set, send one as Authorization: Bearer TOKEN."
)


def create_app(settings: Settings, store: JobStore, results: Results, *, page: Path = pages.PAGE) -> FastAPI:
    """The app. ``page`` is the folder of the built web page.

    Raises :class:`UserError` for settings that cannot be served: an address without tokens, a planner or a model that
    is not there.
    """
    logs.configure()
    gate = Gate(settings)
    audit = logs.AuditLog(settings.audit_log) if settings.audit_log else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if audit is not None:
            audit.close()

    app = FastAPI(
        title="DysenVDM",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=errors.PlainJSON,
        generate_unique_id_function=_operation,
        responses={"default": {"model": errors.ErrorBody}},
        dependencies=[Depends(_token)],
    )
    app.state.context = Context(settings, store, results, choices(settings))
    app.state.gate = gate
    errors.install(app)
    for module in (plans, videos, content, events, info, session):
        app.include_router(module.router)
    pages.install(app, page)
    app.add_middleware(Edge, settings=settings, gate=gate, audit=audit)
    _document_errors(app)
    return app


def choices(settings: Settings) -> Choices:
    """What requests choose from; raises :class:`UserError` for a planner or model that is not there."""
    planners = tuple(offers.planners(settings))
    if not planners:
        raise UserError("planners: name at least one")
    known = registry().planners
    for name in planners:
        if name not in known:
            raise UserError(f"planner {name!r}: no such planner; there are: {', '.join(sorted(known))}")
    models = {ident: model_facts.facts(given) for ident, given in offers.models(settings).items()}
    return Choices(planners, models, settings.limits)


async def _token(
    _: Annotated[object, Depends(HTTPBearer(auto_error=False, description="one of the server's tokens"))],
) -> None:
    """For the OpenAPI document; the gate has checked the token before any route is looked for."""


def _operation(route: APIRoute) -> str:
    method = next(iter(route.methods)).lower()
    return f"{method}{route.path}".replace("/", "_").replace("{", "").replace("}", "").replace(".", "_")


def _document_errors(app: FastAPI) -> None:
    """Every error is JSON of one shape, whatever an answer else is; and FastAPI's 422 is 400 here."""
    document = app.openapi()
    said = {"$ref": "#/components/schemas/ErrorBody"}
    default = {"description": "an error", "content": {"application/json": {"schema": said}}}
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = default
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
