"""``/v1/plans``: from prompts to scene graphs."""

from __future__ import annotations

import time
from typing import Any

import anyio
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from serving.api import bodies, resolve, views
from serving.api.adding import add
from serving.api.context import Caller, Context, Ctx, Who, existing, missing
from serving.api.listing import Asked, ends, page
from serving.api.schemas import Deleted, Plan, PlanCreate, PlanList
from serving.api.videos import forget, not_ready
from serving.jobs import Job

router = APIRouter(prefix="/v1/plans", tags=["plans"])

ASK_AGAIN_SECONDS = 0.1


@router.post("", openapi_extra=bodies.described(PlanCreate), responses={202: {"model": Plan | PlanList}})
async def create(request: Request, response: Response, context: Ctx, caller: Who) -> Plan | PlanList:
    """Plan a prompt, or several, and wait for the scene graphs; 202 where they take longer than the server waits, or
    with ``background``. ``prompts`` gives a list, ``prompt`` a single plan."""
    asked = await bodies.from_json(request, PlanCreate)

    def accept() -> list[Job]:
        wanted = resolve.plans(asked, context.choices, caller.name)
        return [add(context, request, new, number) for number, new in enumerate(wanted)]

    jobs = await run_in_threadpool(accept)
    if not asked.background:
        jobs = await _waited_for(context, caller, jobs, request)
    if not all(job.status.final for job in jobs):
        response.status_code = 202
    plans = [views.plan(job) for job in jobs]
    if asked.prompts is None:
        return plans[0]
    return PlanList(data=plans, first_id=plans[0].id, last_id=plans[-1].id, has_more=False)


async def _waited_for(context: Context, caller: Caller, jobs: list[Job], request: Request) -> list[Job]:
    """The jobs when all are final, or when the time is over, or nobody is there any more."""
    until = time.monotonic() + context.settings.limits.wait_seconds
    known = {job.id: job for job in jobs}

    def look() -> bool:
        for ident in [ident for ident, job in known.items() if not job.status.final]:
            now = context.store.get(ident, caller.sees)
            if now is None:
                raise missing("plan")
            known[ident] = now
        return all(job.status.final for job in known.values())

    while not await run_in_threadpool(look) and time.monotonic() < until and not await request.is_disconnected():
        await anyio.sleep(ASK_AGAIN_SECONDS)
    return list(known.values())


@router.get("")
def listed(context: Ctx, caller: Who, asked: Asked) -> PlanList:
    """Plans, the newest first; ``search`` finds words of prompts."""
    found = page(context, "plan", caller, asked)
    return PlanList.model_validate({"data": [views.plan(job) for job in found.jobs], **ends(found)})


@router.get("/{id}")
def one(id: str, context: Ctx, caller: Who) -> Plan:
    """How far a plan is, and its scene graph when it is completed."""
    return views.plan(existing(context, "plan", id, caller))


@router.get("/{id}/dsg")
def dsg(id: str, context: Ctx, caller: Who) -> dict[str, Any]:
    """The scene graph alone: a file that ``dysenvdm generate --dsg`` takes."""
    job = existing(context, "plan", id, caller)
    if job.dsg is None:
        raise not_ready(job)
    return job.dsg


@router.post("/{id}/cancel")
def cancel(id: str, context: Ctx, caller: Who) -> Plan:
    """Stop planning; a plan that is done stays as it is."""
    existing(context, "plan", id, caller)
    job = context.store.cancel(id, caller.sees)
    if job is None:
        raise missing("plan")
    return views.plan(job)


@router.delete("/{id}")
def delete(id: str, context: Ctx, caller: Who) -> Deleted:
    """Forget the plan."""
    existing(context, "plan", id, caller)
    forget(context, id, caller.sees)
    return Deleted(id=id, object="plan.deleted")
