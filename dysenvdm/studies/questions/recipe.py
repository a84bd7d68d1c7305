"""The recipe of a study: which question, what is varied, on how many captions, with which planners."""

from __future__ import annotations

from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from dysenvdm.data.section import Section
from dysenvdm.model_facts import SceneMode, Scheduler
from dysenvdm.studies.questions.figures import KNOWN, VIDEO_FIGURES
from dysenvdm.training.shipped import find_recipe
from planners.dsg import UserError, one_line

Factor = Literal["planner", "events", "telling", "words", "actors", "frames", "clips", "imagination", "variant"]
ALIKE: frozenset[Factor] = frozenset(("planner", "clips", "imagination", "variant"))
"""Factors that vary nothing of captions and clips: all levels ask the same."""
Balanced = Literal["events", "order"]
MAX_TICKS = 64
PAIRED: frozenset[Factor] = frozenset(("telling", "clips", "imagination", "variant"))
"""Factors whose levels are all of the same clips, so that levels can be compared clip by clip."""
By = Literal["events", "actors", "words", "order"]


class TrainingSection(Section):
    """How a model is trained for a level that has one of its own: a recipe, and what is changed in it for all."""

    recipe: str
    set: tuple[str, ...] = ()


class Variant(Section):
    """A level of the factor ``variant``: what of making the videos is other than the command and the model say.

    ``guidance`` pulls towards the text and, unless ``scene_guidance`` says otherwise, as strongly towards the scene.
    ``imagined`` false: scene graphs without imagined facts. ``set``: not the command's model but one of its own, which
    is trained as the recipe's ``training`` says with these changes more; an empty list is that training without any.
    """

    scene_mode: SceneMode | None = None
    scheduler: Scheduler | None = None
    steps: int | None = Field(None, ge=1)
    guidance: float | None = Field(None, ge=0, le=100)
    scene_guidance: float | None = Field(None, ge=0, le=100)
    imagined: bool = True
    set: tuple[str, ...] | None = None


class StudyRecipe(Section):
    """One study. ``n`` captions a level, from number ``first`` of the held-out split ``test`` on.

    ``frames`` None: each clip is as long as its events need. ``ticks`` None: half as many as the clip has frames, as in
    training, and at most 64. ``events`` and ``actors`` hold these numbers fixed, unless they are what is
    varied. ``balanced``: not as chance has it, but as many captions of each number of ``events``, and as many told in
    order as out of order. ``plans`` and ``videos`` are the figures that tables and plots show, ``by`` says of which
    groups of captions there are tables too. ``variants`` are the levels of that factor by name, and stand in the place
    of ``levels``.
    """

    question: str
    factor: Factor
    levels: tuple[int | str, ...] = ()
    variants: dict[str, Variant] = Field(default_factory=dict)
    n: int = Field(ge=1)
    first: int = Field(0, ge=0)
    seeds: int = Field(1, ge=1, le=100)
    ticks: int | None = Field(8, ge=4, le=MAX_TICKS)
    frames: int | None = 16
    events: tuple[int, ...] | None = None
    actors: tuple[int, ...] | None = None
    balanced: tuple[Balanced, ...] = ()
    planners: tuple[str, ...] = Field(min_length=1)
    plans: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    by: tuple[By, ...] = ()
    training: TrainingSection | None = None

    @model_validator(mode="after")
    def _check(self) -> StudyRecipe:
        for key, names in (("plans", self.plans), ("videos", self.videos)):
            for name in names:
                if name not in KNOWN or (name in VIDEO_FIGURES) != (key == "videos"):
                    wanted = [known for known in KNOWN if (known in VIDEO_FIGURES) == (key == "videos")]
                    raise ValueError(f"{key}: no figure {name!r}; there are: {', '.join(wanted)}")
        if (self.factor == "variant") != bool(self.variants):
            raise ValueError("variants: the factor variant needs them, and no other has them")
        if self.variants and self.levels not in ((), tuple(self.variants)):
            raise ValueError("levels: variants are the levels of this factor; leave them out")
        self.levels = self.levels or tuple(self.variants)
        if not self.levels:
            raise ValueError("levels: a study has at least one")
        trains = self.factor == "clips" or any(one.set is not None for one in self.variants.values())
        if trains != (self.training is not None):
            raise ValueError("training: the factor clips and variants with `set` need it, and nothing else has it")
        if self.balanced and self.factor not in ALIKE:
            raise ValueError(f"balanced: factor {self.factor} draws its own captions; leave it out")
        if "events" in self.balanced and not self.events:
            raise ValueError("balanced: say which numbers of `events`")
        numbers = self.factor in ("events", "actors", "frames", "clips")
        for level in self.levels:
            if isinstance(level, int) != numbers:
                raise ValueError(f"levels: {level!r}: factor {self.factor} has {'numbers' if numbers else 'names'}")
        if len({*self.levels}) < len(self.levels):
            raise ValueError("levels: one is there twice; leave it out")
        return self

    def trained_by(self, name: str) -> StudyRecipe:
        """The same with another recipe in ``training``; raises :class:`UserError` where nothing is trained."""
        if self.training is None:
            raise UserError("--training: this study trains no models; leave it out")
        return self.model_copy(update={"training": self.training.model_copy(update={"recipe": name})})


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
