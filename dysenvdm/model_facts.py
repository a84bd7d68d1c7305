"""What a model's folder says about how it is sampled: read from its JSON files, without loading torch or weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dysenvdm import models
from planners.dsg import UserError

Precision = Literal["fp32", "fp16", "bf16"]
SceneMode = Literal["aligned", "broadcast", "none", "shuffled"]
"""``aligned``: a frame sees its tick. ``broadcast``: every frame sees all ticks (the paper's code). ``none``: it sees
the empty scene. ``shuffled``: it sees another tick's, in an order that depends on the number of ticks only."""

Scheduler = Literal["ddim", "dpmsolver++", "unipc"]
"""The schedulers that may be chosen instead of a model's own."""


@dataclass(frozen=True)
class Usual:
    """How a model is sampled unless the user says otherwise."""

    frames: int
    fps: int
    steps: int
    guidance: float


@dataclass(frozen=True)
class ModelFacts:
    """What a request is held against before any weights are loaded.

    ``width`` and ``height`` (pixels) are the model's own; sides must be multiples of ``side_multiple``, numbers of
    frames of ``frame_multiple``. ``max_steps``: the steps that its noise schedule has. ``max_nodes``: objects and facts
    of a scene.
    """

    usual: Usual
    width: int
    height: int
    frame_multiple: int
    side_multiple: int
    max_steps: int
    max_nodes: int


def usual(model: str) -> Usual:
    """What the model's folder says, which is refused later where it is none; raises :class:`UserError`."""
    index = models.locate(model) / "model_index.json"
    return _usual(_read(index) if index.is_file() else {})


def facts(model: str) -> ModelFacts:
    """The facts of a saved pipeline; raises :class:`UserError` where the folder is none."""
    folder = models.locate(model)
    index = folder / "model_index.json"
    if not index.is_file():
        raise UserError(f"{folder}: no model_index.json there; give the folder of a saved DysenVDMPipeline")
    said = _read(index)
    unet, vae = (_read(folder / part / "config.json") for part in ("unet", "vae"))
    adapter = _read(folder / "scene_adapter" / "config.json")
    schedule = _read(folder / "scheduler" / "scheduler_config.json")
    try:
        pixels = 2 ** (len(vae["block_out_channels"]) - 1)
        size = unet["sample_size"]
        height, width = (size, size) if isinstance(size, int) else size
        return ModelFacts(
            usual=_usual(said),
            width=width * pixels,
            height=height * pixels,
            frame_multiple=said["frame_multiple"],
            side_multiple=pixels * 2 ** (len(unet["block_out_channels"]) - 1),
            max_steps=schedule.get("num_train_timesteps", 1000),
            max_nodes=adapter.get("max_nodes", 256),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: its configuration is not complete ({error!r}); save the pipeline again") from None


def _usual(said: dict[str, Any]) -> Usual:
    return Usual(
        said.get("trained_frames", 16),
        said.get("trained_fps", 8),
        said.get("usual_steps", 25),
        said.get("usual_guidance", 1.5),
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read ({error}); save the pipeline again") from None
    if not isinstance(data, dict):
        raise UserError(f"{file}: cannot be read (not a JSON object); save the pipeline again")
    return data
