"""What the video will be, seen while it is made: some frames of the network's current guess at the clean latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OnPreview = Callable[[int, int, NDArray[np.uint8]], None]
"""(steps done, steps in all, frames (b k h w 3) uint8)."""


@dataclass(frozen=True)
class Preview:
    """Show ``frames`` frames, evenly spaced, after every ``every``-th step: all that it costs is to decode these.

    ``last``: whether also after the last one, when the video itself is about to come.
    """

    show: OnPreview
    every: int = 5
    frames: int = 4
    last: bool = True

    def due(self, step: int, steps: int) -> bool:
        return self.last if step == steps else step % self.every == 0

    def chosen(self, num_frames: int) -> list[int]:
        """Numbers of the frames that are shown."""
        count = min(self.frames, num_frames)
        return [(2 * i + 1) * num_frames // (2 * count) for i in range(count)]
