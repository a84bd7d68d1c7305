"""Recipes: the YAML file of a training run, validated strictly, with ``--set key=value`` overrides."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from dysenvdm.data.section import DataSection, Section, StageSource
from dysenvdm.files import parsed_yaml, written_whole
from dysenvdm.training.engine_settings import check_settings
from dysenvdm.training.sections import (
    DegradeSection,
    LogSection,
    LoraSection,
    LossSection,
    ModelSection,
    SceneSection,
    TrainSection,
)
from dysenvdm.training.shipped import find_recipe
from dysenvdm.training.suggestions import suggestion
from planners.dsg import UserError, one_line

R = TypeVar("R", bound=BaseModel)


class Recipe(Section):
    """One training run. ``run`` is its folder, relative to the working directory like all paths of a recipe.

    ``deepspeed`` goes into DeepSpeed's own configuration as it is: its settings, or the name of a JSON file of them
    that lies beside the recipe.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    phase: Literal["autoencoder", "denoiser", "referee"]
    run: Path
    seed: int = Field(0, ge=0, lt=2**63)
    data: DataSection = DataSection()
    model: ModelSection
    scene: SceneSection = SceneSection()
    lora: LoraSection | None = None
    loss: LossSection = LossSection()
    degrade: DegradeSection = DegradeSection()
    train: TrainSection
    log: LogSection = LogSection()
    deepspeed: dict[str, Any] = Field(default_factory=lambda: {"zero_optimization": {"stage": 0}})

    @cached_property
    def arguments(self) -> str:
        """What a command of ours is given for this recipe, as a shell takes it; :func:`load_recipe` knows."""
        return "RECIPE"

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        check_trained(self)
        if self.phase == "referee" and not isinstance(self.data.source, StageSource):
            raise ValueError("data.source: the referee phase reads the Stage world only; leave it out")
        if self.phase == "referee" and not self.data.cache:
            raise ValueError("data.cache: the referee phase draws a bounded corpus once; set it, and data.clips")
        if self.phase == "referee" and self.train.coarse:
            raise ValueError("train.coarse: a referee must know how fast things move; leave it out")
        if self.phase == "autoencoder" and (self.train.stills or self.train.coarse):
            raise ValueError("train.stills and train.coarse: an autoencoder sees stills in any case; leave them out")
        if self.phase != "denoiser" and self.scene != SceneSection():
            raise ValueError("scene: only the denoiser phase has a scene adapter; leave it out")
        check_settings(self.deepspeed)
        return self


def check_trained(recipe: Recipe) -> None:
    """Raise :class:`ValueError` where what a recipe trains, and from where it starts, is not said or said twice."""
    model, phase = recipe.model, recipe.phase
    if phase == "referee" and model.preset == "paper":
        raise ValueError("model.preset: there is no referee of that size; use micro, nano or tiny")
    if model.preset is None and model.init is not None and recipe.train.shared_noise:
        raise ValueError("train.shared_noise: model.init keeps its own; leave it out, or give model.preset")
    if model.init is None and model.preset is None:
        raise ValueError("model.preset: say which size is trained, or which model goes on learning (model.init)")
    if phase == "denoiser" and model.vae is None and model.init is None:
        raise ValueError("model.vae: the denoiser phase needs a trained autoencoder's folder")
    if phase != "denoiser" and (model.freeze or recipe.lora or recipe.train.scene_lr):
        key = "model.freeze" if model.freeze else "lora" if recipe.lora else "train.scene_lr"
        raise ValueError(f"{key}: only the denoiser phase has it; leave it out")
    if model.init is None and (model.freeze or recipe.lora):
        key = "model.freeze" if model.freeze else "lora"
        raise ValueError(f"{key}: what stays as it is must come trained; give model.init")
    if len(set(model.freeze)) == 2:
        raise ValueError("model.freeze: unet and scene_adapter are all there is, nothing would be trained")
    if phase == "denoiser" and model.preset is None and recipe.scene != SceneSection():
        raise ValueError("scene: the scene adapter is that of model.init; leave it out, or give model.preset")


def read_recipe(path: str | Path, overrides: list[str], folder: str | None = None) -> dict[str, Any]:
    """A recipe file's values with ``key.path=value`` overrides (values are YAML) applied, not yet validated.

    ``path`` and ``folder`` may be what :func:`find_recipe` takes. Raises :class:`UserError` where the file is no YAML
    mapping or an override is none.
    """
    path = find_recipe(path, folder)
    try:
        data = parsed_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a YAML mapping with name, phase, run, model and train")
    _fill_deepspeed(data, path.parent)
    for override in overrides:
        _override(data, override)
    _fill_deepspeed(data, Path())
    return data


def _fill_deepspeed(data: dict[str, Any], folder: Path) -> None:
    """Put the settings in the place of the name of their file."""
    name = data.get("deepspeed")
    if not isinstance(name, str):
        return
    path = folder / name
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "no plain file")  # a device would be read without an end
        data["deepspeed"] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"deepspeed: {str(path)[:300]} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"deepspeed: {path} is not valid JSON ({error})") from None


def validated(path: str | Path, data: dict[str, Any], schema: type[R]) -> R:
    """``data`` as a recipe; raises :class:`UserError`, with the nearest known key where a key is misspelt."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error)}{suggestion(error, schema)}") from None


def load_recipe(path: str | Path, overrides: list[str]) -> Recipe:
    """Read the recipe of a generator's phase and apply overrides; raises :class:`UserError`."""
    recipe = validated(path, read_recipe(path, overrides), Recipe)
    recipe.__dict__["arguments"] = shlex.join(
        [str(path), *(part for change in overrides for part in ("--set", change))]
    )
    return recipe


def check_run_folder(recipe: BaseModel, run: Path, fixed: Sequence[str]) -> None:
    """Raise :class:`UserError` where ``run`` holds a run that has other values for the keys ``fixed``."""
    path = run / "recipe.yaml"
    if path.exists():
        theirs, mine = yaml.safe_load(path.read_text(encoding="utf-8")), recipe.model_dump(mode="json")
        other = [key for key in fixed if theirs.get(key) != mine[key]]
        if other:
            raise UserError(f"{path}: that run has another {other[0]!r}; choose another folder with --set run=FOLDER")


def write_recipe(recipe: BaseModel, run: Path) -> None:
    """Leave the resolved recipe in the run's folder."""
    run.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    with written_whole(run / "recipe.yaml") as path:
        path.write_text(text, encoding="utf-8")


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override}: write it as key=value, for example train.lr=1e-4")
    try:
        value = parsed_yaml(text)
    except ValueError:
        raise UserError(f"--set {override}: the value is not valid YAML") from None
    if isinstance(value, str):  # YAML 1.1 reads 1e-4 as text; people mean the number
        with suppress(ValueError):
            value = float(value)
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise UserError(f"--set {override}: {parent} is not a section")
    data[last] = value
