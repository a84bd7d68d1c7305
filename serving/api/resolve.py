"""From what a client sent to what a worker reads: every default filled in, every limit checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dysenvdm.model_facts import ModelFacts
from planners.dsg import DynamicSceneGraph
from serving.api.errors import bad, of_graph, short
from serving.api.schemas import PlanCreate, Remix, VideoCreate, VideoOptions
from serving.jobs import Job, NewJob, Stage
from serving.requests import PlanWork, VideoWork
from serving.settings import Limits

TICKS = 8
PROMPTS = "prompts"
"""The scene mode that has each frame read sentences of its moment."""
NO_PLAN = "none"
"""What forms, which know no null, write for ``planner: null``."""


@dataclass(frozen=True)
class Choices:
    """What requests choose from (the first is the default) and are held against."""

    planners: tuple[str, ...]
    models: dict[str, ModelFacts]
    limits: Limits


def plans(asked: PlanCreate, choices: Choices, owner: str) -> list[NewJob]:
    """A job per prompt; raises :class:`ApiError`."""
    if (asked.prompt is None) == (asked.prompts is None):
        raise bad("give either prompt or prompts", "prompt", "missing_field")
    prompts = asked.prompts if asked.prompts is not None else [asked.prompt or ""]
    if len(prompts) > choices.limits.prompts:
        raise bad(f"prompts: {len(prompts)}; this server takes up to {choices.limits.prompts} at once", "prompts")
    planner = _planner(asked.planner or choices.planners[0], choices)
    works = [
        PlanWork(prompt=text, planner=planner, ticks=asked.ticks or TICKS, seed=asked.seed or 0) for text in prompts
    ]
    return [
        NewJob(kind="plan", stage=Stage.PLAN, owner=owner, request=work.model_dump(), cost=len(work.prompt))
        for work in works
    ]


def video(asked: VideoCreate, choices: Choices, owner: str, upload: str | None = None) -> NewJob:
    """The job of a new video; ``upload`` is the first frame's. Raises :class:`ApiError`."""
    graph = _graph(asked.dsg)
    if graph is not None and _said(asked.planner) is not None:
        raise bad("planner: with a dsg nothing is planned; leave one of them out", "planner", "conflicting_fields")
    planned = "planner" in asked.model_fields_set or graph is not None
    planner = _said(asked.planner) if planned else choices.planners[0]
    prompt = asked.prompt or (graph.prompt if graph else "")
    if not prompt:
        raise bad(
            "prompt: say in a sentence what should happen, or give a dsg that has a prompt", "prompt", "missing_field"
        )
    work = _work(asked, choices, {"prompt": prompt, "planner": planner, "input_reference": upload}, graph)
    return _job(work, graph, owner, priority=asked.priority)


def remix(asked: Remix, of: Job, choices: Choices, owner: str) -> NewJob:
    """The job of a changed video: as ``of``, its seed too, but for what ``asked`` says; raises :class:`ApiError`.

    A new prompt, planner, number of ticks, or seed is planned anew where the original was planned; a scene graph that
    is given is obeyed. Otherwise the original's scene graph stays.
    """
    if not asked.model_fields_set:
        raise bad("nothing is different; give a prompt, a dsg, or another setting", None, "missing_field")
    before = VideoWork.model_validate(of.request)
    graph = _graph(asked.dsg)
    if graph is not None and _said(asked.planner) is not None:
        raise bad("planner: with a dsg nothing is planned; leave one of them out", "planner", "conflicting_fields")
    kept: dict[str, Any] = before.model_dump()
    if graph is not None:
        kept["planner"] = None
    elif "planner" in asked.model_fields_set:
        kept["planner"] = _said(asked.planner)
    elif not (before.planner and _replanned(asked, before)):
        graph = _graph(of.dsg)
    if graph is not None and asked.dsg is None and asked.ticks not in (None, graph.ticks):
        raise bad(f"ticks: the scene graph has {graph.ticks}; give a planner to plan anew", "ticks")
    if before.input_reference is not None and asked.size not in (None, f"{before.width}x{before.height}"):
        raise bad("size: the first frame was fitted to the video's; ask for a new video with the picture", "size")
    if asked.prompt is not None:
        kept["prompt"] = asked.prompt
    work = _work(asked, choices, kept, graph)
    return _job(work, graph, owner, remix_of=of.id)


def _replanned(asked: Remix, before: VideoWork) -> bool:
    pairs = ((asked.prompt, before.prompt), (asked.ticks, before.ticks), (asked.seed, before.seed))
    return any(new not in (None, old) for new, old in pairs)


def _job(work: VideoWork, graph: DynamicSceneGraph | None, owner: str, **more: Any) -> NewJob:
    planning = graph is None and work.planner is not None
    return NewJob(
        kind="video",
        stage=Stage.PLAN if planning else Stage.GENERATE,
        owner=owner,
        request=work.model_dump(),
        dsg=graph.to_dict() if graph is not None else None,
        batch_key=work.batch_key(planned=planning or graph is not None),
        cost=work.cost,
        **more,
    )


