"""The recipe of a video: everything needed to make it again, as plain data."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from dysenvdm import __version__
from planners.dsg import DynamicSceneGraph, UserError, one_line

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
    label: str | None = None
    """Words that are written into the frames."""
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


@dataclass(frozen=True)
class Batch:
    """A video's place among those that were made in one pass. Its last bits depend on how many they were."""

    videos: int = 1
    place: int = 0


def recipe(
    settings: Settings,
    prompt: str,
    seed: int,
    origin: Origin,
    weights: dict[str, dict[str, str]],
    edit_of: dict[str, Any] | None = None,
    batch: Batch = Batch(),
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
        "batch": asdict(batch),
        "weights": weights,
        "versions": versions(),
    }


def recipe_text(recipe: dict[str, Any]) -> str:
    """The recipe as the file beside the video has it."""
    return json.dumps(recipe, indent=1, ensure_ascii=False) + "\n"


def versions() -> dict[str, str]:
    """Of what a video's pixels and bytes depend on."""
    return {
        "dysenvdm": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "diffusers", "transformers", "av")},
    }


@dataclass(frozen=True)
class Made:
    """How a video was made, read from its recipe. ``edit_of`` is the prompt and the graph of the video that it edits,
    ``told`` the recipe as it stands there."""

    settings: Settings
    prompt: str
    seed: int
    origin: Origin
    weights: dict[str, dict[str, str]]
    edit_of: tuple[str, DynamicSceneGraph] | None
    batch: Batch
    versions: dict[str, str]
    told: dict[str, Any]


def read_made(file: Path) -> Made:
    """How a video was made, from its .mp4 or the .json beside it; raises :class:`UserError`."""
    from pydantic import TypeAdapter, ValidationError

    told = _recipe(file)
    if told.get("format") != FORMAT:
        said = f"its format is {str(told['format'])[:60]!r}" if "format" in told else "it has no format"
        raise UserError(f"{file}: not a {FORMAT} recipe ({said}); give a video that this version of dysenvdm made")
    known = {name: told[name] for name in Settings.__dataclass_fields__ if name in told}
    try:
        settings = TypeAdapter(Settings).validate_python(known)
        weights = TypeAdapter(dict[str, dict[str, str]]).validate_python(told["weights"])
        packages = TypeAdapter(dict[str, str]).validate_python(told["versions"])
        batch = TypeAdapter(Batch).validate_python(told.get("batch") or {})
        prompt, seed, edited = str(told["prompt"]), int(told["seed"]), told.get("edit_of")
        _check_parts(settings)
        transcript, degraded = (
            TypeAdapter(str | None).validate_python(told.get(name)) for name in ("transcript_sha256", "degraded")
        )
        origin = Origin(None, settings.planner, transcript, degraded)
        original = None if edited is None else (str(edited["prompt"]), edited["dsg"])
    except ValidationError as error:
        raise UserError(f"{file}: its recipe cannot be used ({one_line(error)}); make the video again") from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: its recipe cannot be used ({str(error)[:200]!r}); make the video again") from None
    if told.get("dsg") is not None:
        origin = replace(origin, dsg=DynamicSceneGraph.parse(told["dsg"], f"{file} dsg"))
    edit_of = original and (original[0], DynamicSceneGraph.parse(original[1], f"{file} edit_of"))
    return Made(settings, prompt, seed, origin, weights, edit_of, batch, packages, told)


def _check_parts(settings: Settings) -> None:
    """Raise KeyError or ValueError where the picture or a LoRA of a recipe is not told of in full."""
    if settings.first_frame is not None:
        str(settings.first_frame["sha256"])
    for lora in settings.loras:
        str(lora["name"]), float(lora["scale"])


def _recipe(file: Path) -> dict[str, Any]:
    if file.suffix == ".json":
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{file}: cannot be read as a recipe ({error})") from None
        return data if isinstance(data, dict) else {}
    from dysenvdm.video import read_recipe

    return read_recipe(file)
