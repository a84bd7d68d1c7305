"""Loading the video model for ``dysenvdm generate``, and everything that can be checked only then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dysenvdm.cli.console import say
from planners.dsg import DynamicSceneGraph, UserError

if TYPE_CHECKING:
    import torch

    from dysenvdm.cli.video_jobs import Job
    from dysenvdm.generation.loading import Weights
    from dysenvdm.generation.lora import Lora
    from dysenvdm.generation.recipe import Origin, Settings
    from dysenvdm.pipeline import DysenVDMPipeline


@dataclass(frozen=True)
class Computing:
    """How this machine computes; no part of what is computed, number format and compilation apart."""

    device: torch.device
    offload: Any = None
    compiled: bool = False


def checked_scene_mode(name: str | None, *, planless: bool, imagined_weight: float) -> str | None:
    """A mode's name, None for the model's own; raises :class:`UserError` for a name or a use that makes no sense."""
    from dysenvdm.generation.scene_reading import PROMPTS
    from dysenvdm.scene_attention import SCENE_MODES

    if name is None:
        return None
    if name not in (*SCENE_MODES, PROMPTS):
        raise UserError(f"--scene-mode {name!r}: not known; use one of: {', '.join((*SCENE_MODES, PROMPTS))}")
    if name == PROMPTS and planless:
        raise UserError("--scene-mode prompts: the sentences come from a scene graph; leave out --no-plan")
    if name == PROMPTS and imagined_weight != 1:
        raise UserError(
            "--imagined-weight: sentences cannot be weighed; leave it out, or use 'dysenvdm dsg veto' for 0"
        )
    return name


def load(
    settings: Settings, jobs: Sequence[Job], options: dict[str, str], computing: Computing, loras: Sequence[Lora]
) -> tuple[DysenVDMPipeline, Weights]:
    """The pipeline where it shall compute, and the hashes of all weights that will be used.

    Raises :class:`UserError` for whatever the model cannot do; what is beyond its training is said.
    """
    from dysenvdm import models
    from dysenvdm.generation.loading import hashes, planner_models, used_models
    from dysenvdm.generation.lora import merge
    from dysenvdm.generation.placement import checked_dtype, compile_blocks, place
    from dysenvdm.pipeline import SCHEDULERS, DysenVDMPipeline

    if settings.scheduler is not None and settings.scheduler not in SCHEDULERS:
        raise UserError(f"--scheduler {settings.scheduler!r}: no such scheduler; there are: {', '.join(SCHEDULERS)}")
    folder = models.locate(settings.model)
    weights = hashes([*used_models(settings.model), *planner_models(settings.planner, options.get("model"))])
    pipe = DysenVDMPipeline.from_pretrained(folder, dtype=checked_dtype(settings.dtype))
    _check(pipe, settings, jobs)
    parts = {"unet": pipe.unet, "scene_adapter": pipe.scene_adapter}
    for lora in loras:
        name = f"lora {lora.folder.resolve().name}"
        if name in weights:
            raise UserError(f"--lora {lora.folder}: a second folder of that name; rename one, recipes go by names")
        weights[name] = merge(lora, parts, folder.name)
    if computing.compiled:
        compile_blocks(pipe.unet)
    place(pipe, computing.device, computing.offload)
    return pipe, weights


def _check(pipe: DysenVDMPipeline, settings: Settings, jobs: Sequence[Job]) -> None:
    import numpy as np

    from dysenvdm.generation.scene_reading import PROMPTS
    from dysenvdm.video import labelled

    graphs = [job.dsg or DynamicSceneGraph(ticks=settings.ticks if settings.planner else 1) for job in jobs]
    prompts = [job.prompt for job in jobs]
    size = (settings.height, settings.width)
    pipe.check_inputs(prompts, graphs, [0] * len(jobs), settings.frames, settings.steps, *size)
    windows = pipe.windows(settings.frames, settings.window, settings.overlap)
    read = [] if settings.scene_mode == PROMPTS else prompts
    pipe.text_encoder.encode([*read, settings.negative_prompt])  # refuses, or says, what is too long for it
    trained = pipe.trained
    width, height = settings.width or trained.width, settings.height or trained.height
    if settings.label:
        labelled(np.zeros((1, height * settings.scale, width * settings.scale, 3), np.uint8), settings.label)
    for notice in trained.notices(window=windows.length, width=width, height=height, fps=settings.fps):
        say(f"warning: {notice}", "yellow")


def say_untrained_labels(pipe: DysenVDMPipeline, settings: Settings, origins: Sequence[Origin]) -> None:
    """Warn of what the scene graphs name and the scene adapter was not trained to draw."""
    from dysenvdm.generation.scene_reading import PROMPTS

    if settings.scene_mode == PROMPTS:
        return
    graphs = [origin.dsg for origin in origins if origin.dsg]
    labels = dict.fromkeys(label for dsg in graphs for label in pipe.scene_adapter.untrained_labels(dsg))
    if labels:
        named, model = ", ".join(map(repr, labels)), Path(settings.model).name
        say(f"warning: {model} was not trained to draw {named}; expect what resembles it", "yellow")


def first_frame(pipe: DysenVDMPipeline, settings: Settings, file: Path, fit: Any) -> Any:
    """The picture (h w 3) in the video's size; raises :class:`UserError`."""
    from dysenvdm.generation.first_frame import read_image

    trained = pipe.trained
    return read_image(file, settings.width or trained.width, settings.height or trained.height, fit)
