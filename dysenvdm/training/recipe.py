"""Recipes: the YAML file of a training run, validated strictly, with ``--set key=value`` overrides."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from dysenvdm.data.section import DataSection, Section, StageSource
from dysenvdm.files import written_whole
from dysenvdm.training.sections import DegradeSection, LogSection, LossSection, ModelSection, SceneSection, TrainSection
from planners.dsg import UserError, one_line

R = TypeVar("R", bound=BaseModel)


_OURS = {"train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"}
"""DeepSpeed settings that follow from the train section."""


class Recipe(Section):
    """One training run. ``run`` is its folder; ``deepspeed`` goes into DeepSpeed's own configuration as it is."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    phase: Literal["autoencoder", "denoiser", "referee"]
    run: Path
    seed: int = Field(0, ge=0)
    data: DataSection = DataSection()
    model: ModelSection
    scene: SceneSection = SceneSection()
    loss: LossSection = LossSection()
    degrade: DegradeSection = DegradeSection()
    train: TrainSection
    log: LogSection = LogSection()
    deepspeed: dict[str, Any] = Field(default_factory=lambda: {"zero_optimization": {"stage": 0}})

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.phase == "denoiser" and self.model.vae is None:
            raise ValueError("model.vae: the denoiser phase needs a trained autoencoder's folder")
        if self.phase == "referee" and not isinstance(self.data.source, StageSource):
            raise ValueError("data.source: the referee phase reads the Stage world only; leave it out")
        if self.phase == "referee" and not self.data.cache:
            raise ValueError("data.cache: the referee phase draws a bounded corpus once; set it, and data.clips")
        if self.phase == "referee" and (self.train.stills or self.train.coarse):
            raise ValueError("train.stills and train.coarse: a referee needs whole clips; leave them out")
        if self.phase == "autoencoder" and (self.train.stills or self.train.coarse):
            raise ValueError("train.stills and train.coarse: an autoencoder sees stills in any case; leave them out")
        if self.phase != "denoiser" and self.model.init is not None:
            raise ValueError("model.init: only the denoiser phase starts from exported weights; leave it out")
        if self.phase != "denoiser" and self.scene != SceneSection():
            raise ValueError("scene: only the denoiser phase has a scene adapter; leave it out")
        clash = _OURS & self.deepspeed.keys()
        if clash:
            raise ValueError(f"deepspeed.{min(clash)}: comes from the train section; set it there")
        return self


def read_recipe(path: str | Path, overrides: list[str]) -> dict[str, Any]:
    """A recipe file's values with ``key.path=value`` overrides (values are YAML) applied, not yet validated.

    Raises :class:`UserError` where the file is no YAML mapping or an override is none.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a YAML mapping with name, phase, run, model and train")
    for override in overrides:
        _override(data, override)
    return data


def validated(path: str | Path, data: dict[str, Any], schema: type[R]) -> R:
    """``data`` as a recipe; raises :class:`UserError`, with the nearest known key where a key is misspelt."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error)}{_suggestion(error, schema)}") from None


def load_recipe(path: str | Path, overrides: list[str]) -> Recipe:
    """Read the recipe of a generator's phase and apply overrides; raises :class:`UserError`."""
    return validated(path, read_recipe(path, overrides), Recipe)


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
        value = yaml.safe_load(text)
    except yaml.YAMLError:
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


def _suggestion(error: ValidationError, schema: type[BaseModel]) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] != "extra_forbidden":
        return ""
    section: Any = schema
    for part in first["loc"][:-1]:
        if not hasattr(section, "model_fields"):  # the members of a union: pydantic's line names the place
            return ""
        section = section.model_fields[part].annotation
    if not hasattr(section, "model_fields"):
        return ""
    near = difflib.get_close_matches(str(first["loc"][-1]), section.model_fields, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(section.model_fields)}"
