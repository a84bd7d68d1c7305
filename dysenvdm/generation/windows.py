"""Long videos in windows that overlap: which frames each covers and how much it counts for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from planners.dsg import UserError


@dataclass(frozen=True)
class Windows:
    """``frames`` frames in windows of ``length``, each ``stride`` after the one before; the last may overlap more.

    In every denoising step each window is predicted by itself and frames that several windows cover get the weighted
    mean (MultiDiffusion: Bar-Tal et al. 2023; over time: Gen-L-Video, Wang et al. 2023). A window counts most in its
    middle, where it sees what comes before and after.
    """

    frames: int
    length: int
    stride: int

    @classmethod
    def of(cls, frames: int, length: int, overlap: int | None, multiple: int) -> Windows:
        """One window where the video is no longer than ``length``; ``overlap`` is half of it unless given.

        Raises :class:`UserError` where length or overlap are no multiple of ``multiple`` or the overlap no overlap.
        """
        if length < 1 or length % multiple:
            raise UserError(f"window: {length} frames is not a positive multiple of {multiple}, which this model needs")
        if overlap is None:
            overlap = length // 2 // multiple * multiple
        if not 0 <= overlap < length or overlap % multiple:
            raise UserError(
                f"overlap: {overlap} frames; give a multiple of {multiple} from 0 to less than the window of {length}"
            )
        length = min(frames, length)
        return cls(frames, length, max(length - overlap, 1))

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        last = self.frames - self.length
        starts = [*range(0, last, self.stride), last]
        return tuple(slice(start, start + self.length) for start in starts)

    @cached_property
    def weight(self) -> Tensor:
        """(length): how much a window counts for its frames."""
        place = torch.arange(self.length)
        return torch.minimum(place + 1, self.length - place).float()

    @cached_property
    def total(self) -> Tensor:
        """(frames): the sum of the weights of all windows."""
        total = torch.zeros(self.frames)
        for span in self.spans:
            total[span] += self.weight
        return total
