"""What a step sees: a pure function of (seed, step), whatever the number of ranks.

That makes resuming exact without saving any reader's position, and a run on two ranks sees what a run on one sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from dysenvdm.data.samples import Read, Sample
from planners.dsg import UserError


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

    def largest(self, frames: int, first: int, stop: int) -> int:
        """The step from ``first`` on, before ``stop``, that sees most frames in all; the earliest of equals."""
        rng = np.random.default_rng(0)
        begins = [first, *(step for step in (self.stills_until, self.coarse_until) if first < step < stop)]
        return max(begins, key=lambda step: len(self.draws(step)) * len(self.shown(step, frames, rng)))


class Steps(Dataset["list[Sample] | UserError"]):
    """Step -> this rank's share of its batch, or what went wrong with it.

    With ``clips`` the corpus is finite and every epoch a new permutation. With ``buckets``, the number of each clip's
    size, the clips of a step are of one size; a size comes as often as its share of the clips, and has epochs of its
    own.
    """

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
        buckets: NDArray[np.int16] | None = None,
    ) -> None:
        self.curriculum, self.seed, self.rank, self.world = curriculum, seed, rank, world
        self.clips, self.frames, self.read = clips, frames, read
        self._buckets = None if buckets is None else _Buckets(buckets, seed)

    def __getitem__(self, step: int) -> list[Sample] | UserError:
        drawn = list(zip(self.curriculum.draws(step), self.clips_of(step), strict=True))
        try:
            return [self._sample(step, draw, clip) for draw, clip in drawn[self.rank :: self.world]]
        except UserError as error:  # raised in a loader's process it would arrive as a traceback
            return error

    def _sample(self, step: int, draw: int, clip: int) -> Sample:
        rng = np.random.default_rng((self.seed, draw))
        return replace(self.read(clip, draw, rng), shown=self.curriculum.shown(step, self.frames, rng))

    def clips_of(self, step: int) -> list[int]:
        """The numbers of the clips that a step shows, over all ranks."""
        draws = self.curriculum.draws(step)
        if self._buckets is None:
            return [self.clip_of(draw) for draw in draws]
        return self._buckets.clips_of(step, len(draws), self.curriculum)

    def clip_of(self, draw: int) -> int:
        """The number of the clip that draw shows, where all are of one size."""
        if not self.clips:
            return draw
        epoch, place = divmod(draw, self.clips)
        return int(_permutation(self.seed, epoch, self.clips)[place])


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, clips: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(clips)


BLOCK = 4096
"""Steps whose buckets are drawn at once."""


class _Buckets:
    """Which bucket a step is of, and which of its clips: drawn by the buckets' shares, then in epochs of each."""

    def __init__(self, buckets: NDArray[np.int16], seed: int) -> None:
        self.seed = seed
        self.members = [np.flatnonzero(buckets == bucket) for bucket in np.unique(buckets)]
        self.shares = np.array([len(members) for members in self.members]) / len(buckets)
        self._drawn: list[NDArray[np.int64]] = []
        self._before = [np.zeros(len(self.members), dtype=np.int64)]

    def clips_of(self, step: int, count: int, curriculum: Curriculum) -> list[int]:
        bucket = int(self._block(step // BLOCK)[step % BLOCK])
        stills = self._earlier(min(step, curriculum.stills_until))[bucket]
        others = self._earlier(step)[bucket] - stills
        first = int(stills * curriculum.stills + others * curriculum.batch)
        members = self.members[bucket]
        places = (divmod(place, len(members)) for place in range(first, first + count))
        return [int(members[_permutation_of(self.seed, bucket, epoch, len(members))[i]]) for epoch, i in places]

    def _block(self, block: int) -> NDArray[np.int64]:
        while len(self._drawn) <= block:
            rng = np.random.default_rng((self.seed, len(self._drawn), 0))
            drawn = rng.choice(len(self.members), BLOCK, p=self.shares)
            self._drawn.append(drawn)
            self._before.append(self._before[-1] + np.bincount(drawn, minlength=len(self.members)))
        return self._drawn[block]

    def _earlier(self, step: int) -> NDArray[np.int64]:
        """How many of the steps before this one each bucket had."""
        drawn = self._block(step // BLOCK)[: step % BLOCK]
        return self._before[step // BLOCK] + np.bincount(drawn, minlength=len(self.members))


@lru_cache(maxsize=32)
def _permutation_of(seed: int, bucket: int, epoch: int, clips: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, bucket, 1)).permutation(clips)


@dataclass(frozen=True)
class Batch:
    """What a rank's module sees at once: the clips' numbers and what the phase's ``collate`` made of them."""

    clips: tuple[int, ...]
    inputs: dict[str, Any]
    replaced: tuple[str, ...] = ()
    """Clips that were drawn and could not be read; others have taken their places."""


Collate = Callable[[list[Sample]], dict[str, Any]]


def step_loader(
    steps: Steps, start: int, stop: int, *, workers: int, collate: Collate, parts: int = 1
) -> Iterator[list[Batch]]:
    """Yield the batches of steps ``start`` to ``stop``, each in ``parts``, collated ahead by ``workers`` processes.

    Raises the :class:`UserError` of a clip that nothing can take the place of.
    """
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        collate_fn=partial(_in_parts, collate=collate, parts=parts),
        generator=torch.Generator(),  # its own: a resumed run, which makes a new loader, would draw once more
    )
    for batches in loader:
        if isinstance(batches, UserError):
            raise batches
        yield batches


def _in_parts(samples: list[Sample] | UserError, collate: Collate, parts: int) -> list[Batch] | UserError:
    if isinstance(samples, UserError):
        return samples
    size = len(samples) // parts
    shares = [samples[first : first + size] for first in range(0, len(samples), size)]
    return [
        Batch(
            tuple(sample.clip for sample in share),
            collate(share),
            tuple(name for sample in share for name in sample.replaced),
        )
        for share in shares
    ]
