"""``dysenvdm generate``: a prompt becomes a video, with the scene graph and the recipe beside it.

Everything that can be checked cheaply is checked first; then the models are loaded, the prompts are planned, the videos
denoised, and the files written. A video's files appear together, the video last, or not at all.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dysenvdm.cli.console import progress_bars, say
from dysenvdm.cli.planning import (
    BaseUrl,
    PlannerOptions,
    check_planner,
    checked_prompt,
    plan_prompts,
    read_batch,
    read_options,
)
from dysenvdm.files import check_parent, written_whole
from planners.dsg import DynamicSceneGraph, UserError

if TYPE_CHECKING:
    from dysenvdm.cli.recipe import Origin, Settings
    from dysenvdm.pipeline import DysenVDMPipeline
    from dysenvdm.scene_attention import SceneMode
    from dysenvdm.video import Frames

app = typer.Typer(add_completion=False)

AT_ONCE = 4
"""Videos denoised together: more would not be faster on a CPU and would need more memory."""


@dataclass(frozen=True)
class Job:
    """One video to make."""

    prompt: str
    output: Path
    dsg: DynamicSceneGraph | None = None


@app.command()
def generate(
    prompt: Annotated[str | None, typer.Argument(help="What should happen; without it, the prompt of --dsg.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .mp4 file; with --batch, a folder.")] = Path(
        "out.mp4"
    ),
    planner: Annotated[str | None, typer.Option(help="A name from 'dysenvdm planners'.")] = None,
    planner_option: PlannerOptions = None,
    base_url: BaseUrl = None,
    dsg: Annotated[Path | None, typer.Option(metavar="FILE", help="Obey this scene graph instead of planning.")] = None,
    no_plan: Annotated[bool, typer.Option("--no-plan", help="Use the text alone, without any plan.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="With --batch, prompt i takes seed + i.")] = 0,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Denoising steps.")] = 25,
    guidance: Annotated[float, typer.Option(min=0, max=100, help="Pull towards the text; 1 is none.")] = 1.5,
    scene_guidance: Annotated[
        float | None, typer.Option(min=0, max=100, help="Pull towards the scene graph; as --guidance unless given.")
    ] = None,
    imagined_weight: Annotated[
        float, typer.Option(min=0, max=4, help="How strongly imagined facts count: 0 not at all, 1 like stated ones.")
    ] = 1.0,
    scene_mode: Annotated[
        str | None, typer.Option(help="aligned, broadcast, shuffled or none; else the one the model was trained in.")
    ] = None,
    negative: Annotated[str, typer.Option(metavar="TEXT", help="What should not be seen.")] = "",
    frames: Annotated[int, typer.Option(min=1, max=1024)] = 16,
    fps: Annotated[int, typer.Option(min=1, max=120, help="Frames per second of the file.")] = 8,
    scale: Annotated[int, typer.Option(min=1, max=16, help="Write every pixel as a block of this side.")] = 1,
    ticks: Annotated[int, typer.Option(min=1, max=1024, help="Length of the plan in time steps.")] = 8,
    batch: Annotated[Path | None, typer.Option(metavar="FILE", help="One prompt per line; writes a folder.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME|FOLDER", help="The video model.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="ddim, dpmsolver++ or unipc; else the model's own.")] = None,
) -> None:
    """Turn a prompt into a video: out.mp4, out.json (recipe), out.png (contact sheet), out.dsg.json."""
    options = read_options(planner_option, base_url)
    if options and (no_plan or dsg):
        raise UserError(
            f"--planner-option {next(iter(options))}: nothing is planned with --no-plan or --dsg; leave it out"
        )
    if no_plan and (dsg or planner):
        raise UserError("--no-plan: takes neither --planner nor --dsg; leave one of them out")
    if dsg and planner:
        raise UserError("--dsg: the file is the plan, so --planner has nothing to do; leave one of them out")
    jobs = _batch_jobs(batch, output, prompt, dsg) if batch else [_single_job(prompt, output, dsg)]
    negative = checked_prompt(negative, "--negative") if negative else ""

    from dysenvdm.cli.recipe import Settings
    from dysenvdm.models import DEFAULT_MODEL
    from planners.plugins import DEFAULT_PLANNER

    plans = not (dsg or no_plan)
    settings = Settings(
        model=model or DEFAULT_MODEL,
        planner=(planner or DEFAULT_PLANNER) if plans else None,
        negative_prompt=negative,
        steps=steps,
        scheduler=scheduler,
        guidance=guidance,
        scene_guidance=guidance if scene_guidance is None else scene_guidance,
        imagined_weight=imagined_weight,
        scene_mode=scene_mode,
        frames=frames,
        fps=fps,
        scale=scale,
        ticks=ticks,
    )
    if settings.planner:
        check_planner(settings.planner, options)
    pipe, weights = _load(settings, jobs, options)
    origins = _origins(settings, jobs, options, seed)
    _warn_of_untrained_labels(pipe, settings, origins)
    if batch:
        output.mkdir(exist_ok=True)
    _denoise(pipe, settings, jobs, origins, seed, weights)
    for job in jobs:
        say(f"wrote {job.output} (and .json, .png{'' if no_plan else ', .dsg.json'} beside it)")


def _load(
    settings: Settings, jobs: list[Job], options: dict[str, str]
) -> tuple[DysenVDMPipeline, dict[str, dict[str, str]]]:
    """The pipeline and the hashes of all weights that will be used, with everything checked that needs them."""
    from dysenvdm import models
    from dysenvdm.pipeline import SCHEDULERS, DysenVDMPipeline
    from dysenvdm.scene_attention import SCENE_MODES

    if settings.scene_mode not in (None, *SCENE_MODES):
        raise UserError(f"--scene-mode {settings.scene_mode!r}: no such mode; there are: {', '.join(SCENE_MODES)}")
    if settings.scheduler is not None and settings.scheduler not in SCHEDULERS:
        raise UserError(f"--scheduler {settings.scheduler!r}: no such scheduler; there are: {', '.join(SCHEDULERS)}")
    folder = models.locate(settings.model)
    used = [folder, models.locate(models.TEXT_MODEL)]
    if settings.planner == "smollm2":
        used.append(models.locate(options.get("model", models.PLANNER_MODEL)))
    weights = {path.name: models.verify(path) for path in used}
    pipe = DysenVDMPipeline.from_pretrained(folder)
    graphs = [job.dsg or DynamicSceneGraph(ticks=settings.ticks if settings.planner else 1) for job in jobs]
    prompts = [job.prompt for job in jobs]
    pipe.check_inputs(prompts, graphs, [0] * len(jobs), settings.frames, settings.steps)
    pipe.text_encoder.encode([*prompts, settings.negative_prompt])  # refuses what is too long for it
    return pipe, weights


def _origins(settings: Settings, jobs: list[Job], options: dict[str, str], seed: int) -> list[Origin]:
    from dysenvdm.cli.recipe import Origin

    if settings.planner is None:
        return [Origin(job.dsg) for job in jobs]
    results = plan_prompts([job.prompt for job in jobs], settings.planner, options, ticks=settings.ticks, seed=seed)
    return [Origin(result.dsg, settings.planner, result.transcript_sha256, result.degraded) for result in results]


def _warn_of_untrained_labels(pipe: DysenVDMPipeline, settings: Settings, origins: list[Origin]) -> None:
    graphs = [origin.dsg for origin in origins if origin.dsg]
    labels = dict.fromkeys(label for dsg in graphs for label in pipe.scene_adapter.untrained_labels(dsg))
    if labels:
        named = ", ".join(map(repr, labels))
        say(f"warning: {Path(settings.model).name} was not trained to draw {named}; expect what resembles it", "yellow")


def _denoise(
    pipe: DysenVDMPipeline,
    settings: Settings,
    jobs: list[Job],
    origins: list[Origin],
    seed: int,
    weights: dict[str, dict[str, str]],
) -> None:
    """Make the videos, some at a time, and write each group as soon as it is done."""
    from dysenvdm.cli.recipe import recipe

    groups = [range(first, min(first + AT_ONCE, len(jobs))) for first in range(0, len(jobs), AT_ONCE)]
    with progress_bars() as bars:
        task = bars.add_task("denoising", total=settings.steps * len(groups))
        for group in groups:
            graphs = [origin.dsg for i in group if (origin := origins[i]).dsg is not None]
            videos = pipe(
                [jobs[i].prompt for i in group],
                graphs or None,
                seeds=[seed + i for i in group],
                num_frames=settings.frames,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                scene_guidance_scale=settings.scene_guidance,
                negative_prompt=settings.negative_prompt,
                scheduler=settings.scheduler,
                scene_mode=cast("SceneMode | None", settings.scene_mode),
                imagined_weight=settings.imagined_weight,
                on_step=lambda *_: bars.advance(task),
            )
            for i, video in zip(group, videos, strict=True):
                _write(jobs[i], origins[i], video, recipe(settings, jobs[i].prompt, seed + i, origins[i], weights))


def _single_job(prompt: str | None, output: Path, dsg: Path | None) -> Job:
    if output.suffix != ".mp4":
        raise UserError(f"{output}: the video is an .mp4 file; change the name given to -o")
    check_parent(output)
    graph = DynamicSceneGraph.load(dsg) if dsg else None
    if prompt is None and graph is None:
        raise UserError("prompt: missing; say what should happen, or give a --dsg file or a --batch file")
    if prompt is None and graph is not None:
        return Job(checked_prompt(graph.prompt, f"{dsg} prompt"), output, graph)
    assert prompt is not None
    return Job(checked_prompt(prompt), output, graph)


def _batch_jobs(batch: Path, output: Path, prompt: str | None, dsg: Path | None) -> list[Job]:
    if prompt is not None or dsg:
        raise UserError("--batch: the file has the prompts; leave out the prompt and --dsg")
    if output.suffix:
        raise UserError(f"{output}: --batch writes many files; give a folder to -o")
    check_parent(output)
    prompts = read_batch(batch)
    return [Job(text, output / f"{i:04d}.mp4") for i, text in enumerate(prompts, 1)]


def _write(job: Job, origin: Origin, video: Frames, recipe: dict[str, Any]) -> None:
    """Write a video's files, the MP4 last; none of them where anything fails."""
    from dysenvdm.video import contact_sheet, upscaled, write_mp4

    graph_file = job.output.with_suffix(".dsg.json")
    with ExitStack() as stack:  # leaves in reverse order: the video's name appears when all else is there
        mp4 = stack.enter_context(written_whole(job.output))
        write_mp4(mp4, upscaled(video, recipe["scale"]), recipe["fps"], recipe)
        text = stack.enter_context(written_whole(job.output.with_suffix(".json")))
        text.write_text(json.dumps(recipe, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        png = stack.enter_context(written_whole(job.output.with_suffix(".png")))
        contact_sheet(video, origin.dsg).save(png)
        if origin.dsg:
            origin.dsg.save(stack.enter_context(written_whole(graph_file)))
    if origin.dsg is None:
        graph_file.unlink(missing_ok=True)  # an older run's scene graph would belong to another video
