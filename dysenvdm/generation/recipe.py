"""The recipe of a video: everything needed to make it again, as plain data."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dysenvdm import __version__
from planners.dsg import DynamicSceneGraph

FORMAT = "dysenvdm.recipe/1"


@dataclass(frozen=True)
class Origin:
    """Where a video's scene graph came from: planned (with the transcript's hash), given as a file, or none at all."""

    dsg: DynamicSceneGraph | None
    planner: str | None = None
    transcript_sha256: str | None = None
    degraded: str | None = None


@dataclass(frozen=True)
class Settings:
    """What all videos of one run share."""

    model: str
    planner: str | None
    negative_prompt: str
    steps: int
    scheduler: str | None
    """A name, or None for the model's own (its folder says which)."""
    guidance: float
    scene_guidance: float
    frames: int
    fps: int
    scale: int
    ticks: int
    width: int | None = None
    height: int | None = None
    """Pixels, or None for the model's own."""
    window: int | None = None
    overlap: int | None = None
    """Frames, or None for what the model's trained length gives."""
    dtype: str = "fp32"
    compiled: bool = False
    scene_mode: str | None = None
    """What a frame sees of the scene graph, None for what the model was trained to see; "prompts": its text is written
    from it (``planners.narration``)."""
    imagined_weight: float = 1.0
    first_frame: dict[str, str | None] | None = None
    """SHA-256 of the picture's file, and how it was fitted."""
    loras: tuple[dict[str, str | float], ...] = ()
    """Name and scale of each; their hashes are among the weights."""

    def arguments(self) -> dict[str, Any]:
        """What of this :meth:`dysenvdm.pipeline.DysenVDMPipeline.__call__` is told in the same words, scenes apart."""
        told = {
            "num_frames": self.frames,
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "scene_guidance_scale": self.scene_guidance,
            "negative_prompt": self.negative_prompt,
            "scheduler": self.scheduler,
        }
        if_given = {name: getattr(self, name) for name in ("height", "width", "window", "overlap")}
        return told | {name: value for name, value in if_given.items() if value is not None}


def recipe(
    settings: Settings,
    prompt: str,
    seed: int,
    origin: Origin,
    weights: dict[str, dict[str, str]],
    edit_of: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One video's recipe; ``weights`` are model name -> file -> SHA-256, ``edit_of`` what it is an edit of."""
    return {
        "format": FORMAT,
        "prompt": prompt,
        "seed": seed,
        **asdict(settings),
        "model": Path(settings.model).name,  # where it lay is nobody's business
        "dsg": origin.dsg.to_dict() if origin.dsg else None,
        "transcript_sha256": origin.transcript_sha256,
        "degraded": origin.degraded,
        "edit_of": edit_of,
        "weights": weights,
        "versions": {
            "dysenvdm": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "diffusers", "transformers")},
        },
    }
