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
    imagined_weight: float
    scene_mode: str | None
    """A mode, or None for the model's own."""
    frames: int
    fps: int
    scale: int
    ticks: int


def recipe(
    settings: Settings, prompt: str, seed: int, origin: Origin, weights: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """One video's recipe; ``weights`` are model name -> file -> SHA-256."""
    return {
        "format": FORMAT,
        "prompt": prompt,
        "seed": seed,
        **asdict(settings),
        "model": Path(settings.model).name,  # where it lay is nobody's business
        "dsg": origin.dsg.to_dict() if origin.dsg else None,
        "transcript_sha256": origin.transcript_sha256,
        "degraded": origin.degraded,
        "weights": weights,
        "versions": {
            "dysenvdm": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "diffusers", "transformers")},
        },
    }
