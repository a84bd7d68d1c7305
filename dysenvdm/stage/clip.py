"""A clip of the Stage world: everything about it follows from its seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray

from dysenvdm.stage.captions import phrasings
from dysenvdm.stage.gold import gold_dsg, gold_plan
from dysenvdm.stage.render import boxes, render
from dysenvdm.stage.sampling import sample_script
from dysenvdm.stage.script import Script
from dysenvdm.stage.world import EIGHTHS
from planners.dsg import MAX_TICKS, ActionPlan, DynamicSceneGraph, UserError

VAL_SEED0 = 2**31
"""Seeds below are for training, seeds from here on (below 2**32) for validation."""


@dataclass(frozen=True)
class StageClip:
    """One clip: a caption, other ``captions`` of the same meaning, the gold plan and DSG of all of them, the video."""

    seed: int
    caption: str
    captions: tuple[str, ...]
    script: Script
    frames: int
    size: int

    @property
    def setting(self) -> str:
        return self.script.setting

    @cached_property
    def plan(self) -> ActionPlan:
        """What the caption says: objects, attributes, and the events in order of occurrence."""
        return gold_plan(self.script, self.caption)

    @cached_property
    def dsg(self) -> DynamicSceneGraph:
        """The whole scene; what the caption does not state has the source "imagined"."""
        return gold_dsg(self.script, self.caption)

    @cached_property
    def boxes(self) -> dict[str, NDArray[np.float32]]:
        """For every actor and prop ``(frames, 4)``: x0, y0, x1, y1 in 0..1, y downwards."""
        return boxes(self.script, self.frames)

    def render(self) -> NDArray[np.uint8]:
        """The video ``(frames, size, size, 3)``, RGB."""
        return render(self.script, self.frames, self.size)


def sample(seed: int, *, frames: int = 16, size: int = 64, ticks: int = 8) -> StageClip:
    """The clip of a seed; ``frames``, ``size`` (pixels) and ``ticks`` only change how finely the same script is shown.

    Raises UserError for a seed outside [0, 2**32), fewer than 8 frames, pictures under 16 pixels, or ticks outside
    [4, 1024].
    """
    for name, value, low, high in (
        ("seed", seed, 0, 2**32 - 1),
        ("frames", frames, EIGHTHS, 4096),
        ("size", size, 16, 4096),
        ("ticks", ticks, EIGHTHS // 2, MAX_TICKS),
    ):
        if not low <= value <= high:
            raise UserError(f"{name} {value}: choose a value from {low} to {high}")
    rng = Random(seed)
    script = sample_script(rng, ticks)
    caption, *others = phrasings(script, rng)
    return StageClip(seed, caption, tuple(others), script, frames, size)
