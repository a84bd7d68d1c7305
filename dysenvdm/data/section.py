"""The data section of a recipe: which clips are trained on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A part of a recipe, or a whole one: keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid")


class DataSection(Section):
    """Stage clips: ``frames`` x ``size`` x ``size`` pixels with plans of ``ticks`` ticks.

    ``clips`` bounds the corpus (0: a fresh clip for every sample). ``cache`` renders and encodes those clips once,
    before the first step, instead of in every step: worth it where the corpus is seen often.
    """

    frames: int = Field(16, ge=1)
    size: int = Field(64, ge=16)
    ticks: int = Field(8, ge=1)
    clips: int = Field(0, ge=0)
    cache: bool = False
    workers: int = Field(1, ge=0)
    validation_clips: int = Field(32, ge=1)

    @model_validator(mode="after")
    def _check(self) -> DataSection:
        if self.cache and not self.clips:
            raise ValueError("a cache needs a bounded corpus; set data.clips")
        return self
