"""The models that a study trains of its own: a twin, an ablation, one for each number of clips."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dysenvdm.files import sha256
from dysenvdm.models import locate
from dysenvdm.studies.comparison.store import key_of
from dysenvdm.studies.comparison.videos import VideoOptions
from dysenvdm.studies.questions.levels import Level
from dysenvdm.studies.questions.recipe import StudyRecipe
from dysenvdm.training.recipe import read_recipe
from dysenvdm.training.run_folder import say
from planners.dsg import UserError


def options_of(
    recipe: StudyRecipe, level: Level, videos: VideoOptions, folder: Path, ranks: int | None
) -> VideoOptions:
    """How the videos of a level are made; its own model is trained where the folder lacks it."""
    variant, model = level.variant, videos.model
    if level.clips is not None:
        model = _trained(recipe, f"{level.clips}-clips", (f"data.clips={level.clips}",), model, folder, ranks)
    elif variant.set is not None:
        # Two variants that train alike share a model, that of the first.
        twin = next(name for name, one in recipe.variants.items() if one.set == variant.set)
        model = _trained(recipe, twin, variant.set, model, folder, ranks)
    said = {
        name: value
        for name in ("steps", "scheduler", "scene_mode", "guidance", "scene_guidance")
        if (value := getattr(variant, name)) is not None
    }
    return replace(videos, model=model, **said)


def _run_name(recipe: StudyRecipe, label: str, changes: Sequence[str], model: str) -> str:
    """Of what is trained and not only of the level: a recipe that was changed, another autoencoder or another model to
    begin from has another one."""
    assert recipe.training is not None
    said = read_recipe(recipe.training.recipe, [*recipe.training.set, *changes])
    trained = [said, _hashes(locate(model) / "vae")]
    match said:
        case {"model": {"init": str(init)}}:
            trained.append(_hashes(locate(init)))
    return f"{re.sub(r'[^a-z0-9]+', '-', label.lower()).strip('-')}-{key_of(trained)[:8]}"


def _hashes(folder: Path) -> list[str]:
    return [sha256(file) for file in sorted(folder.rglob("*.safetensors"))]


def _trained(
    recipe: StudyRecipe, label: str, changes: Sequence[str], model: str, folder: Path, ranks: int | None
) -> str:
    """The model of the study's recipe with these changes, trained where the folder lacks it.

    By processes of its own, which a later command joins where they were stopped: its run folder has the checkpoints.
    """
    assert recipe.training is not None
    run = folder / "training" / _run_name(recipe, label, changes, model)
    if (run / "model" / "manifest.json").is_file():  # written last
        return str(run / "model")
    run.parent.mkdir(parents=True, exist_ok=True)
    whole = (f"run={run}", f"model.vae={locate(model) / 'vae'}", *recipe.training.set, *changes)
    given = [recipe.training.recipe, *(part for change in whole for part in ("--set", change))]
    say(f"training a model of its own: {run}")
    ranks = ranks or _gpus() or 1
    started = ["dysenvdm.training"] if ranks == 1 else ["dysenvdm.training.launch", str(ranks)]
    done = subprocess.run([sys.executable, "-m", *started, *given], check=False)
    if done.returncode:
        raise UserError(f"{run}: training ended with code {done.returncode}; its own message says why")
    return str(run / "model")


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
