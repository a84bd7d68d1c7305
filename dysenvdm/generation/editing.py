"""Video-to-video edits: what the changed facts do not touch stays as it was.

The original is denoised again from its seed. In every step the network is also asked what it would predict under the
changed scene graph; where, and when, the two answers differ is what the change is about (DiffEdit: Couairon et al.
2022, whose mask this is, here per frame of a video). Then the edited video is denoised from the same noise, and
outside that mask gets the original's predictions, so that its latents there end as the original's exactly.

Letters: ``b`` video, ``c`` channels, ``f`` frame, ``h w`` pixels of latents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional as F

from dysenvdm.generation.denoising import Predict
from dysenvdm.generation.samplers import clean_estimate

THRESHOLD = 0.25
"""A place is changed where the answers differ by this part of their largest difference in the video."""


@dataclass
class Original:
    """A rule of the denoising loop for the first pass: follow the original, note its outputs and the differences."""

    edited: Predict
    outputs: list[Tensor] = field(default_factory=list)
    difference: Tensor | None = None
    """(b f h w), summed over the steps."""

    def __call__(self, sampler: Any, output: Tensor, latents: Tensor, timestep: Tensor) -> Tensor:
        """The output as it is."""
        changed = clean_estimate(sampler, self.edited(sampler, latents, timestep), latents, timestep)
        there = reduce((changed - clean_estimate(sampler, output, latents, timestep)).abs(), "b c ... -> b ...", "mean")
        self.difference = there if self.difference is None else self.difference + there
        self.outputs.append(output)
        return output

    def kept(self, threshold: float = THRESHOLD) -> Kept:
        """The rule for the second pass."""
        assert self.difference is not None
        return Kept(change_mask(self.difference, threshold), iter(self.outputs))


@dataclass(frozen=True)
class Kept:
    """A rule of the denoising loop for the second pass: outside the mask the original's outputs are taken."""

    mask: Tensor
    """(b f h w) bool: True where things may change."""
    outputs: Iterator[Tensor]

    def __call__(self, sampler: Any, output: Tensor, latents: Tensor, timestep: Tensor) -> Tensor:
        del sampler, latents, timestep
        return torch.where(rearrange(self.mask, "b f h w -> b 1 f h w"), output, next(self.outputs))


def change_mask(difference: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Where differences (b f h w) exceed this part of each video's largest, and one place around: (b f h w) bool.

    Equal conditions differ nowhere, so nothing changes.
    """
    largest = rearrange(difference.flatten(1).amax(1), "b -> b 1 1 1")
    inside = (difference > threshold * largest) & (largest > 1e-6)
    return F.max_pool2d(inside.float(), 3, stride=1, padding=1).bool()