def _work(asked: VideoOptions, choices: Choices, kept: dict[str, Any], graph: DynamicSceneGraph | None) -> VideoWork:
    """``kept`` and what ``asked`` says, the model's own settings for the rest; checked."""
    model = _model(asked.model or kept.get("model") or next(iter(choices.models)), choices)
    facts = choices.models[model]
    if kept["planner"] is not None:
        _planner(kept["planner"], choices)
    width, height = (
        _size(asked.size) if asked.size else (kept.get("width", facts.width), kept.get("height", facts.height))
    )
    fps = asked.fps or kept.get("fps", facts.usual.fps)
    guidance = _first(asked.guidance_scale, kept.get("guidance_scale"), facts.usual.guidance)
    work = VideoWork(
        prompt=kept["prompt"],
        model=model,
        planner=kept["planner"],
        ticks=graph.ticks if graph is not None else _first(asked.ticks, kept.get("ticks"), TICKS),
        seed=_first(asked.seed, kept.get("seed"), 0),
        num_frames=_frames(asked, fps, facts, kept),
        fps=fps,
        width=max(width, 8),
        height=max(height, 8),
        num_inference_steps=_first(asked.num_inference_steps, kept.get("num_inference_steps"), facts.usual.steps),
        guidance_scale=guidance,
        scene_guidance_scale=_scene_guidance(asked, kept, guidance),
        negative_prompt=_first(asked.negative_prompt, kept.get("negative_prompt"), "").strip(),
        scheduler=asked.scheduler or kept.get("scheduler"),
        scene_mode=asked.scene_mode or kept.get("scene_mode"),
        imagined_weight=_first(asked.imagined_weight, kept.get("imagined_weight"), 1.0),
        input_reference=kept.get("input_reference"),
    )
    _check(work, facts, choices.limits, (width, height))
    _check_scene(work, facts, graph)
    return work


def _check_scene(work: VideoWork, facts: ModelFacts, graph: DynamicSceneGraph | None) -> None:
    """Hold what is to be shown against the frames that show it; raises :class:`ApiError`."""
    planned = graph is not None or work.planner is not None
    if graph is not None and len(graph.objects) + len(graph.facts) > facts.max_nodes:
        count = len(graph.objects) + len(graph.facts)
        raise bad(f"/dsg: {count} objects and facts; this model takes {facts.max_nodes}", "/dsg", "limit_exceeded")
    if planned and work.num_frames < work.ticks:
        raise bad(
            f"num_frames: {work.num_frames} frames cannot show {work.ticks} ticks; give at least so many", "num_frames"
        )
    if work.scene_mode == PROMPTS and not planned:
        raise bad("scene_mode: the sentences come from a scene graph; give a planner or a dsg", "scene_mode")
    if work.scene_mode == PROMPTS and work.imagined_weight != 1:
        raise bad("imagined_weight: sentences cannot be weighed; leave it out", "imagined_weight")


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _said(planner: str | None) -> str | None:
    return None if planner == NO_PLAN else planner


def _planner(name: str, choices: Choices) -> str:
    if name not in choices.planners:
        known = ", ".join(choices.planners)
        raise bad(f"planner: there is no {short(name)}; there are: {known}", "planner", "planner_not_found")
    return name


def _model(name: str, choices: Choices) -> str:
    if name not in choices.models:
        known = ", ".join(choices.models)
        raise bad(f"model: there is no {short(name)}; there are: {known}", "model", "model_not_found")
    return name


def _graph(data: dict[str, Any] | None) -> DynamicSceneGraph | None:
    if data is None:
        return None
    if "format" not in data:
        raise bad('/dsg/format: missing; it is "dysenvdm.dsg/1"', "/dsg/format", "invalid_dsg")
    try:
        return DynamicSceneGraph.model_validate(data)
    except ValidationError as error:
        raise of_graph(error) from None


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _frames(asked: VideoOptions, fps: int, facts: ModelFacts, kept: dict[str, Any]) -> int:
    if asked.seconds is None:
        return int(_first(asked.num_frames, kept.get("num_frames"), facts.usual.frames))
    if asked.num_frames is not None:
        raise bad("seconds: give either seconds or num_frames", "seconds", "conflicting_fields")
    seconds = float(asked.seconds)
    if seconds <= 0:
        raise bad("seconds: give more than 0", "seconds")
    return max(round(seconds * fps / facts.frame_multiple), 1) * facts.frame_multiple


def _scene_guidance(asked: VideoOptions, kept: dict[str, Any], guidance: float) -> float:
    """As the guidance, unless it is or was another one."""
    if asked.scene_guidance is not None:
        return asked.scene_guidance
    own = kept.get("scene_guidance_scale")
    return guidance if own is None or own == kept["guidance_scale"] else float(own)


def _check(work: VideoWork, facts: ModelFacts, limits: Limits, size: tuple[int, int]) -> None:
    """Hold the work against the model and the server's limits; raises :class:`ApiError` naming field and mend."""
    if work.num_frames % facts.frame_multiple:
        multiple = facts.frame_multiple
        raise bad(
            f"num_frames: {work.num_frames} is not a multiple of {multiple}, which this model needs", "num_frames"
        )
    for side, most, name in ((size[0], limits.width, "width"), (size[1], limits.height, "height")):
        if side > most:
            raise bad(f"size: {name} {side}; this server makes up to {most} pixels", "size", "limit_exceeded")
        if side < 1 or side % facts.side_multiple:
            raise bad(f"size: {name} {side} is not a multiple of {facts.side_multiple}, which this model needs", "size")
    for value, most, name in (
        (work.num_frames, limits.frames, "num_frames"),
        (work.num_inference_steps, min(limits.steps, facts.max_steps), "num_inference_steps"),
    ):
        if value > most:
            raise bad(f"{name}: {value}; this server makes up to {most}", name, "limit_exceeded")
    if work.cost > limits.cost:
        raise bad(
            f"size: {work.num_frames} frames of {work.width}x{work.height} in {work.num_inference_steps} steps cost "
            f"{work.cost}; this server takes up to {limits.cost} (frames x height x width x steps) a video",
            "size",
            "limit_exceeded",
        )
    if work.negative_prompt and work.guidance_scale == 1:
        raise bad(
            "negative_prompt: has no effect at guidance 1; leave it out or raise guidance_scale", "negative_prompt"
        )
