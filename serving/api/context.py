"""What every route needs: the store, the results, what may be chosen, and who is asking."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from serving.api.errors import ApiError
from serving.api.resolve import Choices
from serving.jobs import Job, JobStore, Kind
from serving.results import Results
from serving.settings import Settings

LOCAL = "local"
"""Who asks where no tokens are demanded."""


@dataclass(frozen=True)
class Caller:
    """Whose jobs are made (``name``), and whose are seen: ``sees`` None is everybody's."""

    name: str
    sees: str | None


@dataclass
class Context:
    """One app's; ``streams`` counts open event streams by owner."""

    settings: Settings
    store: JobStore
    results: Results
    choices: Choices
    streams: dict[str, int] = field(default_factory=dict)


# Coroutines, for FastAPI sends every other dependency through a thread, there and back: on a machine whose processors
# are at work each time is a wait of milliseconds.
async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Ctx = Annotated[Context, Depends(_context)]
Who = Annotated[Caller, Depends(_caller)]


def existing(context: Context, kind: Kind, ident: str, caller: Caller) -> Job:
    """The caller's job; raises :class:`ApiError` 404, the same for another one's as for one that never was."""
    job = context.store.get(ident, caller.sees) if _well_formed(kind, ident) else None
    if job is None or job.kind != kind:
        raise missing(kind)
    return job


def missing(kind: Kind) -> ApiError:
    return ApiError(404, f"there is no {kind} of that id; it may have been deleted", f"{kind}_not_found", "id")


def _well_formed(kind: Kind, ident: str) -> bool:
    return re.fullmatch(f"{kind}_[0-9a-f]{{32}}", ident, re.ASCII) is not None
