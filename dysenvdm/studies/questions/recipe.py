"""The recipe of a study: which question, what is varied, on how many captions, with which planners."""

from __future__ import annotations

from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from dysenvdm.data.section import Section
from dysenvdm.studies.comparison.figures import COLUMNS, MEASURED
from dysenvdm.studies.questions.scenes import SCENE_FIGURES
from dysenvdm.training.shipped import find_recipe
from planners.dsg import UserError, one_line

Factor = Literal["planner", "events", "telling", "words", "actors", "frames", "clips", "imagination"]
MAX_TICKS = 64
PAIRED: frozenset[Factor] = frozenset(("telling", "clips", "imagination"))
"""Factors whose levels are all of the same clips, so that levels can be compared clip by clip."""
KNOWN = {column.name: column.figure for column in COLUMNS if column.name not in MEASURED}
KNOWN |= {figure.name: figure for figure in SCENE_FIGURES}
"""All figures that another run of the same study repeats to the digit."""
VIDEO_FIGURES = tuple(column.name for column in COLUMNS if column.group.startswith("Videos"))


class TrainingSection(Section):
    """How a model is trained for each level of the factor ``clips``: a recipe, and what is changed in it."""

    recipe: str
    set: tuple[str, ...] = ()


class StudyRecipe(Section):
    """One study. ``n`` captions a level, from number ``first`` of the held-out split ``test`` on.

    ``frames`` None: each clip is as long as its events need. ``ticks`` None: half as many as the clip has frames, as the
    generator was trained, and at most 64. ``events`` and ``actors`` hold these numbers fixed, unless they are what is
    varied. ``plans`` and ``videos`` are the figures that tables and plots show.
    """

    question: str
    factor: Factor
    levels: tuple[int | str, ...] = Field(min_length=1)
    n: int = Field(ge=1)
    first: int = Field(0, ge=0)
    seeds: int = Field(1, ge=1, le=100)
    ticks: int | None = Field(8, ge=4, le=MAX_TICKS)
    frames: int | None = 16
    events: tuple[int, ...] | None = None
    actors: tuple[int, ...] | None = None
    planners: tuple[str, ...] = Field(min_length=1)
    plans: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    training: TrainingSection | None = None

    @model_validator(mode="after")
    def _check(self) -> StudyRecipe:
        for key, names in (("plans", self.plans), ("videos", self.videos)):
            for name in names:
                if name not in KNOWN or (name in VIDEO_FIGURES) != (key == "videos"):
                    wanted = [known for known in KNOWN if (known in VIDEO_FIGURES) == (key == "videos")]
                    raise ValueError(f"{key}: no figure {name!r}; there are: {', '.join(wanted)}")
        if (self.factor == "clips") != (self.training is not None):
            raise ValueError("training: the factor clips needs it, and no other has it")
        numbers = self.factor in ("events", "actors", "frames", "clips")
        for level in self.levels:
            if isinstance(level, int) != numbers:
                raise ValueError(f"levels: {level!r}: factor {self.factor} has {'numbers' if numbers else 'names'}")
        if len({*self.levels}) < len(self.levels):
            raise ValueError("levels: one is there twice; leave it out")
        return self


def load_study(name: str) -> tuple[str, StudyRecipe]:
    """The recipe of ``events``, ``recipes/studies/events`` or a file, and its name; raises :class:`UserError`."""
    path = find_recipe(name, "studies")
    try:
        recipe = StudyRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error)}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    return path.stem, recipe
