"""The videos of an evaluation: groups of a fixed size, each written when it is done, none made twice.

The last bits of a video depend on how many are denoised with it; groups that were broken off are made again whole, and
what is written already stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dysenvdm.generation.loading import Weights
from dysenvdm.generation.recipe import Batch, Origin, Settings, recipe
from dysenvdm.generation.scene_reading import PROMPTS, scene_reading
from dysenvdm.model_facts import usual
from dysenvdm.models import locate
from dysenvdm.pipeline import SCHEDULERS
from dysenvdm.scene_attention import SCENE_MODES
from dysenvdm.studies.evaluation.cases import Case
from dysenvdm.studies.evaluation.plans import Planned
from dysenvdm.studies.evaluation.recipe import EvaluationRecipe
from dysenvdm.video import write_mp4
from planners.dsg import UserError
from planners.narration import narrate_frames

if TYPE_CHECKING:
    from dysenvdm.pipeline import DysenVDMPipeline

VIDEOS = "videos"


def settings_of(model: str, recipe: EvaluationRecipe) -> Settings:
    """What all videos share: the recipe's values, and the model's own where it is silent; raises UserError."""
    said, own, scenes = recipe.generation, usual(model), recipe.data.scenes
    if said.scheduler is not None and said.scheduler not in SCHEDULERS:
        raise UserError(f"generation.scheduler: {said.scheduler!r} is not known; there are: {', '.join(SCHEDULERS)}")
    if said.scene_mode is not None and said.scene_mode not in (*SCENE_MODES, PROMPTS):
        known = ", ".join((*SCENE_MODES, PROMPTS))
        raise UserError(f"generation.scene_mode: {said.scene_mode!r} is not known; there are: {known}")
    frames = said.frames or own.frames
    for key, ticks in {"data.ticks": recipe.data.ticks, "data.scenes.ticks": scenes.ticks or 0}.items():
        if ticks > frames:
            raise UserError(
                f"{key}: {ticks}, but the videos have {frames} frames, and a tick needs a frame; set {key} to at most "
                f"{frames}, or generation.frames to at least {ticks}"
            )
    guidance = own.guidance if said.guidance is None else said.guidance
    return Settings(
        model=model,
        planner=scenes.planner if scenes.source == "planned" else None,
        negative_prompt="",
        steps=said.steps or own.steps,
        scheduler=said.scheduler,
        guidance=guidance,
        scene_guidance=guidance,
        frames=frames,
        fps=said.fps or own.fps,
        scale=1,
        ticks=scenes.ticks or recipe.data.ticks,
        width=said.size,
        height=said.size,
        dtype=said.dtype,
        scene_mode=said.scene_mode,
    )


def make_videos(
    folder: Path,
    cases: Sequence[Case],
    planned: Sequence[Planned],
    settings: Settings,
    evaluation: EvaluationRecipe,
    weights: Weights,
    device: str,
    on_step: Callable[[float], None],
) -> list[Path]:
    """The files of all videos in order; the model is loaded when one is missing. ``on_step`` gets videos done."""
    target = folder / VIDEOS
    target.mkdir(exist_ok=True)
    files = [target / f"{case.id}.mp4" for case in cases]
    size, seed = evaluation.generation.batch, evaluation.generation.seed
    pipe = None
    for first in range(0, len(cases), size):
        group = range(first, min(first + size, len(cases)))
        on_step(first)
        if all(files[i].exists() for i in group):
            continue
        pipe = pipe or _loaded(settings, device)
        scenes = scene_reading(pipe, settings, [planned[i].graph for i in group], narrate_frames)
        try:
            videos = pipe(
                [cases[i].prompt for i in group],
                scenes.dsgs,
                seeds=[seed + cases[i].number for i in group],
                on_step=_reporter(on_step, first, len(group)),
                **settings.arguments(),
                **scenes.arguments,
            )
        except UserError as error:
            raise UserError(f"videos {cases[group[0]].id} to {cases[group[-1]].id}: {error}") from None
        for place, (i, video) in enumerate(zip(group, videos, strict=True)):
            if files[i].exists():
                continue
            plan = planned[i]
            origin = Origin(plan.graph, settings.planner, plan.transcript_sha256, plan.degraded)
            said = recipe(
                settings, cases[i].prompt, seed + cases[i].number, origin, weights, batch=Batch(len(group), place)
            )
            write_mp4(files[i], video, settings.fps, said)
    on_step(len(cases))
    return files


def _reporter(on_step: Callable[[float], None], before: int, videos: int) -> Callable[..., None]:
    """Tells how many videos are done from the steps of a group."""

    def report(done: int, of: int, *_: object) -> None:
        on_step(before + videos * done / of)

    return report


def _loaded(settings: Settings, device: str) -> DysenVDMPipeline:
    from dysenvdm.generation.placement import checked_device, checked_dtype, place
    from dysenvdm.pipeline import DysenVDMPipeline

    pipe = DysenVDMPipeline.from_pretrained(locate(settings.model), dtype=checked_dtype(settings.dtype))
    pipe.set_progress_bar_config(disable=True)
    place(pipe, checked_device(device))
    return pipe
