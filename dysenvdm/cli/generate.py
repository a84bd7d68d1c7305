"""``dysenvdm generate``: a prompt becomes a video, with the scene graph and the recipe beside it.

Everything that can be checked cheaply is checked first; then the models are loaded, the prompts are planned, the videos
denoised, and the files written. A video's files appear together, the video last, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dysenvdm.cli import generate_options as options
from dysenvdm.cli.console import say
from dysenvdm.cli.edit_of import Edited, check_options, check_same_model, read_original, stale_words
from dysenvdm.cli.making import Making, denoise
from dysenvdm.cli.planning import (
    AllowEmpty,
    BaseUrl,
    PlannerOptions,
    TranscriptFile,
    check_planner,
    checked_prompt,
    has_plan,
    plan_prompts,
    read_options,
    save_transcript,
)
from dysenvdm.cli.video_jobs import Job, batch_jobs, check_inputs_stay, several_jobs, single_job
from dysenvdm.files import check_parent
from planners.dsg import UserError

if TYPE_CHECKING:
    from dysenvdm.cli.previews import PreviewSheet
    from dysenvdm.generation.recipe import Origin, Settings

app = typer.Typer(add_completion=False)


@app.command()
def generate(
    context: typer.Context,
    prompt: options.Prompt = None,
    output: options.Output = Path("out.mp4"),
    planner: options.Planner = None,
    planner_option: PlannerOptions = None,
    base_url: BaseUrl = None,
    dsg: options.Dsg = None,
    no_plan: options.NoPlan = False,
    transcript: TranscriptFile = None,
    allow_empty: AllowEmpty = False,
    ticks: options.Ticks = 8,
    seed: options.Seed = 0,
    steps: options.Steps = None,
    scheduler: options.Scheduler = None,
    guidance: options.Guidance = None,
    scene_guidance: options.SceneGuidance = None,
    imagined_weight: options.ImaginedWeight = 1.0,
    negative: options.Negative = "",
    frames: options.Frames = None,
    fps: options.Fps = None,
    size: options.Size = None,
    window: options.Window = None,
    overlap: options.Overlap = None,
    scale: options.Scale = 1,
    label: options.Label = None,
    count: options.Count = None,
    batch: options.Batch = None,
    preview: options.Preview = None,
    first_frame: options.FirstFrame = None,
    first_frame_fit: options.FirstFrameFit = None,
    edit_of: options.EditOf = None,
    model: options.Model = None,
    scene_mode: options.SceneMode = None,
    lora: options.Lora = None,
    dtype: options.Dtype = "fp32",
    device: options.Device = "auto",
    offload: options.Offload = None,
    compile_blocks: options.CompileBlocks = False,
) -> None:
    """Turn a prompt into a video: out.mp4, out.json (recipe), out.png (contact sheet), out.dsg.json."""
    planner_options = read_options(planner_option, base_url)
    if planner_options and (no_plan or dsg):
        raise UserError(
            f"--planner-option {next(iter(planner_options))}: nothing is planned with --no-plan or --dsg; leave it out"
        )
    if transcript and (no_plan or dsg or batch):
        raise UserError("--transcript: is of one prompt that is planned; leave out --no-plan, --dsg and --batch, or it")
    if allow_empty and (no_plan or dsg):
        raise UserError("--allow-empty: nothing is planned with --no-plan or --dsg; leave it out")
    if no_plan and (dsg or planner):
        raise UserError("--no-plan: takes neither --planner nor --dsg; leave one of them out")
    if dsg and planner:
        raise UserError("--dsg: the file is the plan, so --planner has nothing to do; leave one of them out")
    if batch and count:
        raise UserError("--batch: the file says how many videos; leave out --count")
    jobs = _jobs(prompt, output, dsg, batch, count)
    check_inputs_stay(
        jobs,
        {
            "--dsg": dsg,
            "--batch": batch,
            "--first-frame": first_frame,
            "--edit-of": edit_of,
            "--preview": preview,
            "--transcript": transcript,
        },
    )
    if transcript:
        check_parent(transcript)
    negative = checked_prompt(negative, "--negative") if negative else ""
    picture = _picture(first_frame, first_frame_fit)
    original = _original(context, edit_of, dsg)

    from dysenvdm.cli.video_model import Computing, checked_scene_mode, load, say_untrained_labels
    from dysenvdm.cli.video_model import first_frame as read_first_frame
    from dysenvdm.generation.lora import Lora
    from dysenvdm.generation.placement import checked_device
    from dysenvdm.generation.recipe import Settings
    from dysenvdm.model_facts import usual
    from dysenvdm.models import DEFAULT_MODEL
    from planners.plugins import DEFAULT_PLANNER

    loras = [Lora.parse(text) for text in lora or ()]
    width, height = _size(size)
    plans = not (dsg or no_plan)
    own = usual(model or DEFAULT_MODEL)
    guidance = own.guidance if guidance is None else guidance
    settings = Settings(
        model=model or DEFAULT_MODEL,
        planner=(planner or DEFAULT_PLANNER) if plans else None,
        negative_prompt=negative,
        steps=steps or own.steps,
        scheduler=scheduler,
        guidance=guidance,
        scene_guidance=guidance if scene_guidance is None else scene_guidance,
        frames=frames or own.frames,
        fps=fps or own.fps,
        scale=scale,
        ticks=ticks,
        width=width,
        height=height,
        window=window,
        overlap=overlap,
        dtype=dtype,
        compiled=compile_blocks,
        scene_mode=checked_scene_mode(scene_mode, planless=no_plan, imagined_weight=imagined_weight),
        imagined_weight=imagined_weight,
        first_frame=picture,
        label=label,
        loras=tuple({"name": each.folder.resolve().name, "scale": each.scale} for each in loras),
    )
    inputs: dict[str, object] = {"first_frame": settings.first_frame, "loras": settings.loras}
    if original:
        seed = original.seed
        settings = replace(
            original.settings,
            planner=None,
            scale=scale,
            label=label,
            model=model or original.settings.model,
            compiled=compile_blocks,
        )
    if settings.planner:
        check_planner(settings.planner, planner_options)
    computing = Computing(checked_device(device, offload), offload, compile_blocks)
    pipe, weights = load(settings, jobs, planner_options, computing, loras)
    if original and edit_of:
        check_same_model(edit_of, original, weights, inputs)
        _say_stale_words(jobs[0], original)
    image = read_first_frame(pipe, settings, first_frame, first_frame_fit) if first_frame else None
    asked = len(jobs)
    jobs, origins = _planned(settings, jobs, planner_options, seed, count is not None, allow_empty, transcript)
    say_untrained_labels(pipe, settings, origins)
    if batch or count:
        output.mkdir(exist_ok=True)
    denoise(Making(pipe, settings, jobs, origins, seed, weights, image, original, edit_of, _preview(preview)))
    for job in jobs:
        say(f"wrote {job.output} (and .json, .png{'' if no_plan else ', .dsg.json'} beside it)")
    if len(jobs) < asked:
        raise UserError(f"{asked - len(jobs)} of {asked} prompts have no plan and no video, for the reasons above")


def _jobs(prompt: str | None, output: Path, dsg: Path | None, batch: Path | None, count: int | None) -> list[Job]:
    if batch:
        return batch_jobs(batch, output, prompt, dsg)
    return several_jobs(count, prompt, output, dsg) if count else [single_job(prompt, output, dsg)]


def _size(text: str | None) -> tuple[int | None, int | None]:
    """Width and height of ``WxH``."""
    if text is None:
        return None, None
    width, x, height = text.lower().partition("x")
    if not x or not width.isdecimal() or not height.isdecimal():
        raise UserError(f"--size {text!r}: write WIDTHxHEIGHT in pixels, for example 64x64")
    return int(width), int(height)


def _picture(file: Path | None, fit: str | None) -> dict[str, str | None] | None:
    """What the recipe says of a first frame."""
    if file is None:
        if fit is not None:
            raise UserError("--first-frame-fit: says how to fit a --first-frame; give one or leave it out")
        return None
    from dysenvdm.files import sha256
    from dysenvdm.generation.first_frame import FITS

    if fit is not None and fit not in FITS:
        raise UserError(f"--first-frame-fit {fit!r}: not known; use one of: {', '.join(FITS)}")
    return {"sha256": sha256(file), "fit": fit}


def _original(context: typer.Context, edit_of: Path | None, dsg: Path | None) -> Edited | None:
    if edit_of is None:
        return None
    check_options(context)
    if dsg is None:
        raise UserError("--edit-of: needs the changed scene graph as --dsg; make one with: dysenvdm dsg edit")
    return read_original(edit_of)


def _say_stale_words(job: Job, original: Edited) -> None:
    assert job.dsg is not None
    if words := stale_words(job.prompt, original.dsg, job.dsg):
        say(f"warning: the prompt still says {', '.join(words)}; give the new sentence as the prompt", "yellow")


def _preview(file: Path | None) -> PreviewSheet | None:
    if file is None:
        return None
    if file.suffix != ".png":
        raise UserError(f"--preview {file}: is a .png file; change the name")
    check_parent(file)
    from dysenvdm.cli.previews import PreviewSheet

    return PreviewSheet(file)


def _planned(
    settings: Settings,
    jobs: Sequence[Job],
    options: dict[str, str],
    seed: int,
    planned_once: bool,
    allow_empty: bool,
    transcript: Path | None,
) -> tuple[list[Job], list[Origin]]:
    """The jobs that can be done, and where each one's scene graph comes from; videos of one prompt may share a plan."""
    from dysenvdm.generation.recipe import Origin

    if settings.planner is None:
        return [*jobs], [Origin(job.dsg) for job in jobs]
    prompts = [job.prompt for job in (jobs[:1] if planned_once else jobs)]
    ticks, planner = settings.ticks, settings.planner
    results = plan_prompts(prompts, planner, options, ticks=ticks, seed=seed, allow_empty=allow_empty)
    if transcript:
        save_transcript(transcript, results[0], planner=planner, ticks=ticks, seed=seed)
    origins = [Origin(result.dsg, settings.planner, result.transcript_sha256, result.degraded) for result in results]
    if planned_once:
        return [*jobs], origins * len(jobs)
    done = [i for i, result in enumerate(results) if allow_empty or has_plan(result)]
    return [jobs[i] for i in done], [origins[i] for i in done]
