"""Making the videos of ``dysenvdm generate``: some at a time, each written as soon as it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dysenvdm.cli.console import progress_bars, say
from dysenvdm.cli.edit_of import Edited
from dysenvdm.cli.video_jobs import Job, write_files
from dysenvdm.generation.limits import FRAMES_AT_ONCE

if TYPE_CHECKING:
    from dysenvdm.cli.previews import PreviewSheet
    from dysenvdm.generation.recipe import Origin, Settings
    from dysenvdm.pipeline import DysenVDMPipeline
    from planners.dsg import DynamicSceneGraph

AT_ONCE = 4
"""Videos denoised together, fewer where they are long."""


@dataclass(frozen=True)
class Making:
    """All that making the videos needs."""

    pipe: DysenVDMPipeline
    settings: Settings
    jobs: Sequence[Job]
    origins: Sequence[Origin]
    seed: int
    weights: dict[str, dict[str, str]]
    image: Any
    """The first frame (h w 3), or None."""
    original: Edited | None
    edit_of: Path | None
    preview: PreviewSheet | None


def denoise(making: Making) -> None:
    """Make the videos, some at a time, and write each group as soon as it is done."""
    from dysenvdm.generation.recipe import Batch, recipe

    settings, jobs = making.settings, making.jobs
    at_once = min(AT_ONCE, max(1, FRAMES_AT_ONCE // settings.frames))
    groups = [range(first, min(first + at_once, len(jobs))) for first in range(0, len(jobs), at_once)]
    passes = 2 if making.original else 1
    with progress_bars(remaining=True) as bars:
        task = bars.add_task("denoising", total=settings.steps * len(groups) * passes)
        for group in groups:
            origins = [making.origins[i] for i in group]
            videos = denoised(
                making.pipe,
                settings,
                [jobs[i].prompt for i in group],
                [origin.dsg for origin in origins if origin.dsg is not None],
                seeds=[making.seed + jobs[i].number for i in group],
                on_step=lambda *_: bars.advance(task),
                **_further(making, len(group)),
            )
            for place, (i, video) in enumerate(zip(group, videos, strict=True)):
                said = recipe(
                    settings,
                    jobs[i].prompt,
                    making.seed + jobs[i].number,
                    origins[place],
                    making.weights,
                    _edited(making),
                    Batch(len(group), place),
                )
                write_files(jobs[i], origins[place], video, said)


def denoised(
    pipe: DysenVDMPipeline,
    settings: Settings,
    prompts: Sequence[str],
    graphs: Sequence[DynamicSceneGraph],
    **further: Any,
) -> Any:
    """Videos (b f h w 3) of one pass; what of a scene graph is too long for the text encoder is said."""
    from dysenvdm.generation.scene_reading import scene_reading
    from planners.narration import narrate_frames

    scenes = scene_reading(pipe, settings, graphs, narrate_frames)
    for left_out in scenes.left_out:
        say(f"warning: too long for the text encoder, left out of some frames' text: {left_out}", "yellow")
    return pipe(prompts, scenes.dsgs, **settings.arguments(), **scenes.arguments, **further)


def _further(making: Making, count: int) -> dict[str, Any]:
    """The pipeline's arguments that only the command line has."""
    import numpy as np

    from dysenvdm.cli.previews import ROWS
    from dysenvdm.generation.preview import Preview

    settings, original = making.settings, making.original
    more: dict[str, Any] = {}
    if making.image is not None:
        more["first_frames"] = np.stack([making.image] * count)
    if original is not None:
        more["edit_of"] = ([original.prompt], [original.dsg])
    if making.preview is not None:
        more["preview"] = Preview(making.preview.show, every=max(1, settings.steps // ROWS))
    return more


def _edited(making: Making) -> dict[str, Any] | None:
    """What the recipe of an edit says of its original."""
    if making.original is None or making.edit_of is None:
        return None
    from dysenvdm.files import sha256

    original = making.original
    return {"prompt": original.prompt, "dsg": original.dsg.to_dict(), "sha256": sha256(making.edit_of)}
