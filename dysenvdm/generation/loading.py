"""What must be known of a model's folder to make videos with it: its habits, and the hashes of all weights used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dysenvdm import models
from planners.dsg import UserError

Weights = dict[str, dict[str, str]]
"""Model name -> file -> SHA-256."""


@dataclass(frozen=True)
class Usual:
    """How a model is sampled unless the user says otherwise."""

    frames: int
    fps: int
    steps: int
    guidance: float


def usual(model: str) -> Usual:
    """What the model's folder says, which is refused later where it is none; raises :class:`UserError`."""
    index = models.locate(model) / "model_index.json"
    try:
        said = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
        frames, fps = said.get("trained_frames", 16), said.get("trained_fps", 8)
        return Usual(frames, fps, said.get("usual_steps", 25), said.get("usual_guidance", 1.5))
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{index}: cannot be read ({error}); save the pipeline again") from None


def used_models(model: str) -> list[Path]:
    """The folders that a video model needs: its own, and the text encoder's where it brings none."""
    folder = models.locate(model)
    if (folder / "text_encoder" / "model.safetensors").is_file():  # a backbone brings its own
        return [folder]
    return [folder, models.locate(models.TEXT_MODEL)]


def planner_models(planner: str | None, model: str | None) -> list[Path]:
    """The folders of a planner whose weights recipes name, ``model`` being the planner's option of that name."""
    return [models.locate(model or models.PLANNER_MODEL)] if planner == "smollm2" else []


def hashes(folders: list[Path]) -> Weights:
    """Every folder's files, held against its manifest; raises :class:`UserError`."""
    return {path.name: models.verify(path) for path in folders}
