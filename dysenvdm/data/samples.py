"""What training sees of one clip, whatever corpus it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from planners.dsg import DynamicSceneGraph

CELLS = 16
"""Cells of the foreground's grid in each direction."""
Read = Callable[[int, int, np.random.Generator], "Sample"]
"""(clip, draw, generator) -> the clip, told in one of its phrasings that the generator chooses, all frames shown."""


@dataclass(frozen=True)
class Sample:
    """One clip of a batch. ``draw`` numbers the samples of a whole run; noise and dropouts are seeded with it."""

    draw: int
    clip: int
    caption: str
    captions: tuple[str, ...]
    """All phrasings; ``caption`` is one of them."""
    dsg: DynamicSceneGraph
    foreground: NDArray[np.bool_]
    """(f CELLS CELLS): which cells of the picture an actor's box touches; all of them where nobody knows."""
    shown: tuple[int, ...]
    """Numbers of the frames that the step sees."""
    video: NDArray[np.uint8] | None
    """(f h w 3), or None where latents come from a cache."""
    replaced: tuple[str, ...] = ()
    """Names of clips that were drawn, could not be read, and gave way to this one."""
    latents: Tensor | None = field(default=None, compare=False, repr=False)
    """(f c h w) scaled, from a cache, unless the phase holds all of them."""
    item: int | None = None
    """The sample's number in that cache."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The video of a sample that was rendered."""
        assert self.video is not None
        return self.video
