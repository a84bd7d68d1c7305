"""What a step sees: a pure function of (seed, step), whatever the number of ranks.

That makes resuming exact without saving any reader's position, and a run on two ranks sees what a run on one sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from dysenvdm.data.samples import Read, Sample


@dataclass(frozen=True)
class Curriculum:
    """How many samples a step draws and how many frames of each it sees: few of many clips first, all of few last.

    The frames of one clip have much in common; who and where is learnt faster from single frames of many clips, how
    things move from whole clips. Steps before ``stills_until`` see one frame of each of ``stills`` samples, steps
    before ``coarse_until`` every second frame, later ones all.
    """

    batch: int
    """Samples of a step that sees more than one frame."""
    stills: int = 0
    stills_until: int = 0
    coarse_until: int = 0

    def draws(self, step: int) -> range:
        """Numbers of the samples of a step, over all ranks."""
        if step < self.stills_until:
            return range(step * self.stills, (step + 1) * self.stills)
        first = self.stills_until * self.stills + (step - self.stills_until) * self.batch
        return range(first, first + self.batch)

    def shown(self, step: int, frames: int, rng: np.random.Generator) -> tuple[int, ...]:
        """Numbers of the frames, out of ``frames``, that a step sees of a sample."""
        if step < self.stills_until:
            return (int(rng.integers(frames)),)
        return tuple(range(0, frames, 2 if step < self.coarse_until else 1))


class Steps(Dataset[list[Sample]]):
    """Step -> this rank's share of its batch. With ``clips`` the corpus is finite and every epoch a new permutation."""

    def __init__(
        self,
        curriculum: Curriculum,
        *,
        seed: int,
        rank: int,
        world: int,
        clips: int,
        frames: int,
        read: Read,
    ) -> None:
        self.curriculum, self.seed, self.rank, self.world = curriculum, seed, rank, world
        self.clips, self.frames, self.read = clips, frames, read

    def __getitem__(self, step: int) -> list[Sample]:
        return [self._sample(step, draw) for draw in self.curriculum.draws(step)[self.rank :: self.world]]

    def _sample(self, step: int, draw: int) -> Sample:
        clip = self.clip_of(draw)
        rng = np.random.default_rng((self.seed, draw))
        return replace(self.read(clip, draw, rng), shown=self.curriculum.shown(step, self.frames, rng))

    def clip_of(self, draw: int) -> int:
        """The number of the clip that draw shows."""
        if not self.clips:
            return draw
        epoch, place = divmod(draw, self.clips)
        return int(_permutation(self.seed, epoch, self.clips)[place])


@cache
def _permutation(seed: int, epoch: int, clips: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(clips)


@dataclass(frozen=True)
class Batch:
    """What a rank's module sees at once: the clips' numbers and what the phase's ``collate`` made of them."""

    clips: tuple[int, ...]
    inputs: dict[str, Any]


Collate = Callable[[list[Sample]], dict[str, Any]]


def step_loader(steps: Steps, start: int, stop: int, *, workers: int, collate: Collate, parts: int = 1) -> DataLoader:
    """Yield the batches of steps ``start`` to ``stop``, each in ``parts``, collated ahead by ``workers`` processes."""
    return DataLoader(
        steps,
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        collate_fn=partial(_in_parts, collate=collate, parts=parts),
        generator=torch.Generator(),  # its own: a resumed run, which makes a new loader, would draw once more
    )


def _in_parts(samples: list[Sample], collate: Collate, parts: int) -> list[Batch]:
    size = len(samples) // parts
    shares = [samples[first : first + size] for first in range(0, len(samples), size)]
    return [Batch(tuple(sample.clip for sample in share), collate(share)) for share in shares]
