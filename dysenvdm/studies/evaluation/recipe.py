"""The recipe of an evaluation: what is asked, how videos are made, what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from dysenvdm.data.section import DataSection, Section, StageSource
from dysenvdm.metrics import find
from dysenvdm.metrics.contract import Settings
from dysenvdm.metrics.registry import least_items, settings_of
from dysenvdm.model_facts import Precision
from dysenvdm.stage.compositions import SPLITS, wanted_counts
from dysenvdm.studies.plan_metrics import register_plan_metrics
from dysenvdm.training.recipe import read_recipe, validated
from planners.dsg import UserError

FOLDER = "eval"


class VideoSection(Section):
    """How the videos are made; what is left out is the model's own. Videos are denoised ``batch`` at a time.

    ``size`` is that of the pictures, square. A video's seed is ``seed`` and its number.
    """

    size: int | None = Field(None, ge=16)
    frames: int | None = Field(None, ge=1)
    fps: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    guidance: float | None = Field(None, ge=0)
    scheduler: str | None = None
    scene_mode: str | None = None
    dtype: Precision = "fp32"
    seed: int = Field(0, ge=0)
    batch: int = Field(4, ge=1)


class EvaluationRecipe(Section):
    """``videos`` are made, of the data's clips in their order, which begins anew when there are fewer of these.

    ``split``: which of the data set's clips are asked and are the reference. Of Stage it is one of its own splits (by
    default ``test``; training looks at ``val``), from clip ``first`` on, with these numbers of events and actors (None:
    all that there are); else ``trained`` or ``held_out``, the default. Scene graphs: the planner's of ``data.scenes``,
    gold ones, or none. ``metrics`` are names with settings.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    data: DataSection
    split: Literal["trained", "held_out", "val", "test", "new-pairs", "more-events", "more-actors"] | None = None
    first: int = Field(0, ge=0)
    events: tuple[int, ...] | None = None
    actors: tuple[int, ...] | None = None
    videos: int = Field(ge=1)
    generation: VideoSection = VideoSection()
    metrics: dict[str, dict[str, Any]] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> EvaluationRecipe:
        stage = isinstance(self.data.source, StageSource)
        self.split = self.split or ("test" if stage else "held_out")
        known = [name for name in SPLITS if name != "train"] if stage else ["trained", "held_out"]
        if self.split not in known:
            raise ValueError(
                f"split: {self.split!r} is none of {self.data.source.kind}; choose one of {', '.join(known)}"
            )
        if stage:
            wanted_counts(SPLITS[self.split], self.events, self.actors)
        for key in ("first", "events", "actors"):
            if not stage and getattr(self, key):
                raise ValueError(f"{key}: chooses among Stage's clips; leave it out")
        if not stage and self.data.scenes.source == "gold":
            raise ValueError("data.scenes.from: these clips have no gold scene graphs; set planned or none")
        return self


def load_recipe(path: str | Path, overrides: list[str], limit: int | None) -> EvaluationRecipe:
    """Read a recipe, apply overrides and ``limit`` (videos at most); raises :class:`UserError`, metrics included."""
    register_plan_metrics()
    recipe = validated(path, read_recipe(path, overrides, FOLDER), EvaluationRecipe)
    if limit is not None:
        recipe = recipe.model_copy(update={"videos": min(limit, recipe.videos)})
    for name, given in recipe.metrics.items():
        _check_metric(recipe, name, settings_of(find(name), given))
    return recipe


def _check_metric(recipe: EvaluationRecipe, name: str, settings: Settings) -> None:
    """Raise :class:`UserError` before anything is made where the metric could not be measured in the end."""
    metric = find(name)
    least = least_items(metric, settings)
    if recipe.videos < least:
        raise UserError(
            f"metric {name}: needs at least {least} videos, and {recipe.videos} would be made; make more, or say "
            f"--set metrics.{name}.clips={recipe.videos}, which is no longer the recipe's protocol"
        )
    lacking = metric.needs & {"gold graphs", "gold plans", "gold videos"}
    if lacking and not isinstance(recipe.data.source, StageSource):
        raise UserError(
            f"metric {name}: needs {' and '.join(sorted(lacking))}, and {recipe.data.source.kind} has none; leave the "
            f"metric out, or evaluate on Stage"
        )
    if "graphs" in metric.needs and recipe.data.scenes.source == "none":
        raise UserError(f"metric {name}: needs planned scene graphs; set data.scenes.from=planned, or leave it out")
