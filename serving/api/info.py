"""What the server offers, and how it is."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from serving.api.context import Ctx
from serving.api.errors import ApiError, short
from serving.api.schemas import Health, Model, ModelList, Planner, PlannerList

router = APIRouter()


def _model(context: Ctx, ident: str) -> Model:
    facts = context.choices.models[ident]
    return Model(
        id=ident,
        created=0,
        owned_by="local",
        description=f"{facts.usual.frames} frames of {facts.width}x{facts.height} at {facts.usual.fps} fps",
        num_frames=facts.usual.frames,
        fps=facts.usual.fps,
        width=facts.width,
        height=facts.height,
        num_inference_steps=facts.usual.steps,
        guidance_scale=facts.usual.guidance,
        frame_multiple=facts.frame_multiple,
        side_multiple=facts.side_multiple,
    )


@router.get("/v1/models", tags=["models"])
def models(context: Ctx) -> ModelList:
    """The video models, the default first, and how each is sampled unless a request says otherwise."""
    return ModelList(data=[_model(context, ident) for ident in context.choices.models])


@router.get("/v1/models/{id}", tags=["models"])
def model(id: str, context: Ctx) -> Model:
    """One of them."""
    if id not in context.choices.models:
        known = ", ".join(context.choices.models)
        raise ApiError(404, f"there is no model {short(id)}; there are: {known}", "model_not_found", "id")
    return _model(context, id)


@router.get("/v1/planners", tags=["models"])
def planners(context: Ctx) -> PlannerList:
    """The planners, the default first."""
    from planners.plugins import registry

    known = registry().planners
    return PlannerList(
        data=[
            Planner(id=name, description=known[name].help, needs=known[name].needs) for name in context.choices.planners
        ]
    )


@router.get("/healthz", tags=["health"])
def healthz() -> Health:
    """The process answers. The one address, besides the page's own files, that asks for no token."""
    return Health()


@router.get("/readyz", tags=["health"])
def readyz(context: Ctx) -> Health:
    """The database answers too: jobs are accepted. 503 otherwise."""
    context.store.waiting()
    return Health()


@router.get("/metrics", tags=["health"], response_class=PlainTextResponse)
def metrics(context: Ctx) -> Response:
    """For Prometheus."""
    from serving.metrics import CONTENT_TYPE, exposition

    return Response(exposition(context.store), media_type=CONTENT_TYPE)
